#pragma once
// Tensor: a handle to a strided array of numbers on a device. Copying a Tensor is cheap and shares
// the elements; ops are free functions (taut/ops/*.h), and the methods here call them.
//   Tensor x = rand({2, 3}).requires_grad_();  (x * x).sum().backward();  x.grad();
// A default-constructed Tensor is undefined; all that may be asked of it is defined().

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "taut/core/scalar.h"
#include "taut/core/tensor_fwd.h"
#include "taut/core/tensor_impl.h"
#include "taut/core/tensor_options.h"

namespace taut {

/// One position of an index expression: `x.index({0, Slice(1, 4), None, Ellipsis, mask})`.
class TensorIndex;

class TAUT_API Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  bool defined() const { return static_cast<bool>(impl_); }
  TensorImpl* impl() const { return impl_.get(); }
  const Ref<TensorImpl>& impl_ref() const { return impl_; }
  /// Whether both are the same handle target, not whether the elements are equal.
  bool is_same(const Tensor& other) const { return impl_ == other.impl_; }

  // What it is ---------------------------------------------------------------------------------
  const Dims& shape() const { return impl_->layout.shape; }
  const Dims& sizes() const { return impl_->layout.shape; }
  const Dims& strides() const { return impl_->layout.strides; }
  const Layout& layout() const { return impl_->layout; }
  /// The size of one dim, negative from the end. @throws IndexError out of range.
  int64_t size(int64_t dim) const;
  int64_t stride(int64_t dim) const;
  int64_t storage_offset() const { return impl_->layout.offset; }
  int dim() const { return impl_->layout.rank(); }
  int64_t numel() const { return impl_->numel; }
  DType dtype() const { return impl_->dtype; }
  DType scalar_type() const { return impl_->dtype; }
  size_t element_size() const { return item_size(impl_->dtype); }
  size_t nbytes() const { return element_size() * static_cast<size_t>(impl_->numel); }
  Device device() const { return impl_->storage->device(); }
  bool is_cpu() const { return device().is_cpu(); }
  bool is_cuda() const { return device().is_cuda(); }
  bool is_floating_point() const { return taut::is_floating_point(impl_->dtype); }
  bool is_contiguous(MemoryFormat format = MemoryFormat::contiguous) const;
  bool is_view() const { return static_cast<bool>(impl_->view_base); }
  bool is_inference() const { return impl_->is_inference; }
  TensorOptions options() const { return TensorOptions(dtype()).device(device()); }
  const Storage& storage() const { return impl_->storage; }
  /// How often its storage was written in place.
  uint32_t version() const { return impl_->storage->version(); }
  /// Printed as PyTorch prints.
  std::string str() const;

  /// The address of the first element. @throws DTypeError when T is not the dtype's type.
  template <class T>
  T* data_ptr() const {
    check_element_type(sizeof(T), type_code<T>());
    return static_cast<T*>(impl_->data());
  }
  void* data_ptr() const { return impl_->data(); }
  /// The only element. @throws ValueError when there is not exactly one.
  Scalar item() const;
  template <class T>
  T item() const {
    return item().template to<T>();
  }

  // Autograd -----------------------------------------------------------------------------------
  bool requires_grad() const;
  /// Whether this tensor was not made by a recorded op.
  bool is_leaf() const;
  /// @throws AutogradError for a non-leaf or a dtype without gradients.
  const Tensor& requires_grad_(bool requires_grad = true) const;
  const Tensor& set_requires_grad(bool requires_grad) const {
    return requires_grad_(requires_grad);
  }
  /// The accumulated gradient; undefined before the first backward.
  Tensor grad() const;
  /// Replaces the gradient; an undefined tensor clears it. @throws on another shape or device.
  void set_grad(const Tensor& grad) const;
  /// The name of the op that made it, empty for a leaf.
  std::string grad_fn_name() const;
  /// Keeps the gradient of a non-leaf.
  void retain_grad() const;
  bool retains_grad() const;
  /// d(this)/d(leaves), summed into their grad. `gradient` defaults to one for a single element.
  /// @throws AutogradError when nothing requires grad or the graph was freed.
  void backward(const Tensor& gradient = Tensor(), std::optional<bool> retain_graph = std::nullopt,
                bool create_graph = false) const;
  /// The same elements outside the tape; an in-place write to one is seen by the other.
  Tensor detach() const;
  const Tensor& detach_() const;

