#pragma once
// Trading time for memory: what a function saves for backward is thrown away and computed again
// when backward asks for it.
//   Tensor y = checkpoint([&](TensorList in) { return Tensors{block(in[0])}; }, {x})[0];

#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

/// function(inputs), whose saved tensors are recomputed in backward. The function must do the same
/// each time; random numbers are drawn again as they were the first time.
/// Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
TAUT_API Tensors checkpoint(const Callback<Tensors(TensorList)>& function, Tensors inputs);

}  // namespace taut::autograd
