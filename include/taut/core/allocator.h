#pragma once
// Memory for tensors. The CPU allocator hands out 64-byte-aligned blocks (2 MiB-aligned, with huge
// pages asked for, from 2 MiB on) and keeps freed ones by size class, so that a steady loop makes
// no system call and no page fault. Safe from any thread.

#include <cstddef>
#include <cstdint>

#include "taut/core/device.h"

namespace taut {

/// Counters of one device's allocator, in bytes unless named otherwise.
struct MemoryStats {
  int64_t allocated = 0;           // in live tensors, rounded up to blocks
  int64_t reserved = 0;            // allocated plus cached
  int64_t max_allocated = 0;       // the highest `allocated` since the last reset
  int64_t allocations = 0;         // blocks handed out since the start
  int64_t live_allocations = 0;    // blocks handed out and not yet given back
  int64_t system_allocations = 0;  // blocks asked of the system since the start
  // Of GPUs only:
  int64_t requested = 0;      // what live tensors asked for
  int64_t max_reserved = 0;   // the highest `reserved` since the last reset
  int64_t retries = 0;        // requests that had to take memory from free blocks first
  int64_t out_of_memory = 0;  // requests that failed
};

TAUT_API MemoryStats memory_stats(Device device = kCPU);
/// Sets max_allocated to what is allocated now.
TAUT_API void reset_peak_memory_stats(Device device = kCPU);
/// Gives cached blocks back to the system: the shared ones and the calling thread's.
TAUT_API void empty_cache(Device device = kCPU);

/// A block of memory and how to give it back.
struct Block {
  void* data = nullptr;
  size_t bytes = 0;
  void (*release)(void* data, size_t bytes, void* context) noexcept = nullptr;
  void* context = nullptr;
};

/// A block of at least `bytes` on `device`; data is null for 0 bytes.
/// @throws OutOfMemoryError with what was asked for and what is held; DeviceError without the
/// device.
TAUT_API Block allocate(Device device, size_t bytes);

}  // namespace taut
