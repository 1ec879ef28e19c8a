#include "src/core/cuda/caching_allocator.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "taut/base/check.h"

namespace taut::cuda {
namespace {

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }
int64_t as_signed(size_t value) { return static_cast<int64_t>(value); }

// The size of the block that serves a request.
size_t block_size(size_t bytes) {
  return bytes <= kLargestSmall ? size_class(bytes).bytes : round_up(bytes, kLargeUnit);
}

// Addresses cost nothing: a range has room for all of the device's memory and some.
size_t range_bytes(const DeviceMemory& memory) {
  return round_up(memory.total_bytes() + memory.total_bytes() / 8, memory.page_bytes());
}

bool is_in_state(const MemoryBlock* block, BlockState state) {
  return block != nullptr && block->state == state;
}

}  // namespace

SizeClass size_class(size_t bytes) {
  const size_t units = (bytes + kBlockUnit - 1) / kBlockUnit;
  if (units <= 8) return {static_cast<int>(units) - 1, units * kBlockUnit};
  const int shift =
      static_cast<int>(std::bit_width(units - 1)) - 4;  // 0: 9 to 16 units, 1: 17 to 32 ...
  const size_t step = (units - 1) >> shift;             // 8 to 15
  return {shift * 8 + static_cast<int>(step), ((step + 1) << shift) * kBlockUnit};
}

CachingAllocator::CachingAllocator(std::string device, std::unique_ptr<DeviceMemory> memory,
                                   bool is_caching)
    : device_(std::move(device)), memory_(std::move(memory)), is_caching_(is_caching) {}

CachingAllocator::~CachingAllocator() {
  empty_cache();
  for (auto& [key, arena] : arenas_) {
    for (Range* range : {&arena->small, &arena->large}) {
      for (const Reservation& reservation : range->reservations) {
        for (MemoryBlock* block = reservation.first; block != nullptr;) {
          delete std::exchange(block, block->after);
        }
        memory_->unreserve(reservation.address, reservation.bytes);
      }
    }
  }
  while (spare_ != nullptr) delete std::exchange(spare_, spare_->next_cached);
}

// ---- handing out
// ---------------------------------------------------------------------------------

MemoryBlock* CachingAllocator::allocate(size_t bytes, StreamHandle stream, PoolId pool) {
  const std::lock_guard lock(mutex_);
  MemoryBlock* block = TAUT_LIKELY(is_caching_) ? take(arena_of(stream, pool), bytes)
                                                : take_alone(bytes, stream, pool);
  if (TAUT_UNLIKELY(block == nullptr)) raise_out_of_memory(bytes);
  hand_out(block, bytes);
  return block;
}

Arena& CachingAllocator::arena_of(StreamHandle stream, PoolId pool) {
  if (TAUT_LIKELY(last_arena_ != nullptr && last_arena_->stream == stream &&
                  last_arena_->pool == pool)) {
    return *last_arena_;
  }
  std::unique_ptr<Arena>& arena = arenas_[{stream, pool}];
  if (arena == nullptr) {
    arena = std::make_unique<Arena>();
    arena->stream = stream;
    arena->pool = pool;
    arena->small.is_small = true;
    arena->small.arena = arena->large.arena = arena.get();
  }
  last_arena_ = arena.get();
  return *arena;
}

MemoryBlock* CachingAllocator::take(Arena& arena, size_t bytes) {
  if (TAUT_UNLIKELY(bytes > range_bytes(*memory_))) return nullptr;
  const bool is_small = bytes <= kLargestSmall;
  if (TAUT_LIKELY(is_small)) {
    MemoryBlock*& cached = arena.cached[size_class(bytes).index];
    if (TAUT_LIKELY(cached != nullptr)) return std::exchange(cached, cached->next_cached);
  }
  const size_t size = block_size(bytes);
  Range& range = is_small ? arena.small : arena.large;
  if (range.last_freed != nullptr && range.last_freed->size == size) {
    return std::exchange(range.last_freed, nullptr);
  }
  flush_last_freed(range);
  if (MemoryBlock* block = take_free(range, size)) return block;
  if (is_small) flush_cached(arena);
  if (collect_finished() || is_small) {
    flush_last_freed(range);
    if (MemoryBlock* block = take_free(range, size)) return block;
  }
  if (MemoryBlock* block = take_grown(range, size)) return block;
  return take_after_reclaiming(arena, range, size);
}

