#pragma once
// How rows of softmax are spread over threads, for the forward and the backward alike.
//
// Note [Softmax rows]
// A row that fits the registers of a block is read once and written once: kFew elements to a thread
// while 1024 threads are enough, kMany beyond. Longer rows are cut into chunks, a block each: one
// kernel leaves what it finds of each chunk in scratch memory, a second folds that and writes.
// Where inner > 1 the threads of a warp take columns side by side, and its block's warps share dim.

#include <type_traits>

#include "kernels/api/row_team.cuh"

namespace taut::kernels::cuda {

constexpr int kFew = 8;
constexpr int kLongThreads = 512;
constexpr int kLongUnroll = 4;
constexpr int64_t kShortestChunk = 16384;

struct ChunkPlan {
  int64_t per_row;  // chunks
  int64_t size;     // elements, but for the last
};

inline ChunkPlan plan_chunks(int64_t rows, int64_t n) {
  // About four blocks to a multiprocessor, and not more chunks than a block has threads.
  const int64_t blocks = int64_t{4} * multiprocessors();
  int64_t wanted = (blocks + rows - 1) / rows;
  const int64_t most = (n + kShortestChunk - 1) / kShortestChunk;
  if (wanted > most) wanted = most;
  if (wanted > kLongThreads) wanted = kLongThreads;
  ChunkPlan plan;
  plan.size = (n + wanted - 1) / wanted;
  plan.per_row = (n + plan.size - 1) / plan.size;
  return plan;
}

/// Whether rows of n elements may be read in packs of 16 bytes.
template <class T>
bool is_packable(int64_t n, const void* a, const void* b, const void* c = nullptr) {
  return n % kPackCount<T> == 0 && is_aligned(a) && is_aligned(b) && is_aligned(c);
}

/// The part of a row that a block of the long kernels works on.
struct Chunk {
  int64_t row, begin, end;
  __device__ Chunk(int64_t n, int64_t per_row, int64_t size) {
    row = blockIdx.x / per_row;
    begin = (blockIdx.x - row * per_row) * size;
    end = begin + size < n ? begin + size : n;
  }
};

constexpr int kColumnLanes = 32;

struct ColumnPlan {
  unsigned blocks;
  int warps;             // that share dim
  int64_t column_tiles;  // of 32 columns
};

inline ColumnPlan plan_columns(int64_t outer, int64_t dim, int64_t inner) {
  ColumnPlan plan;
  plan.column_tiles = (inner + kColumnLanes - 1) / kColumnLanes;
  plan.blocks = static_cast<unsigned>(outer * plan.column_tiles);
  plan.warps = 4;
  while (plan.warps < 32 && plan.warps * 8 < dim) plan.warps *= 2;
  return plan;
}

/// The column of a thread of the kernels for inner > 1.
struct Column {
  int64_t start;  // offset of its first element
  bool exists;
  __device__ Column(int64_t dim, int64_t inner, int64_t column_tiles) {
    const int64_t outer = blockIdx.x / column_tiles;
    const int64_t column = (blockIdx.x - outer * column_tiles) * kColumnLanes + threadIdx.x;
    exists = column < inner;
    start = outer * dim * inner + column;
  }
};

/// The values of a column's warps folded in their order; in every one of them.
template <class T, class Op>
__device__ inline T fold_column(T value, Op op) {
  __shared__ alignas(16) unsigned char memory[32 * kColumnLanes * sizeof(T)];
  T* partial = reinterpret_cast<T*>(memory);
  partial[threadIdx.y * kColumnLanes + threadIdx.x] = value;
  __syncthreads();
  T total = partial[threadIdx.x];
  for (unsigned warp = 1; warp < blockDim.y; ++warp) {
    total = op(total, partial[warp * kColumnLanes + threadIdx.x]);
  }
  return total;
}

}  // namespace taut::kernels::cuda
