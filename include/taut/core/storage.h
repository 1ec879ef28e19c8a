#pragma once
// The memory that tensors share: one Storage per buffer, its size, its device, and the version that
// every in-place write raises (see Note [Versions]).

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "taut/base/ref.h"
#include "taut/core/allocator.h"
#include "taut/core/device.h"

namespace taut {

class TAUT_API StorageImpl final : public RefCounted {
 public:
  StorageImpl(const Block& block, Device device) : device_(device), block_(block) {}

  void* data() const { return block_.data; }
  size_t bytes() const { return block_.bytes; }
  Device device() const { return device_; }
  /// What it is made of, for the allocators.
  const Block& block() const { return block_; }

  uint32_t version() const { return version_.load(std::memory_order_acquire); }
  void bump_version() { version_.fetch_add(1, std::memory_order_release); }

  void destroy() noexcept;

 private:
  ~StorageImpl() = default;

  std::atomic<uint32_t> version_{0};
  Device device_;
  Block block_;
};

using Storage = Ref<StorageImpl>;

/// Uninitialised memory from the device's allocator.
TAUT_API Storage make_storage(Device device, size_t bytes);

// Note [Small tensors]
// A small CPU tensor is one block from the allocator instead of three: first its StorageImpl, then
// kEmbeddedBytes for its TensorImpl, then its elements. The storage owns the block, so a view that
// outlives the tensor keeps the whole of it.

/// A storage, and room for a TensorImpl beside it.
struct SmallBlock {
  Storage storage;
  void* embedded = nullptr;
};
inline constexpr size_t kEmbeddedBytes = 256;
/// The most bytes of elements that a small tensor has.
inline constexpr size_t kSmallTensorBytes = 1024 - 64 - kEmbeddedBytes;
/// `bytes` is 1 to kSmallTensorBytes.
SmallBlock make_small_block(size_t bytes);

/// Memory that somebody else owns; release(data, bytes, context) is called when the last tensor
/// goes.
TAUT_API Storage make_storage(Device device, const Block& block);

/// How many storages are alive: what leak tests compare.
TAUT_API int64_t live_storages();

}  // namespace taut
