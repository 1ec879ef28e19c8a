#pragma once
// Whether somebody watches, for paths where each instruction counts: as is_traced(), but seen
// within this library alone, and so without a look-up of where it lies.

#include <atomic>

namespace taut::detail {

[[gnu::visibility("hidden")]] extern constinit std::atomic<bool> has_trace_sink;

}  // namespace taut::detail
