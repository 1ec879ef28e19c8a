#pragma once
// What autocast is set to on this thread, and the casts of weights that it keeps.

#include <unordered_map>

#include "taut/autograd/autocast_mode.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

/// A weight in the lower dtype. The weight is kept with it, so that its address stays its own, and
/// the storage, so that a weight given other data is noticed.
struct CachedCast {
  Tensor weight;
  Tensor cast;
  Storage storage;
  uint32_t version;

  bool is_current() const { return weight.storage() == storage && storage->version() == version; }
};

/// What is set, without what is kept.
struct AutocastSettings {
  bool enabled[kDeviceTypeCount] = {};
  DType dtype[kDeviceTypeCount] = {DType::bfloat16, DType::float16};
  bool cache_enabled = true;
};

struct AutocastState : AutocastSettings {
  int depth = 0;
  std::unordered_map<const TensorImpl*, CachedCast> casts;
};

AutocastState& autocast_state();

/// Sets ThreadMode::autocast to whether any device has it on.
void update_autocast_mode();

/// Other settings for a scope.
class AutocastSettingsGuard {
 public:
  explicit AutocastSettingsGuard(const AutocastSettings& settings);
  AutocastSettingsGuard(const AutocastSettingsGuard&) = delete;
  AutocastSettingsGuard& operator=(const AutocastSettingsGuard&) = delete;
  ~AutocastSettingsGuard();

 private:
  AutocastSettings previous_;
  bool previous_mode_;
};

}  // namespace taut::autograd
