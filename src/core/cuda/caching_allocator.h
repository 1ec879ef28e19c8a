#pragma once
// The allocator of one GPU. Freed blocks are kept and handed out again on the stream that they were
// allocated for, in the order of that stream, so that neither side ever waits.
//
// Note [Blocks and pages]
// Each (stream, pool) has an arena of two ranges of addresses, for blocks of at most 1 MiB and for
// larger ones, far larger than the device's memory. A range is cut into blocks, neighbours in a
// list: used, free (memory behind them) or unmapped (addresses only). A request takes the smallest
// free block that holds it and leaves the rest; a freed block merges with free neighbours. When no
// block is large enough, memory is mapped behind an unmapped block, together with the free block
// before it, so that the arena grows in place. When the device has no memory left, whole pages
// inside of free blocks lose theirs, in whatever arena: what is free can always be used again, up
// to a page at either end of a hole. (Virtual memory as in CUDA's cuMemMap; compare "GMLake",
// ASPLOS 2024.)
//
// Small blocks that are freed do not merge at once but wait in a list for their size class, from
// which most requests are served. Of large ones the last that was freed waits: the next request is
// often for its size.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "src/core/cuda/device_memory.h"
#include "taut/base/macros.h"
#include "taut/core/allocator.h"

namespace taut::cuda {

/// Which allocations share memory: 0 for all that belong to no captured graph.
using PoolId = uint64_t;

struct Range;
class CachingAllocator;

/// cached: free, not merged with its neighbours. waiting: given back, but other streams still use
/// it.
enum class BlockState : uint8_t { unmapped, free, cached, used, waiting };

/// A piece of a range of addresses.
struct MemoryBlock {
  char* address = nullptr;
  size_t size = 0;
  size_t requested = 0;  // what was asked for, while used
  MemoryBlock* before = nullptr;
  MemoryBlock* after = nullptr;
  MemoryBlock* next_cached = nullptr;
  Range* range = nullptr;  // null: a block of its own
  CachingAllocator* owner = nullptr;
  BlockState state = BlockState::unmapped;
  int pending_events = 0;
  const char* holder = nullptr;     // the op whose result it holds, when that is recorded
  std::vector<StreamHandle> users;  // other streams that use it
  // Of a block of its own:
  StreamHandle stream = nullptr;
  PoolId pool = 0;  // of a graph that is not gone, which writes to it even when it is free
};

/// Orders blocks by size, then by address, so that low addresses are used first.
struct SmallerBlock {
  bool operator()(const MemoryBlock* a, const MemoryBlock* b) const {
    return a->size != b->size ? a->size < b->size : a->address < b->address;
  }
};
using BlockSet = std::set<MemoryBlock*, SmallerBlock>;

struct Arena;

/// Addresses reserved at once, and the first of the blocks that they are cut into.
struct Reservation {
  char* address = nullptr;
  size_t bytes = 0;
  MemoryBlock* first = nullptr;
};

/// Addresses of one arena, for small or for large blocks.
struct Range {
  Arena* arena = nullptr;
  bool is_small = false;
  std::vector<Reservation> reservations;
  BlockSet free_blocks;
  BlockSet unmapped_blocks;
  MemoryBlock* last_freed = nullptr;  // of large blocks, in no set
};

/// Sizes that small blocks are rounded up to: 512 bytes apart up to 4 KiB, then eight to each
/// doubling up to 1 MiB.
inline constexpr size_t kBlockUnit = 512;
inline constexpr size_t kLargestSmall = size_t{1} << 20;
inline constexpr size_t kLargeUnit = size_t{64} << 10;
inline constexpr int kSizeClasses = 72;
struct SizeClass {
  int index;
  size_t bytes;
};
/// The class of a request of 1 to kLargestSmall bytes.
TAUT_API SizeClass size_class(size_t bytes);

struct Arena {
  StreamHandle stream = nullptr;
  PoolId pool = 0;
  MemoryBlock* cached[kSizeClasses] = {};
  Range small;
  Range large;
};

/// One entry of a snapshot.
struct BlockReport {
  const void* address;
  size_t size;
  size_t requested;
  BlockState state;
  StreamHandle stream;
  PoolId pool;
  const char* holder;
};

/// Safe from many threads.
class TAUT_API CachingAllocator {
 public:
  /// Without caching each block comes from the device and goes back to it: a tool that watches for
  /// accesses out of bounds then sees the bounds. `device` is how errors name it.
  CachingAllocator(std::string device, std::unique_ptr<DeviceMemory> memory,
                   bool is_caching = true);
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;
  /// Nothing may be in use any more.
  ~CachingAllocator();