  // Elements to elements -----------------------------------------------------------------------
#define TAUT_UNARY(name, Functor) \
  Tensor name() const;            \
  const Tensor& name##_() const;
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY
#define TAUT_PREDICATE(name, Functor) Tensor name() const;
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE
#define TAUT_BINARY(name, Functor)                  \
  Tensor name(const Tensor& other) const;           \
  Tensor name(const Scalar& other) const;           \
  const Tensor& name##_(const Tensor& other) const; \
  const Tensor& name##_(const Scalar& other) const;
#include "taut/ops/lists/arithmetic.def"
#undef TAUT_BINARY
#define TAUT_COMPARE(name, Functor)       \
  Tensor name(const Tensor& other) const; \
  Tensor name(const Scalar& other) const;
#include "taut/ops/lists/compare.def"
#undef TAUT_COMPARE
  Tensor add(const Tensor& other, const Scalar& alpha = 1) const;
  Tensor add(const Scalar& other, const Scalar& alpha = 1) const;
  const Tensor& add_(const Tensor& other, const Scalar& alpha = 1) const;
  const Tensor& add_(const Scalar& other, const Scalar& alpha = 1) const;
  Tensor sub(const Tensor& other, const Scalar& alpha = 1) const;
  Tensor sub(const Scalar& other, const Scalar& alpha = 1) const;
  const Tensor& sub_(const Tensor& other, const Scalar& alpha = 1) const;
  const Tensor& sub_(const Scalar& other, const Scalar& alpha = 1) const;
  Tensor div(const Tensor& other) const;
  Tensor div(const Scalar& other) const;
  const Tensor& div_(const Tensor& other) const;
  const Tensor& div_(const Scalar& other) const;
  Tensor clamp(const std::optional<Scalar>& min, const std::optional<Scalar>& max = {}) const;
  const Tensor& clamp_(const std::optional<Scalar>& min,
                       const std::optional<Scalar>& max = {}) const;
  Tensor masked_fill(const Tensor& mask, const Scalar& value) const;
  const Tensor& masked_fill_(const Tensor& mask, const Scalar& value) const;
  const Tensor& zero_() const;
  const Tensor& fill_(const Scalar& value) const;
  /// Writes the elements of `source`, broadcast and cast. @throws ShapeError when they do not fit.
  const Tensor& copy_(const Tensor& source, bool non_blocking = false) const;
  Tensor operator-() const { return neg(); }
  Tensor operator~() const;
  const Tensor& operator+=(const Tensor& other) const { return add_(other); }
  const Tensor& operator+=(const Scalar& other) const { return add_(other); }
  const Tensor& operator-=(const Tensor& other) const { return sub_(other); }
  const Tensor& operator-=(const Scalar& other) const { return sub_(other); }
  const Tensor& operator*=(const Tensor& other) const { return mul_(other); }
  const Tensor& operator*=(const Scalar& other) const { return mul_(other); }
  const Tensor& operator/=(const Tensor& other) const { return div_(other); }
  const Tensor& operator/=(const Scalar& other) const { return div_(other); }

  // Copies and casts ---------------------------------------------------------------------------
  Tensor clone(MemoryFormat format = MemoryFormat::preserve) const;
  Tensor contiguous(MemoryFormat format = MemoryFormat::contiguous) const;
  Tensor to(DType dtype, bool copy = false) const;
  Tensor to(Device device, bool non_blocking = false, bool copy = false) const;
  Tensor to(const TensorOptions& options, bool copy = false) const;
  Tensor cpu() const { return to(kCPU); }
  Tensor cuda() const { return to(kCUDA); }

