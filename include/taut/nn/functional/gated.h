#pragma once
// Gated activations: the inner half of the feed-forward layers of Llama and its kin. Shazeer, GLU
// Variants Improve Transformer, 2020.
//   y = F::linear(F::swiglu(F::linear(x, gate_and_up)), down);
//
// The gate and what it gates are two tensors, or the halves of one, of its last dim: then the
// gradient is one tensor, too. With `recompute` the ops that save an output for backward save no
// memory for it: it is made again from the input, to the same bits (Note [Recomputation]).

#include <string_view>

#include "taut/base/macros.h"
#include "taut/core/tensor.h"

namespace taut::nn::functional {

/// silu(gate) * up, both ways in one pass. What PyTorch's users write as F.silu(gate) * up, rounded
/// once. @throws ShapeError for different shapes or, without `up`, an odd last dim; DTypeError for
/// different dtypes or such as are not floating.
TAUT_API Tensor swiglu(const Tensor& gate, const Tensor& up = Tensor(), bool recompute = false);

/// gelu(gate, approximate) * up; as swiglu.
TAUT_API Tensor geglu(const Tensor& gate, const Tensor& up = Tensor(),
                      std::string_view approximate = "none", bool recompute = false);

}  // namespace taut::nn::functional
