#pragma once
// What the tape keeps of ops over rows beside tensors, and observers are shown.

namespace taut::nn::functional {

/// Of softmax and log_softmax.
struct SoftmaxAttributes {
  int dim;
};

/// Of layer_norm and rms_norm, over the last dims.
struct LayerNormAttributes {
  int normalized_dims;
  double eps;
};

}  // namespace taut::nn::functional
