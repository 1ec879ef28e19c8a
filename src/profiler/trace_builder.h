#pragma once
// Makes the trace of a profile from what threads and GPUs told.

#include "src/profiler/cupti.h"
#include "src/profiler/recorder.h"
#include "taut/profiler/trace.h"

namespace taut::profiler {

TAUT_API Trace build_trace(Recording recording, CuptiRecording gpus);

}  // namespace taut::profiler
