#pragma once
// What the tape keeps of ops over rows beside tensors, and observers are shown.

namespace taut::nn::functional {

/// Of softmax and log_softmax.
struct SoftmaxAttributes {
  int dim;
};

/// Of layer_norm and rms_norm, alone or of a sum, over the last dims.
struct RowNormAttributes {
  int normalized_dims;
  double eps;
  bool is_centered;  // layer norm, else RMS norm
};

}  // namespace taut::nn::functional
