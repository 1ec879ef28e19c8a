#pragma once
// Who is told of every block that the allocators of all devices hand out and take back.

#include <atomic>
#include <cstddef>

#include "taut/base/macros.h"
#include "taut/core/device.h"

namespace taut {

/// Called on the thread that takes or gives back a block, for blocks of at least one byte. It must
/// stay callable for ever, and may not allocate tensors.
struct MemorySink {
  void (*on_allocate)(Device device, const void* address, size_t bytes) noexcept;
  void (*on_release)(Device device, const void* address, size_t bytes) noexcept;
};

namespace detail {
TAUT_API extern constinit std::atomic<const MemorySink*> memory_sink;
}  // namespace detail

/// Installs who is told; null for nobody.
TAUT_API void set_memory_sink(const MemorySink* sink);
inline const MemorySink* memory_sink() {
  return detail::memory_sink.load(std::memory_order_acquire);
}

}  // namespace taut
