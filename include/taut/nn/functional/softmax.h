#pragma once
// Softmax and its relatives.

#include <optional>

#include "taut/core/tensor.h"

namespace taut {

/// e^x / sum(e^x) along `dim`; `dtype` casts first.
TAUT_API Tensor softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype = {});
TAUT_API Tensor log_softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype = {});

namespace nn::functional {
using taut::log_softmax;
using taut::softmax;
TAUT_API Tensor softmin(const Tensor& input, int64_t dim, std::optional<DType> dtype = {});
/// a * sigmoid(b), a and b the halves of the input along `dim`.
TAUT_API Tensor glu(const Tensor& input, int64_t dim = -1);
}  // namespace nn::functional

}  // namespace taut
