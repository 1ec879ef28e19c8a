#pragma once
// Steps of optimizers in captured graphs.
//
// Note [Captured steps]
// A graph that holds a step does the host's part of it anew before each replay: it counts the step,
// makes state that is not there yet, reads the options of the group, and hands what comes of it to
// the captured launches (see Note [Arguments of replays]). So N replays are N steps bit for bit,
// with schedules, a loaded state and called off steps in between, and the capture itself, which
// computes nothing, changes nothing. Fixed are the parameters that have a gradient, and where these
// and the gradients lie.

#include <memory>

#include "src/core/cuda/captured_launches.h"
#include "src/optim/step_lists.h"
#include "taut/base/macros.h"

namespace taut::optim {

/// One list of a captured step.
class TAUT_API CapturedStep {
 public:
  /// `group` is the list's, by its number in the optimizer.
  CapturedStep(Optimizer& optimizer, size_t group, StepList list, const StepRule& rule);
  CapturedStep(const CapturedStep&) = delete;
  CapturedStep& operator=(const CapturedStep&) = delete;

  /// Puts the launches on the stream that is being captured.
  void capture();
  /// The host's part of a replay. @throws CudaError when the optimizer or the group is gone.
  void replay();

 private:
  std::shared_ptr<Optimizer*> optimizer_;
  size_t group_;
  StepRule rule_;
  cuda::CapturedLaunches launches_;
  StepList list_;
};

/// Steps all groups of an optimizer; while this thread captures a graph that is left to its
/// replays.
void take_steps(Optimizer& optimizer, const StepRule& rule);

}  // namespace taut::optim
