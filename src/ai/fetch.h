#pragma once
// Reading ahead over many objects of which each is the start of a chain of pointers.
//
// Note [Fetching chains]
// What a piece of a stream needs lies at the end of some pointers: the transfer, its call, its
// reader, its assembler, the text so far. With hundreds of streams none of it is in the cache, and
// to follow one chain is to wait for memory at each step. So fetch(depth) of the first object
// begins to fetch what lies `depth` pointers further: called with 0 for all streams that have
// something to read, then with 1 and so on, memory answers for all of them at the same time.

#include <cstdint>

namespace taut::ai {

/// Begins to bring the memory from `begin` up to `end` into the cache. It need not be there.
inline void fetch_memory(const void* begin, const void* end) {
  constexpr uintptr_t kLine = 64;
  const auto last = reinterpret_cast<uintptr_t>(end);
  for (uintptr_t line = reinterpret_cast<uintptr_t>(begin) & ~(kLine - 1); line < last;
       line += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(line));
  }
}

}  // namespace taut::ai
