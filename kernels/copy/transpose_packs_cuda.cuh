#pragma once
// Transpositions by packs of up to 16 bytes on both sides.
//
// A tile is cut into square blocks of kPack x kPack elements, one for each thread: it loads the
// block's columns as packs, turns them into the packs of its rows within registers, and leaves
// these in shared memory, from where neighbouring threads write the neighbouring packs of a row.

#include "kernels/api/packs.cuh"
#include "kernels/copy/transpose_cuda.cuh"

namespace taut::kernels::cuda {

template <class T>
struct PackTile {
  static constexpr int kSize = static_cast<int>(sizeof(T));
  static constexpr int kPack = kSize == 1 ? 8 : 16 / kSize;
  static constexpr int kWords = kPack * kSize / 4;   // of 32 bits in a pack
  static constexpr int kSide = kSize == 2 ? 8 : 16;  // packs along a side of the tile
  static constexpr int kTile = kSide * kPack;
  static constexpr int kThreads = kSide * kSide;
  using Access = typename AccessWord<kPack * kSize>::type;
};

/// A pack in registers.
template <class Tile>
struct TurnedPack {
  uint32_t words[Tile::kWords];

  __device__ void load(const void* from) {
    const auto access = *static_cast<const typename Tile::Access*>(from);
    memcpy(words, &access, sizeof(words));
  }
  __device__ void store(void* to) const {
    typename Tile::Access access;
    memcpy(&access, words, sizeof(words));
    *static_cast<typename Tile::Access*>(to) = access;
  }
};

/// Word `word` of row `row` of the block whose columns are given.
template <class Tile>
__device__ inline uint32_t turned_word(const TurnedPack<Tile> (&columns)[Tile::kPack], int row,
                                       int word) {
  if constexpr (Tile::kSize == 1) {
    const int from = row / 4, byte = row % 4;
    const unsigned both = static_cast<unsigned>(byte | (4 + byte) << 4);
    const auto pair_of = [&](int column) {
      return __byte_perm(columns[column].words[from], columns[column + 1].words[from], both);
    };
    return __byte_perm(pair_of(4 * word), pair_of(4 * word + 2), 0x5410);
  } else if constexpr (Tile::kSize == 2) {
    return __byte_perm(columns[2 * word].words[row / 2], columns[2 * word + 1].words[row / 2],
                       row % 2 == 0 ? 0x5410 : 0x7632);
  } else {
    constexpr int kWordsOfElement = Tile::kSize / 4;
    return columns[word / kWordsOfElement].words[row * kWordsOfElement + word % kWordsOfElement];
  }
}

/// Rows, columns, strides and addresses are whole packs.
template <class T>
__global__ void __launch_bounds__(PackTile<T>::kThreads)
    transpose_packs_kernel(const __grid_constant__ TransposeParams params) {
  wait_for_stream();
  using Tile = PackTile<T>;
  constexpr int kPack = Tile::kPack, kSide = Tile::kSide;
  __shared__ typename Tile::Access rows[Tile::kTile][kSide];
  const TilePlace place(params, Tile::kTile);
  const int across = static_cast<int>(threadIdx.x) % kSide;
  const int down = static_cast<int>(threadIdx.x) / kSide;

  // Here `across` counts the packs of a column, `down` the columns of blocks. A row's packs change
  // places by the row's block: threads that store packs of one column meet different banks.
  const int64_t block_row = place.row + across * kPack, block_col = place.col + down * kPack;
  if (block_row < params.rows && block_col < params.cols) {
    const T* source = static_cast<const T*>(params.source) + place.source + block_row;
    TurnedPack<Tile> columns[kPack];
#pragma unroll
    for (int k = 0; k < kPack; ++k) {
      columns[k].load(source + (block_col + k) * params.source_col);
    }
#pragma unroll
    for (int k = 0; k < kPack; ++k) {
      TurnedPack<Tile> row;
#pragma unroll
      for (int w = 0; w < Tile::kWords; ++w) row.words[w] = turned_word(columns, k, w);
      row.store(&rows[across * kPack + k][down ^ across]);
    }
  }
  __syncthreads();
  T* target = static_cast<T*>(params.target) + place.target;
  const int64_t col = place.col + across * kPack;
#pragma unroll
  for (int k = 0; k < kPack; ++k) {
    const int in_tile = k * kSide + down;
    const int64_t row = place.row + in_tile;
    if (row >= params.rows || col >= params.cols) continue;
    *reinterpret_cast<typename Tile::Access*>(target + row * params.target_row + col) =
        rows[in_tile][across ^ in_tile / kPack];
  }
}

}  // namespace taut::kernels::cuda