// The smallest free block that holds `size`, cut to it.
MemoryBlock* CachingAllocator::take_free(Range& range, size_t size) {
  MemoryBlock wanted;
  wanted.size = size;
  const auto found = range.free_blocks.lower_bound(&wanted);
  if (found == range.free_blocks.end()) return nullptr;
  MemoryBlock* block = *found;
  remove(block);
  cut(block, size);
  return block;
}

// Maps memory behind the smallest unmapped block that, with the free block before it, holds `size`.
MemoryBlock* CachingAllocator::take_grown(Range& range, size_t size) {
  MemoryBlock* chosen = nullptr;
  for (int attempt = 0; attempt < 2 && chosen == nullptr; ++attempt) {
    for (MemoryBlock* block : range.unmapped_blocks) {
      const size_t head = is_in_state(block->before, BlockState::free) ? block->before->size : 0;
      if (head + block->size >= size) {
        chosen = block;
        break;
      }
    }
    if (chosen == nullptr && (attempt > 0 || !reserve_more(range, size))) return nullptr;
  }
  MemoryBlock* head = is_in_state(chosen->before, BlockState::free) ? chosen->before : nullptr;
  const size_t missing = size - (head != nullptr ? head->size : 0);
  const size_t bytes = round_up(missing, memory_->page_bytes());
  if (!map(chosen->address, bytes)) return nullptr;
  remove(chosen);
  cut(chosen, bytes);
  if (head != nullptr) {
    remove(head);
    join_with_next(head);
    chosen = head;
  }
  chosen->state = BlockState::free;
  cut(chosen, size);
  return chosen;
}

MemoryBlock* CachingAllocator::take_after_reclaiming(Arena& arena, Range& range, size_t size) {
  if (memory_->is_capturing(arena.stream)) return nullptr;
  ++stats_.retries;
  memory_->synchronize();
  collect_finished();
  for (auto& [key, each] : arenas_) flush_cached(*each);
  if (MemoryBlock* block = take_free(range, size)) return block;
  // What is taken from one block may come back in parts only: each hole keeps its ragged ends.
  while (reclaim(round_up(size, memory_->page_bytes()), arena.pool) > 0) {
    if (MemoryBlock* block = take_grown(range, size)) return block;
  }
  return nullptr;
}

MemoryBlock* CachingAllocator::take_alone(size_t bytes, StreamHandle stream, PoolId pool) {
  if (!is_allowed(bytes)) return nullptr;
  char* address = memory_->allocate_alone(bytes);
  if (address == nullptr) return nullptr;
  MemoryBlock* block = new_block();
  block->address = address;
  block->size = bytes;
  block->stream = stream;
  block->pool = pool;
  alone_.insert(block);
  ++stats_.system_allocations;
  stats_.reserved += as_signed(bytes);
  stats_.max_reserved = std::max(stats_.max_reserved, stats_.reserved);
  return block;
}

void CachingAllocator::hand_out(MemoryBlock* block, size_t bytes) {
  block->state = BlockState::used;
  block->requested = bytes;
  block->next_cached = nullptr;
  ++stats_.allocations;
  ++stats_.live_allocations;
  stats_.requested += as_signed(bytes);
  stats_.allocated += as_signed(block->size);
  stats_.max_allocated = std::max(stats_.max_allocated, stats_.allocated);
}

void CachingAllocator::raise_out_of_memory(size_t bytes) {
  ++stats_.out_of_memory;
  int64_t in_free_blocks = stats_.reserved - stats_.allocated;
  std::string largest;
  std::vector<size_t> sizes;
  for (const auto& [key, arena] : arenas_) {
    for (const Range* range : {&arena->small, &arena->large}) {
      for (const Reservation& reservation : range->reservations) {
        for (MemoryBlock* block = reservation.first; block != nullptr; block = block->after) {
          if (block->state == BlockState::used) sizes.push_back(block->size);
        }
      }
    }
  }
  const size_t shown = std::min<size_t>(sizes.size(), 3);
  std::partial_sort(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(shown), sizes.end(),
                    std::greater<>());
  for (size_t i = 0; i < shown; ++i) largest += concat(i == 0 ? " (the largest: " : ", ", sizes[i]);
  if (shown > 0) largest += ")";
  detail::raise<OutOfMemoryError>(
      "cuda: cannot allocate ", bytes, " bytes on ", device_, "; ", stats_.allocated,
      " bytes are held by ", stats_.live_allocations, " tensors", largest, ", ", in_free_blocks,
      " bytes are cached, ", memory_->free_bytes(), " of the device's ", memory_->total_bytes(),
      " bytes are free", limit_ > 0 ? concat(", and this process may take ", limit_) : "",
      "; use smaller batches, or free tensors that are no longer needed");
}

