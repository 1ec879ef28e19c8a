#include <algorithm>
#include <bit>
#include <mutex>
#include <vector>

#include "src/core/cuda/pinned_memory.h"
#include "taut/core/cuda.h"

namespace taut::cuda {
namespace {

struct PinnedBlock {
  void* data = nullptr;
  size_t bytes = 0;                 // a power of two
  std::vector<cudaEvent_t> events;  // uses that may still be under way
};

constexpr size_t kSmallest = 4096;
constexpr int kClasses = 48;

// Keeps freed blocks by size: to pin and unpin pages takes longer than to copy them.
class PinnedMemory {
 public:
  PinnedBlock* take(size_t bytes) {
    const size_t rounded = std::bit_ceil(std::max(bytes, kSmallest));
    const std::lock_guard lock(mutex_);
    auto& blocks = free_[class_of(rounded)];
    const auto found = std::find_if(blocks.begin(), blocks.end(), is_idle);
    if (found != blocks.end()) {
      PinnedBlock* block = *found;
      blocks.erase(found);
      return block;
    }
    auto block = std::make_unique<PinnedBlock>();
    block->bytes = rounded;
    const cudaError_t status = cudaHostAlloc(&block->data, rounded, cudaHostAllocPortable);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      detail::raise<OutOfMemoryError>("pin_memory: the system has no ", rounded,
                                      " bytes of memory to pin");
    }
    check("pin_memory", status);
    return block.release();
  }

  void give_back(PinnedBlock* block) noexcept {
    const std::lock_guard lock(mutex_);
    free_[class_of(block->bytes)].push_back(block);
  }

  void record(PinnedBlock* block, Device device, cudaStream_t stream) {
    const RuntimeGuard guard(device);
    cudaEvent_t event = nullptr;
    check("event", cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    check("event", cudaEventRecord(event, stream));
    const std::lock_guard lock(mutex_);
    is_idle(block);
    block->events.push_back(event);
  }

 private:
  static size_t class_of(size_t bytes) {
    return static_cast<size_t>(std::bit_width(bytes)) % kClasses;
  }

  // Forgets the uses that are done; whether none is left.
  static bool is_idle(PinnedBlock* block) {
    std::erase_if(block->events, [](cudaEvent_t event) {
      const cudaError_t status = cudaEventQuery(event);
      if (status == cudaErrorNotReady) {
        cudaGetLastError();
        return false;
      }
      cudaEventDestroy(event);
      return true;
    });
    return block->events.empty();
  }

  std::mutex mutex_;
  std::vector<PinnedBlock*> free_[kClasses];
};

PinnedMemory& pinned_memory() {
  static auto& memory = *new PinnedMemory;  // storages may outlive every static object
  return memory;
}

void release(void*, size_t, void* context) noexcept {
  if (context != nullptr) pinned_memory().give_back(static_cast<PinnedBlock*>(context));
}

}  // namespace

Storage make_pinned_storage(size_t bytes) {
  check_device(kCUDA);
  if (bytes == 0) return make_storage(kCPU, Block{nullptr, 0, &release, nullptr});
  PinnedBlock* block = pinned_memory().take(bytes);
  return make_storage(kCPU, Block{block->data, bytes, &release, block});
}

bool is_pinned(const Storage& storage) { return storage->block().release == &release; }

void record_pinned_use(const Storage& storage, Device device, cudaStream_t stream) {
  if (is_pinned(storage) && storage->block().context != nullptr && !is_captured(stream)) {
    pinned_memory().record(static_cast<PinnedBlock*>(storage->block().context), device, stream);
  }
}

}  // namespace taut::cuda
