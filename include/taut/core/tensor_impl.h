#pragma once
// What a Tensor points to: storage, layout, dtype, and, once gradients matter, autograd data.
// For the library's own floors; users hold a Tensor.

#include "taut/base/ref.h"
#include "taut/core/dtype.h"
#include "taut/core/layout.h"
#include "taut/core/storage.h"

namespace taut {

namespace autograd {
class AutogradMeta;
/// Defined beside AutogradMeta; the core only knows that it must be freed.
TAUT_API void destroy_meta(AutogradMeta* meta) noexcept;
}  // namespace autograd

// Note [Views of small tensors]
// A view counts a reference to its base and one to the storage that both show. Where the base lies
// in the storage's own block (Note [Small tensors] of storage.h) the first keeps the second alive,
// and the view borrows the storage: on many processors the counting is most of what a view costs.

class TAUT_API TensorImpl final : public RefCounted {
 public:
  static Ref<TensorImpl> make(Storage storage, const Layout& layout, DType dtype);
  /// Uninitialised, in a storage of its own of so many bytes.
  /// @throws OutOfMemoryError for more than there is.
  static Ref<TensorImpl> make_allocated(Device device, const Layout& layout, DType dtype,
                                        size_t bytes);
  /// Contiguous and uninitialised, in a storage of its own.
  /// @throws OutOfMemoryError for more than there is.
  static Ref<TensorImpl> make_contiguous(Device device, const Dims& shape, DType dtype);
  /// The same for the shape of a contiguous tensor and a dtype no larger than its own.
  static Ref<TensorImpl> make_contiguous_like(const TensorImpl& model, DType dtype);
  /// Elements of `source`'s storage through another layout.
  static Ref<TensorImpl> make_view(const Ref<TensorImpl>& source, const Layout& layout);
  /// The elements of a contiguous `source` under other sizes.
  static Ref<TensorImpl> make_contiguous_view(const Ref<TensorImpl>& source, const Dims& shape);

  void* data() const {
    return static_cast<char*>(storage->data()) +
           layout.offset * static_cast<int64_t>(item_size(dtype));
  }
  /// Recomputes what is derived from the layout.
  void set_layout(const Layout& new_layout);
  /// Shows other memory from now on.
  void set_storage(Storage new_storage);
  /// Is a view no longer, and still shows the same memory.
  void forget_base();

  /// Copy it, never move it away: see Note [Views of small tensors].
  Storage storage;
  Layout layout;
  int64_t numel;
  DType dtype;
  bool is_contiguous;
  /// Made under inference_mode: it never enters the tape and its writes are not counted.
  bool is_inference = false;
  /// Lies in its storage's block; see Note [Small tensors].
  bool is_embedded = false;
  /// Whether `storage` is not counted; see Note [Views of small tensors].
  bool borrows_storage = false;
  /// The tensor whose elements this one shows, for in-place writes to be recorded on; none for a
  /// tensor that owns its elements and for detached ones.
  Ref<TensorImpl> view_base;
  autograd::AutogradMeta* autograd = nullptr;
  /// The live Python object of this tensor, guarded by the interpreter's lock. Owned only after
  /// Python dropped an object with state of its own; see the Python package.
  void* python_object = nullptr;
  /// The storage in whose block this lies, once it shows another one; see Note [Small tensors].
  Storage home;

  void destroy() noexcept;

 private:
  TensorImpl(const Layout& layout, DType dtype);
  /// Contiguous.
  TensorImpl(const Dims& shape, DType dtype);
  template <class Form>
  static Ref<TensorImpl> make_counted(Device device, const Form& form, DType dtype, size_t bytes);
  void show(const Ref<TensorImpl>& source);
  ~TensorImpl() = default;
};

namespace detail {
/// Called for a TensorImpl that goes while it owns a Python object; true when that object took the
/// tensor over, so that it stays. The Python package sets it.
using PythonObjectRelease = bool (*)(TensorImpl* impl) noexcept;
TAUT_API void set_python_object_release(PythonObjectRelease release);
}  // namespace detail

}  // namespace taut
