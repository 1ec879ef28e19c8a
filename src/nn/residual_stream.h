#pragma once
// The residual stream of a transformer: what each sublayer reads and adds to.

#include <memory>

#include "taut/core/tensor.h"
#include "taut/nn/module.h"
#include "taut/nn/modules/dropout.h"
#include "taut/nn/modules/norm.h"

namespace taut::nn {

/// Whether a dropout drops anything now.
inline bool is_dropping(const Dropout& dropout) { return dropout.p > 0 && dropout.is_training(); }

/// What the last sublayer gave is added only when the sum is read, since a sum and the norm of it
/// are one pass.
class ResidualStream {
 public:
  explicit ResidualStream(Tensor value) : value_(std::move(value)) {}

  /// Adds what a sublayer gave, through the module `dropout`.
  void add(const Tensor& branch, const std::shared_ptr<Module>& dropout);
  /// The sum of all so far.
  const Tensor& value();
  /// The norm of the sum.
  Tensor normalized(const std::shared_ptr<Module>& norm);
  /// Puts the norm of the sum in the sum's place.
  void normalize(const std::shared_ptr<Module>& norm) { value_ = normalized(norm); }

 private:
  Tensor value_;
  Tensor branch_;  // still to be added; undefined when there is none
};

}  // namespace taut::nn
