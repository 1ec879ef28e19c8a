#include "src/core/cpu_allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>

#include "taut/base/check.h"

namespace taut::cpu {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = size_t{2} << 20;
// Blocks up to this size are kept per thread, without a lock.
constexpr size_t kThreadCachedLimit = size_t{64} << 10;
// Cached memory beyond this and beyond what was ever live at once goes back to the system.
constexpr int64_t kCacheAllowance = int64_t{512} << 20;

// Size classes: multiples of 64 up to 1 KiB, then eight steps to each doubling, so that a block is
// at most 12.5 % larger than asked for.
constexpr size_t kLinearLimit = 1024;
constexpr int kLinearClasses = kLinearLimit / kAlignment;
constexpr int kStepsLog2 = 3;
constexpr int kClasses = kLinearClasses + ((48 - 10) << kStepsLog2);

struct SizeClass {
  int index;
  size_t bytes;
};

SizeClass classify(size_t bytes) {
  if (bytes <= kLinearLimit) {
    const size_t units = std::max<size_t>(1, (bytes + kAlignment - 1) / kAlignment);
    return {static_cast<int>(units) - 1, units * kAlignment};
  }
  const int shift = static_cast<int>(std::bit_width(bytes - 1)) - 1 - kStepsLog2;  // step = 2^shift
  const size_t steps = (bytes + (size_t{1} << shift) - 1) >> shift;
  // steps is in (8, 16]; 16 is the first step of the next doubling.
  const int doubling = shift + kStepsLog2 - 10;
  const int index = kLinearClasses + (doubling << kStepsLog2) + static_cast<int>(steps) - 9;
  return {index, steps << shift};
}

struct FreeBlock {
  FreeBlock* next;
};

class Statistics {
 public:
  void add_allocation(size_t bytes) {
    allocations_.fetch_add(1, std::memory_order_relaxed);
    const int64_t now = allocated_.fetch_add(static_cast<int64_t>(bytes)) +
                        static_cast<int64_t>(bytes);
    int64_t peak = peak_.load(std::memory_order_relaxed);
    while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
    }
  }
  void remove_allocation(size_t bytes) { allocated_.fetch_sub(static_cast<int64_t>(bytes)); }
  void add_system(size_t bytes) {
    system_allocations_.fetch_add(1, std::memory_order_relaxed);
    reserved_.fetch_add(static_cast<int64_t>(bytes));
  }
  void remove_system(size_t bytes) { reserved_.fetch_sub(static_cast<int64_t>(bytes)); }
  void reset_peak() { peak_.store(allocated_.load()); }

  int64_t cached() const { return reserved_.load() - allocated_.load(); }
  int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  MemoryStats read() const {
    return {.allocated = allocated_.load(),
            .reserved = reserved_.load(),
            .max_allocated = peak_.load(),
            .allocations = allocations_.load(),
            .system_allocations = system_allocations_.load()};
  }

 private:
  std::atomic<int64_t> allocated_{0};
  std::atomic<int64_t> reserved_{0};
  std::atomic<int64_t> peak_{0};
  std::atomic<int64_t> allocations_{0};
  std::atomic<int64_t> system_allocations_{0};
};

// Trivially destroyed, so that tensors of static storage may still be freed at exit.
Statistics statistics;

