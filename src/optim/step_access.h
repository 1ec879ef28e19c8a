#pragma once
// What of an optimizer its steps see.

#include <memory>

#include "taut/optim/optimizer.h"

namespace taut::optim {

struct StepAccess {
  static const StepControl* control(const Optimizer& optimizer) { return optimizer.control_; }
  static size_t place(const Optimizer& optimizer, const Tensor& param) {
    return optimizer.position_of(param);
  }
  static Values& state(Optimizer& optimizer, size_t place) {
    return optimizer.states_[place].second;
  }
  static bool has_skipped_steps(const Optimizer& optimizer) {
    return !optimizer.skipped_steps_.empty();
  }
  /// The counts of called off steps on a device, one for each parameter.
  static Tensor skipped_steps(Optimizer& optimizer, Device device);
  /// Holds null once the optimizer is gone.
  static std::shared_ptr<Optimizer*> handle(Optimizer& optimizer) {
    if (!optimizer.self_) optimizer.self_ = std::make_shared<Optimizer*>(&optimizer);
    return optimizer.self_;
  }
};

}  // namespace taut::optim