// ---- giving back
// ---------------------------------------------------------------------------------

void CachingAllocator::free(MemoryBlock* block) noexcept {
  const std::lock_guard lock(mutex_);
  --stats_.live_allocations;
  stats_.requested -= as_signed(block->requested);
  stats_.allocated -= as_signed(block->size);
  block->holder = nullptr;
  if (TAUT_LIKELY(block->users.empty())) {
    give_back(block);
  } else {
    record_users(block);
  }
}

void CachingAllocator::give_back(MemoryBlock* block) {
  if (TAUT_UNLIKELY(block->range == nullptr)) {
    block->state = BlockState::cached;
    if (block->pool == 0) release_alone(block);
    return;
  }
  if (!block->range->is_small) {
    flush_last_freed(*block->range);
    block->state = BlockState::cached;
    block->range->last_freed = block;
    return;
  }
  MemoryBlock*& head = block->range->arena->cached[size_class(block->size).index];
  block->state = BlockState::cached;
  block->next_cached = head;
  head = block;
}

void CachingAllocator::release_alone(MemoryBlock* block) {
  stats_.reserved -= as_signed(block->size);
  memory_->free_alone(block->address);
  alone_.erase(block);
  delete_block(block);
}

void CachingAllocator::flush_last_freed(Range& range) {
  if (range.last_freed != nullptr) add_free(std::exchange(range.last_freed, nullptr));
}

void CachingAllocator::flush_cached(Arena& arena) {
  flush_last_freed(arena.large);
  for (MemoryBlock*& head : arena.cached) {
    while (head != nullptr) add_free(std::exchange(head, head->next_cached));
  }
}

void CachingAllocator::record_stream(MemoryBlock* block, StreamHandle stream) {
  const std::lock_guard lock(mutex_);
  const StreamHandle own = block->range != nullptr ? block->range->arena->stream : block->stream;
  if (stream == own) return;
  if (std::find(block->users.begin(), block->users.end(), stream) == block->users.end()) {
    block->users.push_back(stream);
  }
}

void CachingAllocator::set_holder(MemoryBlock* block, const char* holder) {
  const std::lock_guard lock(mutex_);
  block->holder = holder;
}

// Queues the block behind the work that its users have now. Where an event cannot be recorded, as
// during a capture, that is tried again later.
void CachingAllocator::record_users(MemoryBlock* block) {
  block->state = BlockState::waiting;
  for (const StreamHandle user : block->users) {
    if (memory_->is_capturing(user)) {
      deferred_.push_back(block);
      return;
    }
  }
  for (const StreamHandle user : block->users) {
    if (void* event = memory_->record_event(user)) {
      pending_[user].push_back({event, block});
      ++block->pending_events;
    } else {
      memory_->synchronize();
    }
  }
  block->users.clear();
  if (block->pending_events == 0) give_back(block);
}

// Gives back the blocks whose last event is complete. Each stream has its own queue, so that a slow
// one holds up only its own blocks.
bool CachingAllocator::collect_finished() {
  if (TAUT_LIKELY(pending_.empty() && deferred_.empty())) return false;
  bool any = false;
  std::vector<MemoryBlock*> again;
  again.swap(deferred_);
  for (MemoryBlock* block : again) record_users(block);
  for (auto& [stream, queue] : pending_) {
    if (memory_->is_capturing(stream)) continue;
    while (!queue.empty() && memory_->is_complete(queue.front().event)) {
      memory_->destroy_event(queue.front().event);
      MemoryBlock* block = queue.front().block;
      queue.pop_front();
      if (--block->pending_events > 0) continue;
      give_back(block);
      any = true;
    }
  }
  std::erase_if(pending_, [](const auto& entry) { return entry.second.empty(); });
  return any;
}

