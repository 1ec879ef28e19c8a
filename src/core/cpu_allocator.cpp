#include "src/core/cpu_allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "src/core/machine_memory.h"
#include "src/core/memory_trace.h"
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

// Blocks up to this size are taken and given back on the way that looks at nothing else:
// kLinearLimit, and 0 while somebody is told of each block.
constinit std::atomic<size_t> short_way_limit{kLinearLimit};
constexpr int kClasses = kLinearClasses + ((48 - 10) << kStepsLog2);

struct SizeClass {
  size_t index;
  size_t bytes;
};

// For 1 to kLinearLimit bytes.
SizeClass classify_small(size_t bytes) {
  const size_t units = (bytes + kAlignment - 1) / kAlignment;
  return {units - 1, units * kAlignment};
}

SizeClass classify(size_t bytes) {
  if (bytes <= kLinearLimit) return classify_small(std::max<size_t>(1, bytes));
  const int shift = static_cast<int>(std::bit_width(bytes - 1)) - 1 - kStepsLog2;  // step = 2^shift
  const size_t steps = (bytes + (size_t{1} << shift) - 1) >> shift;
  // steps is in (8, 16]; 16 is the first step of the next doubling.
  const int doubling = shift + kStepsLog2 - 10;
  const int index = kLinearClasses + (doubling << kStepsLog2) + static_cast<int>(steps) - 9;
  return {static_cast<size_t>(index), steps << shift};
}

struct FreeBlock {
  FreeBlock* next;
};

// The peak is kept to within this many bytes for each thread.
constexpr int64_t kPeakGrain = int64_t{64} << 10;

// Counters of one thread, which alone writes them: plain loads and stores, no locked instruction.
// What a thread holds is a difference, since blocks may be freed on another thread than they came
// from.
struct ThreadCounters {
  std::atomic<int64_t> allocated{0};
  std::atomic<int64_t> allocations{0};
  std::atomic<int64_t> releases{0};

  /// Both: whether `allocated` is now so far from what is published that it must be published.
  bool allocate(int64_t bytes) {
    add(allocations, 1);
    return add(allocated, bytes) >= upper_;
  }
  bool release(int64_t bytes) {
    add(releases, 1);
    return add(allocated, -bytes) <= lower_;
  }
  /// The change of `allocated` since the last call.
  int64_t take_unpublished() {
    const int64_t now = allocated.load(std::memory_order_relaxed);
    const int64_t change = now - (upper_ - kPeakGrain);
    upper_ = now + kPeakGrain;
    lower_ = now - kPeakGrain;
    return change;
  }

 private:
  static int64_t add(std::atomic<int64_t>& counter, int64_t change) {
    const int64_t result = counter.load(std::memory_order_relaxed) + change;
    counter.store(result, std::memory_order_relaxed);
    return result;
  }

  int64_t upper_ = kPeakGrain, lower_ = -kPeakGrain;
};

class Statistics {
 public:
  /// Brings the peak up to date with a thread's counters.
  void publish(ThreadCounters& mine) {
    const int64_t change = mine.take_unpublished();
    const int64_t now = published_.fetch_add(change) + change;
    int64_t peak = peak_.load(std::memory_order_relaxed);
    while (now > peak && !peak_.compare_exchange_weak(peak, now)) {
    }
  }
  void add_system(size_t bytes) {
    system_allocations_.fetch_add(1, std::memory_order_relaxed);
    reserved_.fetch_add(static_cast<int64_t>(bytes));
  }
  void remove_system(size_t bytes) { reserved_.fetch_sub(static_cast<int64_t>(bytes)); }

  void join(ThreadCounters* counters) {
    const std::lock_guard lock(mutex_);
    threads_.push_back(counters);
  }
  void leave(ThreadCounters* counters) {
    const std::lock_guard lock(mutex_);
    gone_allocated_ += counters->allocated.load();
    gone_allocations_ += counters->allocations.load();
    gone_releases_ += counters->releases.load();
    published_.fetch_add(counters->take_unpublished());
    std::erase(threads_, counters);
  }
  /// For a thread whose counters are gone already.
  void add_late(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    (bytes > 0 ? gone_allocations_ : gone_releases_) += 1;
    gone_allocated_ += bytes;
    published_.fetch_add(bytes);
  }
  void reset_peak() { peak_.store(read().allocated); }

