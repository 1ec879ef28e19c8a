#pragma once
// What a product may do to its result while it is still in cache: add a bias, apply an activation.

#include <cstdint>

namespace taut::kernels {

enum class Activation : uint8_t {
  none,
  relu,       // max(x, 0); NaN stays NaN
  gelu,       // x/2 (1 + erf(x / sqrt 2))
  gelu_tanh,  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
};

}  // namespace taut::kernels