// ---- the list of blocks
// --------------------------------------------------------------------------

// Enters a free block, merged with its free neighbours.
void CachingAllocator::add_free(MemoryBlock* block) {
  block->state = BlockState::free;
  block->next_cached = nullptr;
  if (is_in_state(block->after, BlockState::free)) {
    remove(block->after);
    join_with_next(block);
  }
  if (is_in_state(block->before, BlockState::free)) {
    block = block->before;
    remove(block);
    join_with_next(block);
  }
  block->range->free_blocks.insert(block);
}

void CachingAllocator::add_unmapped(MemoryBlock* block) {
  block->state = BlockState::unmapped;
  if (is_in_state(block->after, BlockState::unmapped)) {
    remove(block->after);
    join_with_next(block);
  }
  if (is_in_state(block->before, BlockState::unmapped)) {
    block = block->before;
    remove(block);
    join_with_next(block);
  }
  block->range->unmapped_blocks.insert(block);
}

void CachingAllocator::remove(MemoryBlock* block) {
  (block->state == BlockState::free ? block->range->free_blocks : block->range->unmapped_blocks)
      .erase(block);
}

// Cuts a block that is in no set to `size` and takes it into use; the rest is entered in the state
// that the block had.
void CachingAllocator::cut(MemoryBlock* block, size_t size) {
  const BlockState state = std::exchange(block->state, BlockState::used);
  const size_t left = block->size - size;
  if (left == 0) return;
  MemoryBlock* rest = new_block();
  rest->address = block->address + size;
  rest->size = left;
  rest->range = block->range;
  rest->before = block;
  rest->after = block->after;
  if (rest->after != nullptr) rest->after->before = rest;
  block->after = rest;
  block->size = size;
  if (state == BlockState::unmapped) {
    add_unmapped(rest);
  } else {
    add_free(rest);
  }
}

// Both are in no set.
void CachingAllocator::join_with_next(MemoryBlock* block) {
  MemoryBlock* next = block->after;
  block->size += next->size;
  block->after = next->after;
  if (block->after != nullptr) block->after->before = block;
  delete_block(next);
}

MemoryBlock* CachingAllocator::new_block() {
  MemoryBlock* block = spare_;
  if (block == nullptr) {
    block = new MemoryBlock;
  } else {
    spare_ = std::exchange(block->next_cached, nullptr);
  }
  block->owner = this;
  return block;
}

void CachingAllocator::delete_block(MemoryBlock* block) {
  *block = MemoryBlock{};
  block->next_cached = spare_;
  spare_ = block;
}

// ---- memory of the device
// ------------------------------------------------------------------------

bool CachingAllocator::reserve_more(Range& range, size_t size) {
  const size_t bytes = std::max(range_bytes(*memory_), round_up(size, memory_->page_bytes()));
  char* address = memory_->reserve(bytes);
  if (address == nullptr) return false;
  MemoryBlock* block = new_block();
  block->address = address;
  block->size = bytes;
  block->range = &range;
  range.reservations.push_back({address, bytes, block});
  add_unmapped(block);
  return true;
}

// Whether the process may take so much more from the device.
bool CachingAllocator::is_allowed(size_t bytes) const {
  return limit_ == 0 || stats_.reserved + as_signed(bytes) <= as_signed(limit_);
}

bool CachingAllocator::map(char* address, size_t bytes) {
  if (!is_allowed(bytes) || !memory_->map(address, bytes)) return false;
  ++stats_.system_allocations;
  stats_.reserved += as_signed(bytes);
  stats_.max_reserved = std::max(stats_.max_reserved, stats_.reserved);
  return true;
}

// Takes the memory of whole pages within a free block, which is in its set; returns the bytes.
size_t CachingAllocator::unmap_pages(MemoryBlock* block) {
  const size_t page = memory_->page_bytes();
  const auto begin = reinterpret_cast<uintptr_t>(block->address);
  const uintptr_t first = round_up(begin, page);
  const uintptr_t last = (begin + block->size) / page * page;
  if (first >= last) return 0;
  remove(block);
  const size_t bytes = last - first;
  if (first > begin) {
    // The part before the first page stays free; what follows is entered by cut() and taken out.
    cut(block, first - begin);
    MemoryBlock* pages = block->after;
    remove(pages);
    block->state = BlockState::free;
    block->range->free_blocks.insert(block);
    block = pages;
  }
  cut(block, bytes);
  memory_->unmap(block->address, bytes);
  stats_.reserved -= as_signed(bytes);
  add_unmapped(block);
  return bytes;
}

