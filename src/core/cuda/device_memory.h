#pragma once
// What the caching allocator asks of a device: addresses, memory to put behind them, and events.
// An interface, so that the allocator's tests need no GPU.

#include <cstddef>

namespace taut::cuda {

/// A cudaStream_t.
using StreamHandle = void*;

class DeviceMemory {
 public:
  DeviceMemory() = default;
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  virtual ~DeviceMemory() = default;

  /// Memory comes and goes in pages of so many bytes.
  virtual size_t page_bytes() const = 0;
  /// Memory of the device in all, and what nobody holds. The second throws CudaError when the
  /// device cannot be asked, since an earlier error has ended all work on it.
  virtual size_t total_bytes() const = 0;
  virtual size_t free_bytes() const = 0;

  /// A range of addresses without memory, aligned to pages; null when there is none.
  virtual char* reserve(size_t bytes) = 0;
  virtual void unreserve(char* address, size_t bytes) noexcept = 0;
  /// Puts memory behind whole pages. False, with nothing changed, when the device has not enough.
  virtual bool map(char* address, size_t bytes) = 0;
  /// Takes it away; nothing may use it any more.
  virtual void unmap(char* address, size_t bytes) noexcept = 0;

  /// A block of its own, without any caching; null when the device has not enough.
  virtual char* allocate_alone(size_t bytes) = 0;
  virtual void free_alone(char* address) noexcept = 0;

  /// An event after the work queued on `stream` so far; null when it cannot be recorded.
  virtual void* record_event(StreamHandle stream) noexcept = 0;
  virtual bool is_complete(void* event) noexcept = 0;
  virtual void destroy_event(void* event) noexcept = 0;
  /// Whether the calling thread's stream is being captured, when waiting is not allowed.
  virtual bool is_capturing(StreamHandle stream) noexcept = 0;
  /// Waits for all work on the device.
  virtual void synchronize() noexcept = 0;
};

}  // namespace taut::cuda
