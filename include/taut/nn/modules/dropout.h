#pragma once
// Dropout layers: they act in training mode only.

#include "taut/nn/module.h"

namespace taut::nn {

/// Each element 0 with probability p, the others times 1 / (1 - p). @throws ValueError unless
/// 0 <= p <= 1.
class TAUT_API Dropout : public Module {
 public:
  explicit Dropout(double p = 0.5, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double p;
  bool inplace;  // taken as in PyTorch; a new tensor is computed all the same
};

/// The same for whole channels.
class TAUT_API Dropout2d : public Module {
 public:
  explicit Dropout2d(double p = 0.5, bool inplace = false);
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  double p;
  bool inplace;
};

}  // namespace taut::nn
