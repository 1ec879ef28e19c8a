#include "taut/core/storage.h"

#include <new>

#include "taut/base/pool.h"

namespace taut {
namespace {

// A plain sum of increments and decrements; only tests read it.
std::atomic<int64_t> storage_count{0};

Storage construct(const Block& block, Device device) {
  void* memory = nullptr;
  try {
    memory = detail::pool_allocate(sizeof(StorageImpl));
  } catch (...) {
    if (block.release != nullptr) block.release(block.data, block.bytes, block.context);
    throw;
  }
  storage_count.fetch_add(1, std::memory_order_relaxed);
  return Storage::adopt(new (memory) StorageImpl(block, device));
}

}  // namespace

void StorageImpl::destroy() noexcept {
  if (block_.release != nullptr) block_.release(block_.data, block_.bytes, block_.context);
  storage_count.fetch_sub(1, std::memory_order_relaxed);
  this->~StorageImpl();
  detail::pool_free(this, sizeof(StorageImpl));
}

Storage make_storage(Device device, size_t bytes) {
  return construct(allocate(device, bytes), device);
}

Storage make_storage(Device device, const Block& block) { return construct(block, device); }

int64_t live_storages() { return storage_count.load(std::memory_order_relaxed); }

}  // namespace taut