  /// Blocks kept for reuse, to within what threads have not published.
  int64_t cached() const { return reserved_.load() - published_.load(); }
  int64_t peak() const { return peak_.load(std::memory_order_relaxed); }
  MemoryStats read() const {
    const std::lock_guard lock(mutex_);
    MemoryStats stats;
    stats.allocated = gone_allocated_;
    stats.allocations = gone_allocations_;
    int64_t releases = gone_releases_;
    for (const ThreadCounters* thread : threads_) {
      stats.allocated += thread->allocated.load(std::memory_order_relaxed);
      stats.allocations += thread->allocations.load(std::memory_order_relaxed);
      releases += thread->releases.load(std::memory_order_relaxed);
    }
    stats.live_allocations = stats.allocations - releases;
    stats.reserved = reserved_.load();
    stats.max_allocated = std::max(peak_.load(), stats.allocated);
    stats.system_allocations = system_allocations_.load();
    return stats;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<ThreadCounters*> threads_;
  int64_t gone_allocated_ = 0;
  int64_t gone_allocations_ = 0;
  int64_t gone_releases_ = 0;
  std::atomic<int64_t> published_{0};
  std::atomic<int64_t> reserved_{0};
  std::atomic<int64_t> peak_{0};
  std::atomic<int64_t> system_allocations_{0};
};

// Never destroyed, so that tensors of static storage may still be freed at exit.
Statistics& statistics() {
  static Statistics& instance = *new Statistics;
  return instance;
}

void* system_allocate(size_t bytes) {
  if (bytes < kHugePage) return std::aligned_alloc(kAlignment, bytes);
  if (bytes > machine_memory()) return nullptr;
  const size_t rounded = (bytes + kHugePage - 1) & ~(kHugePage - 1);
  void* memory = std::aligned_alloc(kHugePage, rounded);
  if (memory != nullptr) madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void system_release(void* memory, size_t bytes) {
  std::free(memory);
  statistics().remove_system(bytes);
}

// Freed blocks of all threads, by class. Never destroyed: see Statistics.
class SharedCache {
 public:
  void* take(size_t index) {
    const std::lock_guard lock(mutex_);
    FreeBlock* block = heads_[index];
    if (block != nullptr) heads_[index] = block->next;
    return block;
  }
  void put(void* memory, size_t index) {
    const std::lock_guard lock(mutex_);
    auto* block = static_cast<FreeBlock*>(memory);
    block->next = heads_[index];
    heads_[index] = block;
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
  ThreadCounters counters;

  ThreadCache() { statistics().join(&counters); }
  ThreadCache(const ThreadCache&) = delete;
  ThreadCache& operator=(const ThreadCache&) = delete;
  ~ThreadCache();

  /// A kept block of this class; null when there is none.
  void* take(const SizeClass& size) {
    FreeBlock* block = heads[size.index];
    if (block == nullptr) return nullptr;
    heads[size.index] = block->next;
    kept[size.index] -= size.bytes;
    return block;
  }
  /// Whether there was room for the block.
  bool keep(void* memory, const SizeClass& size) {
    if (kept[size.index] >= 4 * kThreadCachedLimit) return false;
    auto* block = static_cast<FreeBlock*>(memory);
    block->next = heads[size.index];
    heads[size.index] = block;
    kept[size.index] += size.bytes;
    return true;
  }
  void hand_over() {
    for (size_t i = 0; i < kThreadClasses; ++i) {
      while (FreeBlock* block = heads[i]) {
        heads[i] = block->next;
        shared_cache().put(block, i);
      }
      kept[i] = 0;
    }
  }
};

// The calling thread's cache: null before its first use and after its end.
constinit TAUT_HOT_THREAD_LOCAL ThreadCache* thread_cache = nullptr;

ThreadCache::~ThreadCache() {
  hand_over();
  statistics().leave(&counters);
}

// Ends a thread's cache with the thread; blocks freed after that go to the shared one.
struct CacheOwner {
  std::unique_ptr<ThreadCache> owned = std::make_unique<ThreadCache>();
  ~CacheOwner() { thread_cache = nullptr; }
};

// The cache of a thread that has none yet; null once it is gone.
[[gnu::noinline]] ThreadCache* join() {
  static constinit thread_local bool joined = false;
  if (joined) return nullptr;
  joined = true;
  static thread_local CacheOwner owner;
  thread_cache = owner.owned.get();
  return thread_cache;
}

ThreadCache* my_cache() {
  ThreadCache* mine = thread_cache;
  return TAUT_LIKELY(mine != nullptr) ? mine : join();
}

[[gnu::noinline]] void publish(ThreadCounters& mine) { statistics().publish(mine); }

void count_allocation(ThreadCache* mine, size_t bytes) {
  if (TAUT_UNLIKELY(mine == nullptr)) {
    statistics().add_late(static_cast<int64_t>(bytes));
    return;
  }
  if (mine->counters.allocate(static_cast<int64_t>(bytes))) publish(mine->counters);
}

void count_release(ThreadCache* mine, size_t bytes) {
  if (TAUT_UNLIKELY(mine == nullptr)) {
    statistics().add_late(-static_cast<int64_t>(bytes));
    return;
  }
  if (mine->counters.release(static_cast<int64_t>(bytes))) publish(mine->counters);
}

[[noreturn, gnu::cold]] void raise_out_of_memory(size_t bytes) {
  const MemoryStats now = statistics().read();
  detail::raise<OutOfMemoryError>("cpu: cannot allocate ", bytes, " bytes; ", now.allocated,
                                  " bytes are in tensors and ", now.reserved - now.allocated,
                                  " are cached; the machine has ", machine_memory());
}

[[gnu::noinline]] void* allocate_from_system(size_t requested, const SizeClass& size) {
  void* memory = system_allocate(size.bytes);
  if (memory == nullptr) {
    empty_cache();
    memory = system_allocate(size.bytes);
    if (memory == nullptr) raise_out_of_memory(requested);
  }
  statistics().add_system(size.bytes);
  return memory;
}

// Of any size, from wherever there is memory.
[[gnu::noinline]] void* take_any(size_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes > (size_t{1} << 47)) raise_out_of_memory(bytes);
  const SizeClass size = classify(bytes);
  ThreadCache* mine = my_cache();
  void* memory = nullptr;
#if !defined(__SANITIZE_ADDRESS__)
  if (size.bytes <= kThreadCachedLimit && mine != nullptr) memory = mine->take(size);
  if (memory == nullptr) memory = shared_cache().take(size.index);
#endif
  if (memory == nullptr) memory = allocate_from_system(bytes, size);
  count_allocation(mine, size.bytes);
  return memory;
}

[[gnu::noinline]] void* allocate_any(size_t bytes) {
  void* memory = take_any(bytes);
  const MemorySink* sink = memory_sink();
  if (TAUT_UNLIKELY(sink != nullptr && memory != nullptr)) sink->on_allocate(kCPU, memory, bytes);
  return memory;
}

[[gnu::noinline]] void release_any(void* data, size_t bytes) noexcept {
  if (data == nullptr) return;
  if (const MemorySink* sink = memory_sink()) sink->on_release(kCPU, data, bytes);
  const SizeClass size = classify(bytes);
  ThreadCache* mine = my_cache();
  count_release(mine, size.bytes);
#if defined(__SANITIZE_ADDRESS__)
  system_release(data, size.bytes);
#else
  if (size.bytes <= kThreadCachedLimit && mine != nullptr && mine->keep(data, size)) return;
  if (statistics().cached() > kCacheAllowance + statistics().peak()) {
    system_release(data, size.bytes);
    return;
  }
  shared_cache().put(data, size.index);
#endif
}

}  // namespace

void* allocate(size_t bytes) {
#if !defined(__SANITIZE_ADDRESS__)
  ThreadCache* mine = thread_cache;
  const size_t limit = short_way_limit.load(std::memory_order_relaxed);
  if (TAUT_LIKELY(bytes - 1 < limit && mine != nullptr)) {
    const SizeClass size = classify_small(bytes);
    if (void* memory = mine->take(size)) {
      const bool is_far = mine->counters.allocate(static_cast<int64_t>(size.bytes));
      if (TAUT_UNLIKELY(is_far)) publish(mine->counters);
      return memory;
    }
  }
#endif
  return allocate_any(bytes);
}

void release(void* data, size_t bytes, void*) noexcept {
#if !defined(__SANITIZE_ADDRESS__)
  ThreadCache* mine = thread_cache;
  const size_t limit = short_way_limit.load(std::memory_order_relaxed);
  if (TAUT_LIKELY(bytes - 1 < limit && mine != nullptr)) {
    const SizeClass size = classify_small(bytes);
    if (TAUT_LIKELY(mine->keep(data, size))) {
      const bool is_far = mine->counters.release(static_cast<int64_t>(size.bytes));
      if (TAUT_UNLIKELY(is_far)) publish(mine->counters);
      return;
    }
  }
#endif
  release_any(data, bytes);
}

void set_traced(bool traced) {
  short_way_limit.store(traced ? 0 : kLinearLimit, std::memory_order_relaxed);
}

MemoryStats memory_stats() { return statistics().read(); }

void reset_peak_memory_stats() { statistics().reset_peak(); }

void empty_cache() {
  if (ThreadCache* mine = my_cache()) mine->hand_over();
  shared_cache().release_all(class_bytes);
}

}  // namespace taut::cpu
