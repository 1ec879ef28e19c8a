#pragma once
// This thread's modes for the ops that count instructions: a load, where thread_mode() is a call.

#include "taut/autograd/grad_mode.h"
#include "taut/base/macros.h"

namespace taut::detail {

extern constinit TAUT_HOT_THREAD_LOCAL ThreadMode hot_mode;

}  // namespace taut::detail
