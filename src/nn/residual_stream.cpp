#include "src/nn/residual_stream.h"

#include <tuple>

#include "src/nn/plain_module.h"
#include "taut/nn/functional/norm.h"
#include "taut/ops/ops.h"
#include "taut/ops/random.h"

namespace taut::nn {

void ResidualStream::add(const Tensor& branch, const std::shared_ptr<Module>& dropout) {
  value();
  const Dropout* plain = as_plain<Dropout>(dropout);
  if (plain == nullptr) {
    branch_ = (*dropout)(branch);
  } else if (is_dropping(*plain)) {
    value_ = functional::dropout_add(branch, value_, plain->p);
  } else {
    branch_ = branch;
  }
}

const Tensor& ResidualStream::value() {
  if (branch_.defined()) value_ = value_ + std::exchange(branch_, Tensor());
  return value_;
}

Tensor ResidualStream::normalized(const std::shared_ptr<Module>& norm) {
  const LayerNorm* plain = as_plain<LayerNorm>(norm);
  if (plain == nullptr || !branch_.defined()) return (*norm)(value());
  Tensor result;
  std::tie(result, value_) =
      functional::add_layer_norm(std::exchange(branch_, Tensor()), value_, plain->normalized_shape,
                                 plain->weight, plain->bias, plain->eps, plain->recompute);
  return result;
}

}  // namespace taut::nn
