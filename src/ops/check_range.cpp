#include "src/ops/check_range.h"

#include "src/ops/dispatch.h"
#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::ops {

void check_range(const char* op, const char* expected, const Tensor& tensor, double low,
                 double high) {
  if (tensor.numel() == 0) return;
  const NoGradGuard no_grad;
  const Tensor values = contiguous(tensor.detach());
  const auto check = kernels_of(values).pointwise.check_range;
  if (check != nullptr) {
    check({.op = op,
           .expected = expected,
           .dtype = values.dtype(),
           .n = values.numel(),
           .input = values.data_ptr(),
           .low = low,
           .high = high});
    return;
  }
  const Tensor fits = logical_and(ge(values, low), le(values, high));
  if (all(fits).item().to_bool()) return;
  const int64_t at = argmin(to(ravel(fits), kUInt8)).item<int64_t>();
  detail::raise<ValueError>(op, ": expected ", expected, "; got ",
                            select(ravel(values), 0, at).item<double>(), " at position ", at);
}

void check_indices_later(const char* op, const Tensor& indices, int64_t size) {
  if (indices.numel() == 0) return;
  kernels_of(indices).pointwise.check_range({.op = op,
                                             .dtype = kInt64,
                                             .n = indices.numel(),
                                             .input = indices.data_ptr(),
                                             .low = 0,
                                             .high = static_cast<double>(size - 1)});
}

}  // namespace taut::ops
