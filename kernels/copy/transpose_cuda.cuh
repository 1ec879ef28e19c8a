#pragma once
// Transpositions by tiles in shared memory, so that both sides are read and written in rows.

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/fast_index.cuh"

namespace taut::kernels::cuda {

/// A batch of transpositions: the target is contiguous along its columns, the source along the
/// rows. Strides and offsets in elements.
struct TransposeParams {
  void* target;
  const void* source;
  int64_t rows, cols;
  int64_t target_row, source_col;
  FastDivider row_tiles, col_tiles;  // tiles of one matrix
  FastIndex<2> batch;
};

/// Where the tile of a block begins: its first row and column, and its matrix in both operands.
struct TilePlace {
  int64_t row, col;
  int64_t target, source;

  __device__ TilePlace(const TransposeParams& params, int tile) {
    const uint32_t rest = params.col_tiles.quotient(blockIdx.x);
    const uint32_t matrix = params.row_tiles.quotient(rest);
    row = int64_t{rest - matrix * params.row_tiles.divisor} * tile;
    col = int64_t{blockIdx.x - rest * params.col_tiles.divisor} * tile;
    int64_t at[2];
    params.batch.locate(matrix, at);
    target = at[0];
    source = at[1];
  }
};

constexpr int kTransposeLanes = 32;
constexpr int kTransposeWarps = 8;

/// Rows and columns of a tile: 16-bit elements take larger ones, to keep as many bytes in flight.
template <class T>
inline constexpr int kTransposeTile = sizeof(T) <= 2 ? 64 : 32;

template <class T>
__global__ void __launch_bounds__(kTransposeLanes* kTransposeWarps)
    transpose_kernel(const __grid_constant__ TransposeParams params) {
  wait_for_stream();
  constexpr int kTile = kTransposeTile<T>;
  __shared__ T tile[kTile][kTile + (sizeof(T) <= 2 ? 4 / sizeof(T) : 1)];
  const TilePlace place(params, kTile);
  const int64_t row = place.row, col = place.col;

  const T* source = static_cast<const T*>(params.source) + place.source;
#pragma unroll
  for (int j = threadIdx.y; j < kTile; j += kTransposeWarps) {
#pragma unroll
    for (int i = threadIdx.x; i < kTile; i += kTransposeLanes) {
      if (row + i < params.rows && col + j < params.cols) {
        tile[j][i] = source[row + i + (col + j) * params.source_col];
      }
    }
  }
  __syncthreads();
  T* target = static_cast<T*>(params.target) + place.target;
#pragma unroll
  for (int j = threadIdx.y; j < kTile; j += kTransposeWarps) {
#pragma unroll
    for (int i = threadIdx.x; i < kTile; i += kTransposeLanes) {
      if (row + j < params.rows && col + i < params.cols) {
        target[(row + j) * params.target_row + col + i] = tile[i][j];
      }
    }
  }
}

}  // namespace taut::kernels::cuda
