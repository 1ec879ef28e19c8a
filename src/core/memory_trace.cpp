#include "src/core/memory_trace.h"

#include "src/core/cpu_allocator.h"

namespace taut {

namespace detail {
constinit std::atomic<const MemorySink*> memory_sink{nullptr};
}  // namespace detail

void set_memory_sink(const MemorySink* sink) {
  detail::memory_sink.store(sink, std::memory_order_release);
  cpu::set_traced(sink != nullptr);
}

}  // namespace taut
