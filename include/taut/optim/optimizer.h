#pragma once
// Optimizer: groups of parameters with their options, the state of each parameter, and the step.
//   optim::AdamW optimizer(model.parameters(), {.lr = 3e-4});
//   optimizer.zero_grad();  loss.backward();  optimizer.step();
// All parameters of a group that have a gradient are updated by one call of a kernel. A step that
// is captured into a cuda::Graph happens at each replay, which counts it and looks at the options
// anew; the optimizer must be there then.

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "taut/base/callback.h"
#include "taut/core/state_dict.h"
#include "taut/optim/step_control.h"
#include "taut/optim/values.h"

namespace taut::optim {

/// Parameters that share options. What the options leave out has the optimizer's defaults.
struct ParamGroup {
  Tensors params;
  Values options = {};
};

/// All there is to an optimizer but the parameters: PyTorch's layout, with parameters counted
/// through all groups.
struct OptimizerState {
  struct Group {
    std::vector<int64_t> params;
    Values options;
  };
  std::vector<std::pair<int64_t, Values>> state;
  std::vector<Group> param_groups;
};

class TAUT_API Optimizer {
 public:
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;
  virtual ~Optimizer();

  /// Updates every parameter that has a gradient.
  virtual void step() = 0;
  /// Runs closure, which clears gradients, computes a loss and its gradients, then the step;
  /// returns the loss.
  Tensor step(const Callback<Tensor()>& closure);
  /// Whether controlled_step() may be called: the optimizers of Taut take part, and step() of
  /// others knows nothing of a control.
  virtual bool takes_control() const { return false; }
  /// The step under what a gradient scaler says.
  void controlled_step(const StepControl& control);
  /// Forgets the gradients of all parameters, or zeroes them.
  void zero_grad(bool set_to_none = true);

  /// The groups, whose options may be changed between steps: param_groups()[0].options.set("lr",
  /// 0.1).
  std::vector<ParamGroup>& param_groups() { return groups_; }
  const std::vector<ParamGroup>& param_groups() const { return groups_; }
  /// @throws ValueError for no parameters, a non-leaf, one that is in a group already, or an
  /// unknown option.
  void add_param_group(ParamGroup group);
  /// The options that a group has when it brings none.
  const Values& defaults() const { return defaults_; }

  /// The state of one parameter, empty before its first step. Waits for the device when a gradient
  /// scaler has stepped since, because of the steps that it called off.
  Values& state_of(const Tensor& parameter);

  OptimizerState state_dict() const;
  /// Takes over options and state; state tensors are copied and cast to the dtype and device of
  /// their parameter. @throws ValueError when groups or their sizes differ; nothing has changed
  /// then.
  void load_state_dict(const OptimizerState& state);

  /// The name of the class, without namespaces.
  virtual std::string name() const;
  /// As PyTorch prints it.
  std::string str() const;

 protected:
  Optimizer(std::vector<ParamGroup> groups, Values defaults);

 private:
  friend struct StepAccess;
  size_t position_of(const Tensor& parameter) const;
  // Waits for the device: how many steps of each parameter were called off and are counted as made.
  std::vector<int64_t> called_off_steps() const;

  std::vector<ParamGroup> groups_;
  Values defaults_;
  // One entry for each parameter, found by identity.
  std::vector<std::pair<Tensor, Values>> states_;
  std::map<const TensorImpl*, size_t> positions_;
  // Of the step that is under way; null for one without a scaler.
  const StepControl* control_ = nullptr;
  // The same counts, one tensor for each device.
  Tensors skipped_steps_;
  // For graphs that hold a step: null in there once the optimizer is gone. Made at first need.
  std::shared_ptr<Optimizer*> self_;
};

/// A group of all parameters.
inline std::vector<ParamGroup> one_group(Tensors params) { return {{std::move(params), {}}}; }

/// An optimizer's state as tensors by name ("state.0.exp_avg", "param_groups.0.lr"), as files hold
/// it; and back. @throws ValueError for names of another form.
TAUT_API StateDict to_tensors(const OptimizerState& state);
TAUT_API OptimizerState from_tensors(const StateDict& tensors);

}  // namespace taut::optim
