#include "taut/base/trace.h"

#include "src/base/traced.h"

namespace taut {

namespace detail {
constinit std::atomic<const TraceSink*> trace_sink{nullptr};
constinit std::atomic<bool> has_trace_sink{false};
}  // namespace detail

void set_trace_sink(const TraceSink* sink) {
  detail::trace_sink.store(sink, std::memory_order_release);
  detail::has_trace_sink.store(sink != nullptr, std::memory_order_release);
}

}  // namespace taut
