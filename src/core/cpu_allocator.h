#pragma once
// The CPU's caching allocator; see taut/core/allocator.h.

#include "taut/core/allocator.h"

namespace taut::cpu {

void* allocate(size_t bytes);
/// `bytes` is what allocate was called with.
void release(void* data, size_t bytes, void* context) noexcept;

/// Whether every block is told to the memory sink: see src/core/memory_trace.h.
void set_traced(bool traced);
MemoryStats memory_stats();
void reset_peak_memory_stats();
void empty_cache();

}  // namespace taut::cpu
