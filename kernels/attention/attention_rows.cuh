#pragma once
// Operands of attention as kernels see them, and how kernels are launched.

#include "kernels/api/attention.h"
#include "kernels/api/packs.cuh"
#include "taut/base/check.h"

namespace taut::kernels::cuda {

inline constexpr const char* kAttention = "scaled_dot_product_attention";

/// (batch, heads, length, width) with contiguous rows.
template <class T>
struct Rows {
  T* data;
  RowStrides strides;
  int length;
  int width;
  bool in_packs;  // rows are whole packs of 16 aligned bytes

  __device__ T* head(int batch, int head) const {
    return data + batch * strides.batch + head * strides.head;
  }
};

template <class T, class Data>
Rows<T> make_rows(Data* data, const RowStrides& strides, int64_t length, int64_t width) {
  constexpr int64_t kCount = kPackCount<std::remove_const_t<T>>;
  const bool in_packs = is_aligned(data) && width % kCount == 0 && strides.batch % kCount == 0 &&
                        strides.head % kCount == 0 && strides.row % kCount == 0;
  return {static_cast<T*>(data), strides, static_cast<int>(length), static_cast<int>(width),
          in_packs};
}

/// The same number, of which the compiler does not know that it is the same in each step of a loop:
/// what it would compute of it ahead of the loop can take more registers than there are.
__device__ inline int renewed(int x) {
  asm volatile("" : "+r"(x));
  return x;
}

/// A launch's block number as (batch, head, tile of rows): tiles of a head are neighbours, so that
/// blocks that run together read the same columns from the cache.
struct BlockPlace {
  int batch, head, tile;

  __device__ BlockPlace(int heads, int tiles) {
    const int i = renewed(static_cast<int>(blockIdx.x));
    tile = i % tiles;
    head = i / tiles % heads;
    batch = i / tiles / heads;
  }
};

/// @throws NotImplementedError for what would overflow the numbers of blocks and rows.
inline unsigned block_count(const AttentionShape& shape, int64_t heads, int64_t tiles) {
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  const int64_t blocks = shape.batch * heads * tiles;
  // 2^30: room for tiles that end past the last row.
  TAUT_CHECK(blocks <= kMost && shape.queries <= kMost / 2 && shape.keys <= kMost / 2,
             NotImplementedError, kAttention, ": ", shape.batch, " x ", shape.heads, " heads of ",
             shape.queries, " queries and ", shape.keys,
             " keys are more than the CUDA kernel takes");
  return static_cast<unsigned>(blocks);
}

/// Raises a kernel's limit of shared memory once on each device; says whether it was compiled for
/// compute capability `least` (as 80) or newer.
template <auto kKernel>
bool prepare_kernel(int shared_bytes, int least) {
  enum State : char { kUnknown, kReady, kTooOld };
  static State states[64] = {};  // threads that meet here find the same
  State* state = &states[taut::cuda::launch_device()];
  State found = kUnknown;
  __atomic_load(state, &found, __ATOMIC_RELAXED);
  if (found == kUnknown) {
    cudaFuncAttributes attributes;
    check(kAttention, cudaFuncGetAttributes(&attributes, kKernel));
    const bool is_new = attributes.ptxVersion >= least && attributes.binaryVersion >= least;
    if (is_new && shared_bytes > 48 * 1024) {
      check(kAttention, cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                             shared_bytes));
    }
    found = is_new ? kReady : kTooOld;
    __atomic_store(state, &found, __ATOMIC_RELAXED);
  }
  return found == kReady;
}

}  // namespace taut::kernels::cuda
