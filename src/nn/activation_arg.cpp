#include "taut/nn/modules/activation_arg.h"

#include "taut/nn/functional/activation.h"
#include "taut/ops/ops.h"

namespace taut::nn {

ActivationArg::ActivationArg(std::string name) : name_(std::move(name)) {
  TAUT_CHECK(name_ == "relu" || name_ == "gelu" || name_ == "gelu_tanh", ValueError,
             "activation must be \"relu\", \"gelu\" or \"gelu_tanh\"; got \"", name_, "\"");
}

void ActivationArg::check_given() const {
  TAUT_CHECK(function_ || module_ != nullptr, ValueError,
             "activation must be a name, a function or a module; got null");
}

Tensor ActivationArg::operator()(const Tensor& input, bool recompute) const {
  if (function_) return function_(input);
  if (name_ == "relu") return functional::relu(input);
  return functional::gelu(input, name_ == "gelu_tanh" ? "tanh" : "none", recompute);
}

}  // namespace taut::nn
