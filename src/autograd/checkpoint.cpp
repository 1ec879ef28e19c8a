#include "taut/autograd/checkpoint.h"

#include <memory>
#include <mutex>
#include <vector>

#include "src/autograd/autocast_state.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/saved_tensor.h"
#include "taut/core/generator.h"
#include "taut/ops/ops.h"

namespace taut::autograd {
namespace {

// One call of checkpoint: what to run again, and what running it again saved, in order.
struct Frame {
  Callback<Tensors(TensorList)> function;
  Tensors inputs;
  GeneratorState random;
  AutocastSettings autocast;
  std::mutex mutex;
  size_t saved_count = 0;
  std::vector<Tensor> recomputed;

  void recompute() {
    const GeneratorState now = default_generator().state();
    default_generator().set_state(random);
    std::vector<Tensor> saved;
    try {
      const EnableGradGuard enable_grad;
      const AutocastSettingsGuard autocast_guard(autocast);
      const SavedTensorsHooks hooks([&saved](const Tensor& tensor) {
        saved.push_back(tensor);
        return Callback<Tensor()>([tensor] { return tensor; });
      });
      Tensors detached;
      for (const Tensor& input : inputs) {
        detached.push_back(input.detach());
        if (input.requires_grad()) detached.back().requires_grad_();
      }
      function(detached);
    } catch (...) {
      default_generator().set_state(now);
      throw;
    }
    default_generator().set_state(now);
    TAUT_CHECK(saved.size() == saved_count, AutogradError, "checkpoint: the function saved ",
               saved_count, " tensors at first and ", saved.size(),
               " when run again; it must do the same each time");
    recomputed = std::move(saved);
  }

  Tensor take(size_t position) {
    const std::lock_guard lock(mutex);
    if (recomputed.empty() || !recomputed[position].defined()) recompute();
    // Handed out once, so that the memory goes as backward moves on.
    return std::exchange(recomputed[position], Tensor());
  }
};

}  // namespace

Tensors checkpoint(const Callback<Tensors(TensorList)>& function, Tensors inputs) {
  if (!is_grad_enabled()) return function(inputs);
  const auto frame = std::make_shared<Frame>();
  frame->function = function;
  frame->inputs = inputs;
  frame->random = default_generator().state();
  frame->autocast = static_cast<const AutocastSettings&>(autocast_state());
  const SavedTensorsHooks hooks([frame](const Tensor&) {
    const size_t position = frame->saved_count++;
    return Callback<Tensor()>([frame, position] { return frame->take(position); });
  });
  return function(inputs);
}

}  // namespace taut::autograd
