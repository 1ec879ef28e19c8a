#include "taut/base/trace.h"

namespace taut::detail {

constinit std::atomic<const TraceSink*> trace_sink{nullptr};

}  // namespace taut::detail
