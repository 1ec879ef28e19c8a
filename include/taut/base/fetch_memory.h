#pragma once
// Reading ahead of what will be needed.

#include <cstdint>

namespace taut {

/// Begins to bring the memory from `begin` up to `end` into the cache. It need not be there.
inline void fetch_memory(const void* begin, const void* end) {
  constexpr uintptr_t kLine = 64;
  const auto last = reinterpret_cast<uintptr_t>(end);
  for (uintptr_t line = reinterpret_cast<uintptr_t>(begin) & ~(kLine - 1); line < last;
       line += kLine) {
    __builtin_prefetch(reinterpret_cast<const void*>(line));
  }
}

}  // namespace taut
