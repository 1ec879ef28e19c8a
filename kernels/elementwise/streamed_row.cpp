#include "kernels/elementwise/streamed_row.h"

#include <algorithm>

#include "kernels/api/streaming.h"

namespace taut::kernels {
namespace {

constexpr int64_t kBlockBytes = 1024;
// How far operands are fetched ahead: the caches' own prefetching stops at the end of a page, and
// waits while a block is streamed.
constexpr int64_t kBytesAhead = 2 * kBlockBytes;

void fetch(const char* data, int64_t bytes) {
  constexpr int64_t kLine = 64;
  for (int64_t i = 0; i < bytes; i += kLine) __builtin_prefetch(data + i);
}

// The loop writes to a block in the first cache, which is streamed from there: one more copy within
// the cache, and no second version of every loop. Small blocks keep reads and writes close together
// in time, so that memory has both to do.
void run_in_blocks(RowFn row, char* const* pointers, int count, int64_t n, int64_t result_size,
                   int64_t operand_size, const double* parameters) {
  alignas(64) char block[kBlockBytes];
  char* shifted[kMaxPointwiseOperands];
  shifted[0] = block;
  const int64_t step = kBlockBytes / std::max(result_size, operand_size);
  for (int64_t begin = 0; begin < n; begin += step) {
    const int64_t length = std::min(step, n - begin);
    for (int k = 1; k < count; ++k) {
      shifted[k] = pointers[k] + begin * operand_size;
      fetch(shifted[k] + kBytesAhead, length * operand_size);
    }
    row(shifted, length, parameters);
    stream_bytes(pointers[0] + begin * result_size, block, length * result_size);
  }
}

}  // namespace

void run_streamed_row(const Streaming& streaming, RowFn row, char* const* pointers, int count,
                      int64_t n, int64_t result_size, int64_t operand_size,
                      const double* parameters) {
  if (streaming.row != nullptr) return streaming.row(pointers, n, parameters);
  run_in_blocks(row, pointers, count, n, result_size, operand_size, parameters);
}

}  // namespace taut::kernels
