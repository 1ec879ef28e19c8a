#pragma once
// New tensors. Options give dtype (the default dtype unless said), device and requires_grad.
//   Tensor x = zeros({2, 3}, kFloat64);  Tensor y = tensor({1.0, 2.0});

#include <optional>
#include <vector>

#include "taut/core/tensor.h"

namespace taut {

/// Uninitialised elements. @throws ValueError for negative sizes.
TAUT_API Tensor empty(const Dims& size, const TensorOptions& options = {},
                      MemoryFormat format = MemoryFormat::contiguous);
TAUT_API Tensor empty_strided(const Dims& size, const Dims& stride,
                              const TensorOptions& options = {});
TAUT_API Tensor zeros(const Dims& size, const TensorOptions& options = {});
TAUT_API Tensor ones(const Dims& size, const TensorOptions& options = {});
/// Every element is `value`; its kind decides the dtype unless the options do.
TAUT_API Tensor full(const Dims& size, const Scalar& value, const TensorOptions& options = {});

/// Of the same shape, and dtype and device unless the options say otherwise.
TAUT_API Tensor empty_like(const Tensor& input, const TensorOptions& options = {},
                           MemoryFormat format = MemoryFormat::preserve);
TAUT_API Tensor zeros_like(const Tensor& input, const TensorOptions& options = {});
TAUT_API Tensor ones_like(const Tensor& input, const TensorOptions& options = {});
TAUT_API Tensor full_like(const Tensor& input, const Scalar& value,
                          const TensorOptions& options = {});

/// start, start + step, ... up to and without end. int64 when all three are integers.
/// @throws ValueError for step 0 or a range that goes the other way.
TAUT_API Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step = 1,
                       const TensorOptions& options = {});
TAUT_API Tensor arange(const Scalar& end, const TensorOptions& options = {});
/// `steps` numbers from start to end, both included.
TAUT_API Tensor linspace(const Scalar& start, const Scalar& end, int64_t steps,
                         const TensorOptions& options = {});
/// base^start to base^end in `steps` numbers whose exponents are evenly spaced.
TAUT_API Tensor logspace(const Scalar& start, const Scalar& end, int64_t steps, double base = 10.0,
                         const TensorOptions& options = {});
/// Ones on the diagonal of an n x m matrix (m = n unless given).
TAUT_API Tensor eye(int64_t n, std::optional<int64_t> m = {}, const TensorOptions& options = {});

/// A tensor without dims.
TAUT_API Tensor scalar_tensor(const Scalar& value, const TensorOptions& options = {});
/// A tensor of one dim, or of no dims for a single number. A list of double, int64_t or bool
/// decides the dtype (the default dtype for double) unless the options do.
TAUT_API Tensor tensor(const Scalar& value, const TensorOptions& options = {});
TAUT_API Tensor tensor(const std::vector<double>& values, const TensorOptions& options = {});
TAUT_API Tensor tensor(const std::vector<int64_t>& values, const TensorOptions& options = {});
TAUT_API Tensor tensor(const std::vector<float>& values, const TensorOptions& options = {});
inline Tensor tensor(std::initializer_list<double> values, const TensorOptions& options = {}) {
  return tensor(std::vector<double>(values), options);
}
inline Tensor tensor(std::initializer_list<int> values, const TensorOptions& options = {}) {
  return tensor(std::vector<int64_t>(values.begin(), values.end()), options);
}
inline Tensor tensor(std::initializer_list<int64_t> values, const TensorOptions& options = {}) {
  return tensor(std::vector<int64_t>(values), options);
}

/// A tensor over memory that the caller owns and keeps until release(data, bytes, context) is
/// called (at once if this throws). Strides in elements; contiguous unless given.
TAUT_API Tensor from_blob(void* data, const Dims& size, const TensorOptions& options = {},
                          std::optional<Dims> strides = {},
                          void (*release)(void* data, size_t bytes,
                                          void* context) noexcept = nullptr,
                          void* context = nullptr);

}  // namespace taut