void* system_allocate(size_t bytes) {
  if (bytes < kHugePage) return std::aligned_alloc(kAlignment, bytes);
  const size_t rounded = (bytes + kHugePage - 1) & ~(kHugePage - 1);
  void* memory = std::aligned_alloc(kHugePage, rounded);
  if (memory != nullptr) madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void system_release(void* memory, size_t bytes) {
  std::free(memory);
  statistics.remove_system(bytes);
}

// Freed blocks of all threads, by class. Never destroyed: see Statistics.
class SharedCache {
 public:
  void* take(int index) {
    const std::lock_guard lock(mutex_);
    FreeBlock* block = heads_[static_cast<size_t>(index)];
    if (block != nullptr) heads_[static_cast<size_t>(index)] = block->next;
    return block;
  }
  void put(void* memory, int index) {
    const std::lock_guard lock(mutex_);
    auto* block = static_cast<FreeBlock*>(memory);
    block->next = heads_[static_cast<size_t>(index)];
    heads_[static_cast<size_t>(index)] = block;
  }
  void release_all(size_t (*bytes_of)(int index)) {
    const std::lock_guard lock(mutex_);
    for (int i = 0; i < kClasses; ++i) {
      FreeBlock*& head = heads_[static_cast<size_t>(i)];
      while (head != nullptr) {
        FreeBlock* next = head->next;
        system_release(head, bytes_of(i));
        head = next;
      }
    }
  }

 private:
  std::mutex mutex_;
  std::array<FreeBlock*, kClasses> heads_{};
};

SharedCache& shared_cache() {
  static auto* cache = new SharedCache;
  return *cache;
}

size_t class_bytes(int index) {
  if (index < kLinearClasses) return static_cast<size_t>(index + 1) * kAlignment;
  const int past = index - kLinearClasses;
  const int doubling = past >> kStepsLog2;
  const size_t steps = static_cast<size_t>(past & ((1 << kStepsLog2) - 1)) + 9;
  return steps << (doubling + 10 - kStepsLog2);
}

constexpr int kThreadClasses = kLinearClasses + (6 << kStepsLog2);  // up to kThreadCachedLimit

struct ThreadCache {
  FreeBlock* heads[kThreadClasses] = {};
  size_t kept[kThreadClasses] = {};  // bytes

  ThreadCache() = default;
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;
  ~ThreadCache();
  void hand_over() {
    for (int i = 0; i < kThreadClasses; ++i) {
      while (FreeBlock* block = heads[i]) {
        heads[i] = block->next;
        shared_cache().put(block, i);
      }
      kept[i] = 0;
    }
  }
};

// Blocks freed after a thread's cache is gone go to the shared one.
thread_local bool cache_is_gone = false;
thread_local ThreadCache thread_cache;

ThreadCache::~ThreadCache() {
  cache_is_gone = true;
  hand_over();
}

[[noreturn, gnu::cold]] void raise_out_of_memory(size_t bytes) {
  const MemoryStats now = statistics.read();
  detail::raise<OutOfMemoryError>("cpu: cannot allocate ", bytes, " bytes; ", now.allocated,
                                  " bytes are in tensors and ", now.reserved - now.allocated,
                                  " are cached");
}

[[gnu::noinline]] void* allocate_from_system(size_t requested, const SizeClass& size) {
  void* memory = system_allocate(size.bytes);
  if (memory == nullptr) {
    empty_cache();
    memory = system_allocate(size.bytes);
    if (memory == nullptr) raise_out_of_memory(requested);
  }
  statistics.add_system(size.bytes);
  return memory;
}

}  // namespace

void* allocate(size_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes > (size_t{1} << 47)) raise_out_of_memory(bytes);
  const SizeClass size = classify(bytes);
  void* memory = nullptr;
#if !defined(__SANITIZE_ADDRESS__)
  if (size.bytes <= kThreadCachedLimit && !cache_is_gone) {
    FreeBlock*& head = thread_cache.heads[size.index];
    if (head != nullptr) {
      memory = head;
      head = head->next;
      thread_cache.kept[size.index] -= size.bytes;
    }
  }
  if (memory == nullptr) memory = shared_cache().take(size.index);
#endif
  if (memory == nullptr) memory = allocate_from_system(bytes, size);
  statistics.add_allocation(size.bytes);
  return memory;
}

void release(void* data, size_t bytes, void*) noexcept {
  if (data == nullptr) return;
  const SizeClass size = classify(bytes);
  statistics.remove_allocation(size.bytes);
#if defined(__SANITIZE_ADDRESS__)
  system_release(data, size.bytes);
#else
  if (size.bytes <= kThreadCachedLimit && !cache_is_gone) {
    ThreadCache& cache = thread_cache;
    if (cache.kept[size.index] < 4 * kThreadCachedLimit) {
      auto* block = static_cast<FreeBlock*>(data);
      block->next = cache.heads[size.index];
      cache.heads[size.index] = block;
      cache.kept[size.index] += size.bytes;
      return;
    }
  }
  if (statistics.cached() > kCacheAllowance + statistics.peak()) {
    system_release(data, size.bytes);
    return;
  }
  shared_cache().put(data, size.index);
#endif
}

MemoryStats memory_stats() { return statistics.read(); }

void reset_peak_memory_stats() { statistics.reset_peak(); }

void empty_cache() {
  if (!cache_is_gone) thread_cache.hand_over();
  shared_cache().release_all(class_bytes);
}

}  // namespace taut::cpu
