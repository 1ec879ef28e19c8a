#pragma once
// The CPU's caching allocator; see taut/core/allocator.h.

#include "taut/core/allocator.h"

namespace taut::cpu {

void* allocate(size_t bytes);
/// `bytes` is what allocate was called with.
void release(void* data, size_t bytes, void* context) noexcept;

MemoryStats memory_stats();
void reset_peak_memory_stats();
void empty_cache();

}  // namespace taut::cpu
