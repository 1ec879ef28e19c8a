// The methods of Tensor that call free functions of the ops; those of the lists stand beside their
// functions.

#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/half.h"
#include "taut/ops/ops.h"

namespace taut {

int64_t Tensor::size(int64_t at) const { return shape()[normalize_dim("size", at, dim())]; }
int64_t Tensor::stride(int64_t at) const { return strides()[normalize_dim("stride", at, dim())]; }

bool Tensor::is_contiguous(MemoryFormat format) const {
  switch (format) {
    case MemoryFormat::contiguous: return impl_->is_contiguous;
    case MemoryFormat::channels_last: return impl_->layout.is_channels_last();
    case MemoryFormat::preserve: return true;
  }
  return true;
}

void Tensor::check_element_type(size_t size, char code) const {
  const DType held = dtype();
  const char expected = held == kBool                     ? 'b'
                        : is_reduced_floating_point(held) ? 'h'
                        : taut::is_floating_point(held)   ? 'f'
                        : held == kUInt8                  ? 'u'
                                                          : 'i';
  TAUT_CHECK(size == item_size(held) && code == expected, DTypeError,
             "data_ptr: the element type asked for is not that of ", held);
}

Tensor Tensor::operator~() const { return bitwise_not(*this); }

Tensor Tensor::add(const Tensor& other, const Scalar& alpha) const {
  return taut::add(*this, other, alpha);
}
Tensor Tensor::add(const Scalar& other, const Scalar& alpha) const {
  return taut::add(*this, other, alpha);
}
const Tensor& Tensor::add_(const Tensor& other, const Scalar& alpha) const {
  return taut::add_(*this, other, alpha);
}
const Tensor& Tensor::add_(const Scalar& other, const Scalar& alpha) const {
  return taut::add_(*this, other, alpha);
}
Tensor Tensor::sub(const Tensor& other, const Scalar& alpha) const {
  return taut::sub(*this, other, alpha);
}
Tensor Tensor::sub(const Scalar& other, const Scalar& alpha) const {
  return taut::sub(*this, other, alpha);
}
const Tensor& Tensor::sub_(const Tensor& other, const Scalar& alpha) const {
  return taut::sub_(*this, other, alpha);
}
const Tensor& Tensor::sub_(const Scalar& other, const Scalar& alpha) const {
  return taut::sub_(*this, other, alpha);
}
Tensor Tensor::div(const Tensor& other) const { return taut::div(*this, other); }
Tensor Tensor::div(const Scalar& other) const { return taut::div(*this, other); }
const Tensor& Tensor::div_(const Tensor& other) const { return taut::div_(*this, other); }
const Tensor& Tensor::div_(const Scalar& other) const { return taut::div_(*this, other); }
Tensor Tensor::clamp(const std::optional<Scalar>& min, const std::optional<Scalar>& max) const {
  return taut::clamp(*this, min, max);
}
const Tensor& Tensor::clamp_(const std::optional<Scalar>& min,
                             const std::optional<Scalar>& max) const {
  return taut::clamp_(*this, min, max);
}
Tensor Tensor::masked_fill(const Tensor& mask, const Scalar& value) const {
  return taut::masked_fill(*this, mask, value);
}
const Tensor& Tensor::masked_fill_(const Tensor& mask, const Scalar& value) const {
  return taut::masked_fill_(*this, mask, value);
}
const Tensor& Tensor::zero_() const { return taut::zero_(*this); }
const Tensor& Tensor::fill_(const Scalar& value) const { return taut::fill_(*this, value); }
const Tensor& Tensor::copy_(const Tensor& source, bool non_blocking) const {
  return taut::copy_(*this, source, non_blocking);
}

Tensor Tensor::clone(MemoryFormat format) const { return taut::clone(*this, format); }
Tensor Tensor::contiguous(MemoryFormat format) const { return taut::contiguous(*this, format); }
Tensor Tensor::to(DType dtype, bool copy) const { return taut::to(*this, dtype, copy); }
Tensor Tensor::to(Device device, bool non_blocking, bool copy) const {
  return taut::to(*this, device, non_blocking, copy);
}
Tensor Tensor::to(const TensorOptions& options, bool copy) const {
  return taut::to(*this, options, copy);
}
Tensor Tensor::detach() const { return taut::detach(*this); }

Tensor Tensor::view(const Dims& shape) const { return taut::view(*this, shape); }
Tensor Tensor::reshape(const Dims& shape) const { return taut::reshape(*this, shape); }
Tensor Tensor::flatten(int64_t start_dim, int64_t end_dim) const {
  return taut::flatten(*this, start_dim, end_dim);
}
Tensor Tensor::unflatten(int64_t dim, const Dims& sizes) const {
  return taut::unflatten(*this, dim, sizes);
}
Tensor Tensor::permute(const Dims& dims) const { return taut::permute(*this, dims); }
Tensor Tensor::transpose(int64_t dim0, int64_t dim1) const {
  return taut::transpose(*this, dim0, dim1);
}
Tensor Tensor::t() const { return taut::t(*this); }
Tensor Tensor::squeeze() const { return taut::squeeze(*this); }
Tensor Tensor::squeeze(int64_t dim) const { return taut::squeeze(*this, dim); }
Tensor Tensor::unsqueeze(int64_t dim) const { return taut::unsqueeze(*this, dim); }
Tensor Tensor::expand(const Dims& shape) const { return taut::expand(*this, shape); }
Tensor Tensor::narrow(int64_t dim, int64_t start, int64_t length) const {
  return taut::narrow(*this, dim, start, length);
}
Tensor Tensor::select(int64_t dim, int64_t index) const { return taut::select(*this, dim, index); }
Tensor Tensor::slice(int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
                     int64_t step) const {
  return taut::slice(*this, dim, start, end, step);
}
Tensor Tensor::diagonal(int64_t offset, int64_t dim1, int64_t dim2) const {
  return taut::diagonal(*this, offset, dim1, dim2);
}
Tensor Tensor::as_strided(const Dims& size, const Dims& stride,
                          std::optional<int64_t> storage_offset) const {
  return taut::as_strided(*this, size, stride, storage_offset);
}
Tensors Tensor::chunk(int64_t chunks, int64_t dim) const { return taut::chunk(*this, chunks, dim); }
Tensors Tensor::split(int64_t split_size, int64_t dim) const {
  return taut::split(*this, split_size, dim);
}
Tensors Tensor::unbind(int64_t dim) const { return taut::unbind(*this, dim); }

Tensor Tensor::sum(std::optional<DType> dtype) const { return taut::sum(*this, dtype); }
Tensor Tensor::sum(const Dims& dim, bool keepdim, std::optional<DType> dtype) const {
  return taut::sum(*this, dim, keepdim, dtype);
}
Tensor Tensor::mean(std::optional<DType> dtype) const { return taut::mean(*this, dtype); }
Tensor Tensor::mean(const Dims& dim, bool keepdim, std::optional<DType> dtype) const {
  return taut::mean(*this, dim, keepdim, dtype);
}
Tensor Tensor::max() const { return taut::max(*this); }
std::pair<Tensor, Tensor> Tensor::max(int64_t dim, bool keepdim) const {
  return taut::max(*this, dim, keepdim);
}
Tensor Tensor::min() const { return taut::min(*this); }
std::pair<Tensor, Tensor> Tensor::min(int64_t dim, bool keepdim) const {
  return taut::min(*this, dim, keepdim);
}
Tensor Tensor::argmax(std::optional<int64_t> dim, bool keepdim) const {
  return taut::argmax(*this, dim, keepdim);
}
Tensor Tensor::argmin(std::optional<int64_t> dim, bool keepdim) const {
  return taut::argmin(*this, dim, keepdim);
}
Tensor Tensor::all() const { return taut::all(*this); }
Tensor Tensor::any() const { return taut::any(*this); }
Tensor Tensor::var(const Dims& dim, double correction, bool keepdim) const {
  return taut::var(*this, dim, correction, keepdim);
}
Tensor Tensor::std(const Dims& dim, double correction, bool keepdim) const {
  return taut::std(*this, dim, correction, keepdim);
}
Tensor Tensor::norm() const { return taut::norm(*this); }

namespace {

template <class T>
T element(const Tensor& tensor) {
  return *static_cast<const T*>(tensor.data_ptr());
}

}  // namespace

Scalar Tensor::item() const {
  const TraceScope scope(ScopeKind::op, "item");
  TAUT_CHECK(defined(), ValueError, "item: the tensor is undefined");
  TAUT_CHECK(numel() == 1, ValueError, "item: expected a tensor of one element; got shape ",
             shape());
  autograd::record_constant("item", {*this}, *this);
  const Tensor here = is_cpu() ? *this : taut::to(taut::detach(*this), kCPU);
  switch (here.dtype()) {
    case DType::float32: return element<float>(here);
    case DType::float64: return element<double>(here);
    case DType::float16: return static_cast<float>(element<Float16>(here));
    case DType::bfloat16: return static_cast<float>(element<BFloat16>(here));
    case DType::int8: return element<int8_t>(here);
    case DType::int16: return element<int16_t>(here);
    case DType::int32: return element<int32_t>(here);
    case DType::int64: return element<int64_t>(here);
    case DType::uint8: return element<uint8_t>(here);
    case DType::bool_: return element<bool>(here);
  }
  return 0;
}

}  // namespace taut
