#include "taut/autograd/autocast_mode.h"

#include <memory>

#include "src/autograd/autocast_state.h"
#include "taut/autograd/grad_mode.h"
#include "taut/base/check.h"

namespace taut {
namespace autograd {

AutocastState& autocast_state() {
  // A pointer: the block of thread-local storage is small.
  thread_local const auto state = std::make_unique<AutocastState>();
  return *state;
}

void update_autocast_mode() {
  const AutocastState& state = autocast_state();
  bool any = false;
  for (const bool enabled : state.enabled) any = any || enabled;
  detail::thread_mode().autocast = any;
}

AutocastSettingsGuard::AutocastSettingsGuard(const AutocastSettings& settings)
    : previous_(static_cast<const AutocastSettings&>(autocast_state())),
      previous_mode_(detail::thread_mode().autocast) {
  static_cast<AutocastSettings&>(autocast_state()) = settings;
  ++autocast_state().depth;
  update_autocast_mode();
}

AutocastSettingsGuard::~AutocastSettingsGuard() {
  AutocastState& state = autocast_state();
  static_cast<AutocastSettings&>(state) = previous_;
  if (--state.depth == 0) state.casts.clear();
  detail::thread_mode().autocast = previous_mode_;
}

}  // namespace autograd

namespace {

using autograd::autocast_state;
using autograd::AutocastState;

size_t index_of(DeviceType device) { return static_cast<size_t>(device); }

}  // namespace

AutocastMode::AutocastMode(DeviceType device, std::optional<DType> dtype, bool enabled,
                           bool cache_enabled)
    : device_(device) {
  AutocastState& state = autocast_state();
  const size_t i = index_of(device);
  const DType wanted = dtype.value_or(device == DeviceType::cpu ? DType::bfloat16 : DType::float16);
  TAUT_CHECK(wanted == kBFloat16 || (wanted == kFloat16 && device == DeviceType::cuda), ValueError,
             "autocast: expected dtype bfloat16", device == DeviceType::cuda ? " or float16" : "",
             " on ", Device(device).is_cpu() ? "the CPU" : "CUDA", "; got ", wanted);
  previous_enabled_ = state.enabled[i];
  previous_dtype_ = state.dtype[i];
  previous_cache_ = state.cache_enabled;
  previous_mode_ = detail::thread_mode().autocast;
  state.enabled[i] = enabled;
  state.dtype[i] = wanted;
  state.cache_enabled = cache_enabled;
  ++state.depth;
  autograd::update_autocast_mode();
}

AutocastMode::~AutocastMode() {
  AutocastState& state = autocast_state();
  const size_t i = index_of(device_);
  state.enabled[i] = previous_enabled_;
  state.dtype[i] = previous_dtype_;
  state.cache_enabled = previous_cache_;
  if (--state.depth == 0) state.casts.clear();
  detail::thread_mode().autocast = previous_mode_;
}

bool is_autocast_enabled(DeviceType device) { return autocast_state().enabled[index_of(device)]; }
DType get_autocast_dtype(DeviceType device) { return autocast_state().dtype[index_of(device)]; }
bool is_autocast_cache_enabled() { return autocast_state().cache_enabled; }
void clear_autocast_cache() { autocast_state().casts.clear(); }

}  // namespace taut
