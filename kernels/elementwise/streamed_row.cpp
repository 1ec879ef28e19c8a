#include "kernels/elementwise/streamed_row.h"

#include <algorithm>

#include "kernels/api/streaming.h"

namespace taut::kernels {

// The loop writes to a block in the first cache, which is streamed from there: one more copy within
// the cache, and no second version of every loop.
void run_streamed_row(RowFn row, char* const* pointers, int count, int64_t n, int64_t result_size,
                      int64_t operand_size, const double* parameters) {
  constexpr int64_t kBlock = 1024;
  alignas(64) char block[kBlock * 8];
  char* shifted[kMaxPointwiseOperands];
  shifted[0] = block;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t length = std::min(kBlock, n - begin);
    for (int k = 1; k < count; ++k) shifted[k] = pointers[k] + begin * operand_size;
    row(shifted, length, parameters);
    stream_bytes(pointers[0] + begin * result_size, block, length * result_size);
  }
}

}  // namespace taut::kernels
