#pragma once
// Copies whose target is contiguous along one dim and whose source along another.

#include <cstddef>
#include <cstdint>

namespace taut::kernels {

/// target[r * target_row + c] = source[r + c * source_col], strides in elements.
struct Transposition {
  void* target;
  const void* source;
  int64_t rows, cols;
  int64_t target_row, source_col;
  size_t size;   // bytes of an element: 1, 2, 4 or 8
  bool streams;  // the result is far larger than the caches: it is written past them
};

/// The columns that are best taken together: as many elements as some cache lines hold.
int64_t transposition_step(size_t size, bool streams);

/// Runs on the caller's thread. Whoever cuts one into pieces cuts the columns at multiples of the
/// step.
void transpose(const Transposition& args);

}  // namespace taut::kernels
