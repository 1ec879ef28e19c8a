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

class TAUT_API TensorImpl final : public RefCounted {
 public:
  static Ref<TensorImpl> make(Storage storage, const Layout& layout, DType dtype);
  /// Contiguous and uninitialised, in a storage of its own.
  /// @throws OutOfMemoryError for more than there is.
  static Ref<TensorImpl> make_contiguous(Device device, const Dims& shape, DType dtype);
  /// The same for the shape of a contiguous tensor and a dtype no larger than its own.
  static Ref<TensorImpl> make_contiguous_like(const TensorImpl& model, DType dtype);
  /// The elements of a contiguous `source` under other sizes.
  static Ref<TensorImpl> make_contiguous_view(const TensorImpl& source, const Dims& shape);

  void* data() const {
    return static_cast<char*>(storage->data()) +
           layout.offset * static_cast<int64_t>(item_size(dtype));
  }
  /// Recomputes what is derived from the layout.
  void set_layout(const Layout& new_layout);
  /// Shows other memory from now on.
  void set_storage(Storage new_storage);

  Storage storage;
  Layout layout;
  int64_t numel;
  DType dtype;
  bool is_contiguous;
  /// Made under inference_mode: it never enters the tape and its writes are not counted.
  bool is_inference = false;
  /// Lies in its storage's block; see Note [Small tensors].
  bool is_embedded = false;
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
  TensorImpl(Storage storage, const Layout& layout, DType dtype);
  TensorImpl(const Dims& shape, DType dtype);
  static Ref<TensorImpl> make_counted(Device device, const Dims& shape, DType dtype, size_t bytes);
  ~TensorImpl() = default;
};

namespace detail {
/// Called for a TensorImpl that goes while it owns a Python object; true when that object took the
/// tensor over, so that it stays. The Python package sets it.
using PythonObjectRelease = bool (*)(TensorImpl* impl) noexcept;
TAUT_API void set_python_object_release(PythonObjectRelease release);
}  // namespace detail

}  // namespace taut
