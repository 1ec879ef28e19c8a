#include "taut/optim/optimizer.h"

#include <cxxabi.h>

#include <cstdlib>
#include <typeinfo>

#include "src/optim/small_state.h"
#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"

namespace taut::optim {

Optimizer::Optimizer(std::vector<ParamGroup> groups, Values defaults)
    : defaults_(std::move(defaults)) {
  TAUT_CHECK(!groups.empty(), ValueError, "optimizer: there are no parameters");
  for (ParamGroup& group : groups) add_param_group(std::move(group));
}

Optimizer::~Optimizer() {
  if (self_) *self_ = nullptr;
}

void Optimizer::add_param_group(ParamGroup group) {
  TAUT_CHECK(!group.params.empty(), ValueError, "optimizer: a group has no parameters");
  for (const auto& [option, value] : group.options) {
    TAUT_CHECK(defaults_.contains(option) || option == "initial_lr" || option == "name", ValueError,
               "optimizer: unknown option \"", option, "\"");
  }
  std::map<const TensorImpl*, size_t> positions = positions_;
  for (const Tensor& param : group.params) {
    TAUT_CHECK(param.defined() && param.is_leaf(), ValueError,
               "optimizer: only leaves can be trained; got ",
               param.defined() ? "the result of " + param.grad_fn_name() : "an undefined tensor");
    const bool is_new = positions.emplace(param.impl(), positions.size()).second;
    TAUT_CHECK(is_new, ValueError, "optimizer: a parameter of shape ", param.shape(),
               " is in the groups twice");
  }
  for (const auto& [option, value] : defaults_) {
    if (!group.options.contains(option)) group.options.set(option, value);
  }
  positions_ = std::move(positions);
  for (const Tensor& param : group.params) states_.emplace_back(param, Values());
  groups_.push_back(std::move(group));
}

size_t Optimizer::position_of(const Tensor& parameter) const {
  const auto position = positions_.find(parameter.impl());
  TAUT_CHECK(position != positions_.end(), ValueError,
             "optimizer: the tensor is none of the parameters");
  return position->second;
}

std::vector<int64_t> Optimizer::called_off_steps() const {
  std::vector<int64_t> counts(states_.size(), 0);
  for (const Tensor& skipped : skipped_steps_) {
    const Tensor here = taut::to(skipped, TensorOptions(kInt64).device(kCPU));
    for (int64_t i = 0; i < here.numel(); ++i) {
      counts[static_cast<size_t>(i)] += here.data_ptr<int64_t>()[i];
    }
  }
  return counts;
}

namespace {

void take_steps_off(Values& state, int64_t count) {
  if (count != 0 && state.contains("step")) state.set("step", state.integer("step") - count);
}

}  // namespace

Values& Optimizer::state_of(const Tensor& parameter) {
  if (!skipped_steps_.empty()) {
    const std::vector<int64_t> counts = called_off_steps();
    for (size_t i = 0; i < counts.size(); ++i) take_steps_off(states_[i].second, counts[i]);
    skipped_steps_.clear();
  }
  return states_[position_of(parameter)].second;
}

void Optimizer::controlled_step(const StepControl& control) {
  TAUT_CHECK(takes_control(), NotImplementedError, name(),
             ": its step takes no control of a gradient scaler");
  control_ = &control;
  try {
    step();
  } catch (...) {
    control_ = nullptr;
    throw;
  }
  control_ = nullptr;
}

Tensor Optimizer::step(const Callback<Tensor()>& closure) {
  Tensor loss;
  {
    const EnableGradGuard grad;
    loss = closure();
  }
  step();
  return loss;
}

void Optimizer::zero_grad(bool set_to_none) {
  for (const ParamGroup& group : groups_) {
    for (const Tensor& param : group.params) {
      if (set_to_none) {
        param.set_grad(Tensor());
      } else if (const Tensor grad = param.grad(); grad.defined()) {
        grad.detach().zero_();
      }
    }
  }
}

OptimizerState Optimizer::state_dict() const {
  OptimizerState result;
  int64_t next = 0;
  for (const ParamGroup& group : groups_) {
    OptimizerState::Group saved;
    saved.options = group.options;
    for (size_t i = 0; i < group.params.size(); ++i) saved.params.push_back(next++);
    result.param_groups.push_back(std::move(saved));
  }
  const std::vector<int64_t> counts = called_off_steps();
  for (size_t i = 0; i < states_.size(); ++i) {
    if (states_[i].second.empty()) continue;
    result.state.emplace_back(static_cast<int64_t>(i), states_[i].second);
    take_steps_off(result.state.back().second, counts[i]);
  }
  return result;
}

void Optimizer::load_state_dict(const OptimizerState& state) {
  TAUT_CHECK(state.param_groups.size() == groups_.size(), ValueError, "load_state_dict: got ",
             state.param_groups.size(), " parameter groups; expected ", groups_.size());
  // Parameters are numbered by their order through the groups, here and there.
  std::map<int64_t, size_t> position_of;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const std::vector<int64_t>& params = state.param_groups[g].params;
    TAUT_CHECK(params.size() == groups_[g].params.size(), ValueError, "load_state_dict: group ", g,
               " has ", params.size(), " parameters; expected ", groups_[g].params.size());
    for (int64_t id : params) position_of.emplace(id, position_of.size());
  }
  const NoGradGuard no_grad;
  std::vector<Values> loaded(states_.size());
  for (const auto& [id, values] : state.state) {
    const auto position = position_of.find(id);
    TAUT_CHECK(position != position_of.end(), ValueError, "load_state_dict: there is no parameter ",
               id);
    const Tensor& param = states_[position->second].first;
    // See Note [Master weights].
    const DType dtype = values.contains("master_param") ? kFloat32 : param.dtype();
    for (const auto& [key, value] : values) {
      const Tensor* tensor = std::get_if<Tensor>(&value);
      if (tensor == nullptr) {
        loaded[position->second].set(key, value);
      } else if (key == "step") {
        // A count: it is read on the host and keeps its dtype.
        loaded[position->second].set(key, static_cast<int64_t>(tensor->item<double>()));
      } else if (is_in_blocks(*tensor, param)) {
        loaded[position->second].set(
            key, taut::to(tensor->detach(), TensorOptions(kUInt8).device(param.device()),
                          /*copy=*/true));
      } else {
        TAUT_CHECK(tensor->shape() == param.shape() || tensor->numel() == 1, ValueError,
                   "load_state_dict: ", key, " of parameter ", id, " has shape ", tensor->shape(),
                   "; expected ", param.shape());
        const TensorOptions options = param.is_floating_point() ? param.options().dtype(dtype)
                                                                : TensorOptions(param.device());
        loaded[position->second].set(key, taut::to(tensor->detach(), options, /*copy=*/true));
      }
    }
  }
  for (size_t i = 0; i < states_.size(); ++i) states_[i].second = std::move(loaded[i]);
  skipped_steps_.clear();
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const auto& [option, value] : state.param_groups[g].options) {
      groups_[g].options.set(option, value);
    }
  }
}

std::string Optimizer::name() const {
  int status = 0;
  char* demangled = abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status);
  const std::string full = status == 0 ? demangled : typeid(*this).name();
  std::free(demangled);
  const size_t colons = full.rfind("::");
  return colons == std::string::npos ? full : full.substr(colons + 2);
}

namespace {

std::string printed(const Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return "None";
  if (const auto* flag = std::get_if<bool>(&value)) return concat(*flag);
  if (const auto* integer = std::get_if<int64_t>(&value)) return concat(*integer);
  if (const auto* number = std::get_if<double>(&value)) return concat(*number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* numbers = std::get_if<std::vector<double>>(&value)) {
    std::string text = "(";
    for (double number : *numbers) text += concat(text.size() > 1 ? ", " : "", number);
    return text + ")";
  }
  return concat("tensor of shape ", std::get<Tensor>(value).shape());
}

}  // namespace

std::string Optimizer::str() const {
  std::string text = name() + " (\n";
  for (size_t g = 0; g < groups_.size(); ++g) {
    text += concat("Parameter Group ", g, "\n");
    for (const auto& [option, value] : groups_[g].options) {
      text += concat("    ", option, ": ", printed(value), "\n");
    }
  }
  return text + ")";
}

}  // namespace taut::optim