// Takes about `wanted` bytes from the largest free blocks of a range.
size_t CachingAllocator::reclaim_from(Range& range, size_t wanted) {
  std::vector<MemoryBlock*> blocks(range.free_blocks.rbegin(), range.free_blocks.rend());
  size_t bytes = 0;
  for (MemoryBlock* block : blocks) {
    if (bytes >= wanted || block->size < memory_->page_bytes()) break;
    bytes += unmap_pages(block);
  }
  return bytes;
}

// The device is idle, nothing is cached. Memory of captured graphs is theirs until they are gone.
size_t CachingAllocator::reclaim(size_t wanted, PoolId capturing) {
  size_t bytes = 0;
  for (auto& [key, arena] : arenas_) {
    const bool is_private = arena->pool != 0 && released_pools_.count(arena->pool) == 0;
    if (is_private && arena->pool != capturing) continue;
    for (Range* range : {&arena->large, &arena->small}) {
      if (bytes < wanted) bytes += reclaim_from(*range, wanted - bytes);
    }
  }
  return bytes;
}

void CachingAllocator::empty_cache() {
  const std::lock_guard lock(mutex_);
  memory_->synchronize();
  collect_finished();
  for (auto& [key, arena] : arenas_) flush_cached(*arena);
  reclaim(~size_t{0}, 0);
  drop_empty_arenas();
}

void CachingAllocator::release_pool(PoolId pool) {
  {
    const std::lock_guard lock(mutex_);
    released_pools_.insert(pool);
    const std::set<MemoryBlock*> alone = alone_;
    for (MemoryBlock* block : alone) {
      if (block->pool != pool) continue;
      block->pool = 0;
      if (block->state == BlockState::cached) release_alone(block);
    }
  }
  empty_cache();
}

// Of pools that are gone and have nothing in use.
void CachingAllocator::drop_empty_arenas() {
  std::erase_if(arenas_, [&](auto& entry) {
    Arena& arena = *entry.second;
    if (released_pools_.count(arena.pool) == 0) return false;
    for (const Range* range : {&arena.small, &arena.large}) {
      for (const Reservation& reservation : range->reservations) {
        const MemoryBlock* first = reservation.first;
        if (first->state != BlockState::unmapped || first->after != nullptr) return false;
      }
    }
    for (const Range* range : {&arena.small, &arena.large}) {
      for (const Reservation& reservation : range->reservations) {
        memory_->unreserve(reservation.address, reservation.bytes);
        delete_block(reservation.first);
      }
    }
    return true;
  });
  last_arena_ = nullptr;
  std::erase_if(released_pools_, [&](PoolId pool) {
    return std::none_of(arenas_.begin(), arenas_.end(),
                        [&](const auto& entry) { return entry.second->pool == pool; });
  });
}

void CachingAllocator::set_limit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

// ---- reports
// -------------------------------------------------------------------------------------

MemoryStats CachingAllocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void CachingAllocator::reset_peaks() {
  const std::lock_guard lock(mutex_);
  stats_.max_allocated = stats_.allocated;
  stats_.max_reserved = stats_.reserved;
}

std::vector<BlockReport> CachingAllocator::snapshot() const {
  const std::lock_guard lock(mutex_);
  std::vector<BlockReport> result;
  const auto add = [&](const MemoryBlock& block, StreamHandle stream, PoolId pool) {
    if (block.state == BlockState::unmapped) return;
    const bool is_used = block.state == BlockState::used;
    result.push_back({block.address, block.size, is_used ? block.requested : 0, block.state, stream,
                      pool, block.holder});
  };
  for (const auto& [key, arena] : arenas_) {
    for (const Range* range : {&arena->small, &arena->large}) {
      for (const Reservation& reservation : range->reservations) {
        for (const MemoryBlock* block = reservation.first; block != nullptr; block = block->after) {
          add(*block, arena->stream, arena->pool);
        }
      }
    }
  }
  for (const MemoryBlock* block : alone_) add(*block, block->stream, block->pool);
  return result;
}

}  // namespace taut::cuda