  // Views --------------------------------------------------------------------------------------
  Tensor view(const Dims& shape) const;
  Tensor reshape(const Dims& shape) const;
  Tensor flatten(int64_t start_dim = 0, int64_t end_dim = -1) const;
  Tensor unflatten(int64_t dim, const Dims& sizes) const;
  Tensor permute(const Dims& dims) const;
  Tensor transpose(int64_t dim0, int64_t dim1) const;
  Tensor t() const;
  Tensor mT() const { return transpose(-2, -1); }
  Tensor squeeze() const;
  Tensor squeeze(int64_t dim) const;
  Tensor unsqueeze(int64_t dim) const;
  Tensor expand(const Dims& shape) const;
  Tensor narrow(int64_t dim, int64_t start, int64_t length) const;
  Tensor select(int64_t dim, int64_t index) const;
  Tensor slice(int64_t dim = 0, std::optional<int64_t> start = {}, std::optional<int64_t> end = {},
               int64_t step = 1) const;
  Tensor diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1) const;
  Tensor as_strided(const Dims& size, const Dims& stride,
                    std::optional<int64_t> storage_offset = {}) const;
  Tensors chunk(int64_t chunks, int64_t dim = 0) const;
  Tensors split(int64_t split_size, int64_t dim = 0) const;
  Tensors unbind(int64_t dim = 0) const;
  /// The i-th row. @throws IndexError out of range.
  Tensor operator[](int64_t index) const { return select(0, index); }
  /// PyTorch's indexing: numbers, slices, None, Ellipsis, masks and index tensors.
  Tensor index(std::span<const TensorIndex> indices) const;
  Tensor index(std::initializer_list<TensorIndex> indices) const;
  const Tensor& index_put_(std::span<const TensorIndex> indices, const Tensor& value) const;
  const Tensor& index_put_(std::initializer_list<TensorIndex> indices, const Tensor& value) const;
  const Tensor& index_put_(std::initializer_list<TensorIndex> indices, const Scalar& value) const;

  // Reductions and products --------------------------------------------------------------------
  Tensor sum(std::optional<DType> dtype = {}) const;
  Tensor sum(const Dims& dim, bool keepdim = false, std::optional<DType> dtype = {}) const;
  Tensor mean(std::optional<DType> dtype = {}) const;
  Tensor mean(const Dims& dim, bool keepdim = false, std::optional<DType> dtype = {}) const;
  Tensor max() const;
  std::pair<Tensor, Tensor> max(int64_t dim, bool keepdim = false) const;
  Tensor min() const;
  std::pair<Tensor, Tensor> min(int64_t dim, bool keepdim = false) const;
  Tensor argmax(std::optional<int64_t> dim = {}, bool keepdim = false) const;
  Tensor argmin(std::optional<int64_t> dim = {}, bool keepdim = false) const;
  Tensor all() const;
  Tensor any() const;
  Tensor var(const Dims& dim, double correction = 1, bool keepdim = false) const;
  Tensor std(const Dims& dim, double correction = 1, bool keepdim = false) const;
  Tensor norm() const;
  Tensor cumsum(int64_t dim, std::optional<DType> dtype = {}) const;
  Tensor softmax(int64_t dim, std::optional<DType> dtype = {}) const;
  Tensor log_softmax(int64_t dim, std::optional<DType> dtype = {}) const;
  Tensor matmul(const Tensor& other) const;
  Tensor mm(const Tensor& other) const;
  Tensor bmm(const Tensor& other) const;

 private:
  template <class T>
  static constexpr char type_code() {
    if constexpr (std::is_same_v<std::remove_cv_t<T>, bool>) return 'b';
    if constexpr (std::is_floating_point_v<T>) return 'f';
    if constexpr (std::is_integral_v<T>) return std::is_signed_v<T> ? 'i' : 'u';
    return 'h';  // Float16 and BFloat16
  }
  void check_element_type(size_t size, char code) const;

  Ref<TensorImpl> impl_;
};

/// The printed form that Tensor::str gives, for error messages.
TAUT_API void append(std::string& message, const Tensor& tensor);

}  // namespace taut
