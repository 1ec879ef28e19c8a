// Saving and loading the state of modules.

#include "src/nn/module_parts.h"
#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::nn {
namespace {

void list_keys(std::string& problems, const char* what, const std::vector<std::string>& keys) {
  if (keys.empty()) return;
  problems += concat("; ", what, ":");
  for (size_t i = 0; i < keys.size(); ++i)
    problems += concat(i == 0 ? " \"" : ", \"", keys[i], "\"");
}

}  // namespace

StateDict Module::state_dict(const std::string& prefix) const {
  const std::string start = prefix.empty() || prefix.back() == '.' ? prefix : prefix + ".";
  StateDict state;
  for (const Part& part : parameters_) {
    const Tensor& tensor = tensor_of(part);
    if (tensor.defined()) state.insert(start + part.name, tensor.detach());
  }
  for (const Part& part : buffers_) {
    const Tensor& tensor = tensor_of(part);
    if (tensor.defined() && part.is_persistent) state.insert(start + part.name, tensor.detach());
  }
  for (const auto& [child_name, child] : children_) {
    for (const auto& [key, tensor] : child->state_dict(start + child_name)) {
      state.insert(key, tensor);
    }
  }
  return state;
}

LoadReport Module::load_state_dict(const StateDict& state, bool strict) {
  // The tensors of our own state dict share elements with the module's, so that to write to them is
  // to load.
  const StateDict own = state_dict();
  LoadReport report;
  std::string shapes;
  for (const auto& [key, target] : own) {
    const Tensor* source = state.find(key);
    if (source == nullptr) {
      report.missing_keys.push_back(key);
    } else if (!(source->shape() == target.shape())) {
      shapes +=
          concat("; shape of \"", key, "\": got ", source->shape(), "; expected ", target.shape());
    }
  }
  for (const auto& [key, source] : state) {
    if (!own.contains(key)) report.unexpected_keys.push_back(key);
  }
  std::string problems;
  if (strict) {
    list_keys(problems, "missing keys", report.missing_keys);
    list_keys(problems, "unexpected keys", report.unexpected_keys);
  }
  problems += shapes;
  TAUT_CHECK(problems.empty(), ValueError, "load_state_dict: the state does not fit ", name(),
             problems);
  const NoGradGuard no_grad;
  for (const auto& [key, target] : own) {
    if (const Tensor* source = state.find(key)) target.copy_(*source);
  }
  return report;
}

}  // namespace taut::nn
