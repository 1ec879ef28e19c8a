#pragma once
// The rules of the optimizers, for their steps and for tests of these.

#include "src/optim/step_lists.h"
#include "taut/base/macros.h"

namespace taut::optim {

TAUT_API StepRule sgd_rule();
TAUT_API StepRule adam_rule();  // AdamW's too
TAUT_API StepRule rmsprop_rule();
TAUT_API StepRule adagrad_rule();

}  // namespace taut::optim
