#include "taut/core/storage.h"

#include <new>

#include "src/core/cpu_allocator.h"
#include "taut/base/pool.h"

namespace taut {
namespace {

// See Note [Small tensors]: where the TensorImpl begins, and where the elements do.
constexpr size_t kHeader = 64;
constexpr size_t kElements = kHeader + kEmbeddedBytes;
static_assert(sizeof(StorageImpl) <= kHeader);

// Storages whose memory the CPU allocator does not count: of other owners, of GPUs, of no elements.
// A plain sum of increments and decrements; only tests read it.
std::atomic<int64_t> others_count{0};

bool is_counted(const Block& block) {
  return block.data != nullptr && block.release == &cpu::release;
}

// Frees the one block that holds storage, TensorImpl and elements. It also marks such storages: an
// address cannot, since the memory of another owner may happen to stand as far behind its storage.
void release_small(void* data, size_t bytes, void*) noexcept {
  cpu::release(static_cast<char*>(data) - kElements, kElements + bytes, nullptr);
}

Storage construct(const Block& block, Device device) {
  void* memory = nullptr;
  try {
    memory = detail::pool_allocate(sizeof(StorageImpl));
  } catch (...) {
    if (block.release != nullptr) block.release(block.data, block.bytes, block.context);
    throw;
  }
  if (!is_counted(block)) others_count.fetch_add(1, std::memory_order_relaxed);
  return Storage::adopt(new (memory) StorageImpl(block, device));
}

}  // namespace

void StorageImpl::destroy() noexcept {
  const Block block = block_;
  this->~StorageImpl();
  if (TAUT_LIKELY(block.release == &release_small)) {
    release_small(block.data, block.bytes, nullptr);
    return;
  }
  detail::pool_free(this, sizeof(StorageImpl));
  if (!is_counted(block)) others_count.fetch_sub(1, std::memory_order_relaxed);
  if (block.release != nullptr) block.release(block.data, block.bytes, block.context);
}

SmallBlock make_small_block(size_t bytes) {
  char* memory = static_cast<char*>(cpu::allocate(kElements + bytes));
  const Block block{
      .data = memory + kElements, .bytes = bytes, .release = &release_small, .context = nullptr};
  return {Storage::adopt(new (memory) StorageImpl(block, kCPU)), memory + kHeader};
}

Storage make_storage(Device device, size_t bytes) {
  return construct(allocate(device, bytes), device);
}

Storage make_storage(Device device, const Block& block) { return construct(block, device); }

int64_t live_storages() {
  return cpu::memory_stats().live_allocations + others_count.load(std::memory_order_relaxed);
}

}  // namespace taut