  /// At least `bytes`, which is not 0, for use on `stream`.
  /// @throws OutOfMemoryError that tells what was asked for, what is held and what is free.
  MemoryBlock* allocate(size_t bytes, StreamHandle stream, PoolId pool = 0);
  /// Work on the block's own stream may still be under way.
  void free(MemoryBlock* block) noexcept;
  /// The block is not handed out again before the work that will be on `stream` when it is freed is
  /// done.
  void record_stream(MemoryBlock* block, StreamHandle stream);
  /// Says whose result the block holds, for snapshots. `holder` must never go away.
  void set_holder(MemoryBlock* block, const char* holder);

  /// Gives all memory of free blocks back to the device, after waiting for it.
  void empty_cache();
  /// Nothing is allocated in `pool` any more: its free memory goes back, the rest as it is freed.
  void release_pool(PoolId pool);
  /// At most so many bytes are taken from the device; 0 for no limit.
  void set_limit(size_t bytes);

  MemoryStats stats() const;
  void reset_peaks();
  /// Every block that has memory, in the order of addresses within each range.
  std::vector<BlockReport> snapshot() const;

 private:
  struct PendingEvent {
    void* event;
    MemoryBlock* block;
  };

  Arena& arena_of(StreamHandle stream, PoolId pool);
  MemoryBlock* take(Arena& arena, size_t bytes);
  MemoryBlock* take_free(Range& range, size_t size);
  MemoryBlock* take_grown(Range& range, size_t size);
  MemoryBlock* take_after_reclaiming(Arena& arena, Range& range, size_t size);
  MemoryBlock* take_alone(size_t bytes, StreamHandle stream, PoolId pool);
  void release_alone(MemoryBlock* block);
  void hand_out(MemoryBlock* block, size_t bytes);
  void give_back(MemoryBlock* block);
  void add_free(MemoryBlock* block);
  void add_unmapped(MemoryBlock* block);
  void remove(MemoryBlock* block);
  void cut(MemoryBlock* block, size_t size);
  void join_with_next(MemoryBlock* block);
  bool reserve_more(Range& range, size_t size);
  bool is_allowed(size_t bytes) const;
  bool map(char* address, size_t bytes);
  void flush_last_freed(Range& range);
  void flush_cached(Arena& arena);
  bool collect_finished();
  void record_users(MemoryBlock* block);
  size_t reclaim(size_t wanted, PoolId capturing);
  size_t reclaim_from(Range& range, size_t wanted);
  size_t unmap_pages(MemoryBlock* block);
  void drop_empty_arenas();
  MemoryBlock* new_block();
  void delete_block(MemoryBlock* block);
  [[noreturn]] void raise_out_of_memory(size_t bytes);

  const std::string device_;
  const std::unique_ptr<DeviceMemory> memory_;
  const bool is_caching_;
  mutable std::mutex mutex_;
  std::map<std::pair<StreamHandle, PoolId>, std::unique_ptr<Arena>> arenas_;
  Arena* last_arena_ = nullptr;
  std::set<PoolId> released_pools_;
  std::unordered_map<StreamHandle, std::deque<PendingEvent>> pending_;
  std::vector<MemoryBlock*> deferred_;  // freed while events could not be recorded
  std::set<MemoryBlock*> alone_;        // blocks of their own
  MemoryBlock* spare_ = nullptr;        // MemoryBlocks to use again
  MemoryStats stats_;
  size_t limit_ = 0;
};

}  // namespace taut::cuda
