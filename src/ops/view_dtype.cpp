// The bytes of a tensor read as another dtype.

#include "src/ops/dispatch.h"
#include "taut/autograd/grad_mode.h"
#include "taut/core/tensor_impl.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

void check_last_dim(const Tensor& input, DType dtype) {
  TAUT_CHECK(input.dim() > 0, ShapeError, "view: a tensor without dims cannot be seen as ", dtype,
             ", whose elements have another size than those of ", input.dtype());
  TAUT_CHECK(input.strides().back() == 1, ShapeError, "view: to be seen as ", dtype,
             ", the last dim of a ", input.dtype(), " tensor must have stride 1; got strides ",
             input.strides());
}

Layout split_elements(const Layout& layout, int64_t ratio) {
  Layout result = layout;
  for (int64_t& stride : result.strides) stride *= ratio;
  result.strides.back() = 1;
  result.shape.back() *= ratio;
  result.offset *= ratio;
  return result;
}

Layout merge_elements(const Layout& layout, int64_t ratio, DType from, DType to) {
  const auto check_divides = [&](const char* what, int64_t number) {
    TAUT_CHECK(number % ratio == 0, ShapeError, "view: to see ", from, " as ", to, ", ", what,
               " must be divisible by ", ratio, "; got ", number, " in shape ", layout.shape,
               ", strides ", layout.strides, " and offset ", layout.offset);
  };
  check_divides("the last size", layout.shape.back());
  check_divides("the storage offset", layout.offset);
  Layout result = layout;
  for (int i = 0; i + 1 < layout.rank(); ++i) {
    check_divides("every stride but the last", layout.strides[i]);
    result.strides[i] /= ratio;
  }
  result.shape.back() /= ratio;
  result.offset /= ratio;
  return result;
}

// Kernels count on a bool to be 0 or 1.
void check_bytes_are_bools(const Tensor& input) {
  const NoGradGuard no_grad;
  const Tensor bytes = view(input.detach(), kUInt8);
  if (bytes.numel() == 0) return;
  const auto largest = max(bytes).item<int64_t>();
  TAUT_CHECK(largest <= 1, ValueError, "view: bytes seen as bool must be 0 or 1; got ", largest,
             "; use != 0");
}

}  // namespace

Tensor view(const Tensor& input, DType dtype) {
  ops::check_defined("view", "input", input);
  if (dtype == input.dtype()) return alias(input);
  const auto from = static_cast<int64_t>(item_size(input.dtype()));
  const auto to = static_cast<int64_t>(item_size(dtype));
  Layout layout = input.layout();
  if (from != to) check_last_dim(input, dtype);
  if (from > to) layout = split_elements(layout, from / to);
  if (from < to) layout = merge_elements(layout, to / from, input.dtype(), dtype);
  if (dtype == kBool) check_bytes_are_bools(input);
  Ref<TensorImpl> impl = TensorImpl::make(input.storage(), layout, dtype);
  impl->is_inference = input.is_inference();
  return Tensor(std::move(impl));
}

}  // namespace taut
