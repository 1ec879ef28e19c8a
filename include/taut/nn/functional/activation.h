#pragma once
// Activation functions, element by element; formulas and sources in
// kernels/elementwise/activation.inl.

#include <string_view>

#include "taut/base/macros.h"
#include "taut/core/tensor_fwd.h"

namespace taut::nn::functional {

#define TAUT_ACTIVATION(name, Functor) TAUT_API Tensor name(const Tensor& input);
#include "taut/ops/lists/activation.def"
#undef TAUT_ACTIVATION

TAUT_API Tensor relu(const Tensor& input);
TAUT_API Tensor sigmoid(const Tensor& input);
TAUT_API Tensor tanh(const Tensor& input);
/// x where x > 0, negative_slope * x elsewhere.
TAUT_API Tensor leaky_relu(const Tensor& input, double negative_slope = 0.01);
/// x where x > 0, alpha (e^x - 1) elsewhere.
TAUT_API Tensor elu(const Tensor& input, double alpha = 1.0);
/// max(0, x) + min(0, alpha (e^(x/alpha) - 1)).
TAUT_API Tensor celu(const Tensor& input, double alpha = 1.0);
/// x Phi(x); approximate "tanh" takes the faster form. With `recompute` the ops that save the
/// output for backward save no memory for it: it is made again from the input, to the same bits
/// (Note [Recomputation]). @throws ValueError for any other word.
TAUT_API Tensor gelu(const Tensor& input, std::string_view approximate = "none",
                     bool recompute = false);
TAUT_API Tensor hardtanh(const Tensor& input, double min_val = -1.0, double max_val = 1.0);
/// x where x > threshold, value elsewhere.
TAUT_API Tensor threshold(const Tensor& input, double threshold, double value);
/// log(1 + e^(beta x)) / beta, linear above threshold / beta.
TAUT_API Tensor softplus(const Tensor& input, double beta = 1.0, double threshold = 20.0);
TAUT_API Tensor softshrink(const Tensor& input, double lambd = 0.5);
TAUT_API Tensor hardshrink(const Tensor& input, double lambd = 0.5);
/// x where x > 0, weight * x elsewhere, one weight in all or one for each channel (dim 1).
TAUT_API Tensor prelu(const Tensor& input, const Tensor& weight);

}  // namespace taut::nn::functional
