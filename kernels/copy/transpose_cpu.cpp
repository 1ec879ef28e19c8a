// Transposition in square tiles that are turned in registers.
//
// A tile is as wide as a register on both sides. Tiles follow one another down the rows: the source
// is then read as a few sequential streams, which the hardware prefetches, and the target is
// written one whole piece of a line at a time, which needs no line to be read before.
//
// Where the target is streamed, a few tiles side by side write a few lines of each row at a time,
// and the next ones' source is fetched into the second cache in the order in which it lies: memory
// likes runs in both directions.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/copy/transpose_cpu.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "kernels/api/prefetch.h"
#include "kernels/copy/transpose.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int64_t kLine = 64;  // bytes of a cache line
// Rows that are walked down before the next columns, where lines stay in the cache until the tile
// beside completes them.
constexpr int64_t kStrip = 256;
// Of a streamed target: lines of a row that are written together, and bytes of a column of the
// source that are walked down. A quarter of a megabyte of source is fetched ahead.
constexpr int64_t kStreamedLines = 4;
constexpr int64_t kStreamedRun = 4096;

// Interleaving the first half with the second, as a perfect shuffle of cards does, and that log2(n)
// times, transposes n vectors of n lanes. Vectors of several blocks of 16 bytes do so in each
// block.
template <class D, int kBlockLanes>
HWY_INLINE void transpose_blocks(D d, hn::Vec<D> (&v)[kBlockLanes]) {
  for (int stage = 1; stage < kBlockLanes; stage *= 2) {
    hn::Vec<D> shuffled[kBlockLanes];
    for (int i = 0; i < kBlockLanes / 2; ++i) {
      shuffled[2 * i] = hn::InterleaveLower(d, v[i], v[i + kBlockLanes / 2]);
      shuffled[2 * i + 1] = hn::InterleaveUpper(d, v[i], v[i + kBlockLanes / 2]);
    }
    for (int i = 0; i < kBlockLanes; ++i) v[i] = shuffled[i];
  }
}

template <class T, class D>
HWY_INLINE void store(D d, hn::Vec<D> value, T* target, bool streams) {
  if (streams) {
    hn::Stream(value, d, target);
  } else {
    hn::StoreU(value, d, target);
  }
}

// One tile of kLanes by kLanes elements. Vector b * kBlockLanes + i holds source column b *
// kBlockLanes + i; after the blocks are transposed, its block k is a piece of the target's row k *
// kBlockLanes + i.
template <class T, bool kStreams>
HWY_INLINE void transpose_tile(T* target, const T* source, int64_t target_row, int64_t source_col) {
  using D = hn::ScalableTag<T>;
  const D d;
  constexpr int kLanes = static_cast<int>(hn::MaxLanes(D()));
  constexpr int kBlockLanes = 16 / static_cast<int>(sizeof(T));
  constexpr int kBlocks = kLanes / kBlockLanes;
  hn::Vec<D> v[kBlocks][kBlockLanes];
  for (int b = 0; b < kBlocks; ++b) {
    for (int i = 0; i < kBlockLanes; ++i) {
      v[b][i] = hn::LoadU(d, source + (b * kBlockLanes + i) * source_col);
    }
    transpose_blocks<D, kBlockLanes>(d, v[b]);
  }
  const auto put = [&](hn::Vec<D> value, int block, int i) HWY_ATTR {
    store(d, value, target + (block * kBlockLanes + i) * target_row, kStreams);
  };
  for (int i = 0; i < kBlockLanes; ++i) {
    if constexpr (kBlocks == 1) {
      put(v[0][i], 0, i);
    } else if constexpr (kBlocks == 2) {
      put(hn::ConcatLowerLower(d, v[1][i], v[0][i]), 0, i);
      put(hn::ConcatUpperUpper(d, v[1][i], v[0][i]), 1, i);
    } else {
      // Blocks 0 and 1 of vectors 0 and 2, of 1 and 3; then blocks 2 and 3.
      const auto swap = [&](hn::Vec<D> x) HWY_ATTR { return hn::SwapAdjacentBlocks(x); };
      const auto low02 = hn::ConcatLowerLower(d, v[2][i], v[0][i]);
      const auto low13 = hn::ConcatLowerLower(d, v[3][i], v[1][i]);
      const auto high02 = hn::ConcatUpperUpper(d, v[2][i], v[0][i]);
      const auto high13 = hn::ConcatUpperUpper(d, v[3][i], v[1][i]);
      put(hn::OddEvenBlocks(swap(low13), low02), 0, i);
      put(hn::OddEvenBlocks(low13, swap(low02)), 1, i);
      put(hn::OddEvenBlocks(swap(high13), high02), 2, i);
      put(hn::OddEvenBlocks(high13, swap(high02)), 3, i);
    }
  }
}

// What is too narrow for a tile: the inner loop runs along the longer side.
template <class T>
void transpose_scalars(T* target, const T* source, int64_t rows, int64_t cols, int64_t target_row,
                       int64_t source_col) {
  if (rows >= cols) {
    for (int64_t c = 0; c < cols; ++c) {
      for (int64_t r = 0; r < rows; ++r) target[r * target_row + c] = source[r + c * source_col];
    }
    return;
  }
  for (int64_t first = 0; first < cols; first += kStrip) {
    const int64_t last = std::min(first + kStrip, cols);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = first; c < last; ++c)
        target[r * target_row + c] = source[r + c * source_col];
    }
  }
}

// Fetches lines of the source in the order of memory, column by column.
class LinesAhead {
 public:
  LinesAhead(const void* column, int64_t column_bytes, int64_t stride_bytes)
      : column_(static_cast<const char*>(column)), bytes_(column_bytes), stride_(stride_bytes) {}

  void fetch() {
    fetch_into_second_cache(column_ + at_);
    at_ += kLine;
    if (at_ < bytes_) return;
    at_ = 0;
    column_ += stride_;
  }

 private:
  const char* column_;
  int64_t bytes_;
  int64_t stride_;
  int64_t at_ = 0;
};

// The tiles of whole registers of a streamed target.
template <class T>
HWY_NOINLINE void stream_tiles(T* target, const T* source, int64_t rows, int64_t cols,
                               int64_t target_row, int64_t source_col) {
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  constexpr int64_t kSize = static_cast<int64_t>(sizeof(T));
  constexpr int64_t kWidth = kStreamedLines * kLine / kSize;
  for (int64_t first = 0; first < cols; first += kWidth) {
    const int64_t last = std::min(first + kWidth, cols);
    LinesAhead ahead(source + (first + kWidth) * source_col, rows * kSize, source_col * kSize);
    for (int64_t r = 0; r < rows; r += kLanes) {
      for (int64_t c = first; c < last; c += kLanes) {
        for (int64_t i = 0; i < kLanes * kLanes * kSize; i += kLine) ahead.fetch();
        transpose_tile<T, true>(target + r * target_row + c, source + r + c * source_col,
                                target_row, source_col);
      }
    }
  }
}

template <class T>
HWY_NOINLINE void transpose_strip(T* target, const T* source, int64_t rows, int64_t cols,
                                  int64_t target_row, int64_t source_col, bool streams) {
  constexpr int64_t kStep = kLine / static_cast<int64_t>(sizeof(T));
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
  const int64_t tiled_rows = rows - rows % kLanes;
  const int64_t tiled_cols = cols - cols % kLanes;
  if (streams) {
    stream_tiles(target, source, tiled_rows, tiled_cols, target_row, source_col);
  } else {
    for (int64_t first = 0; first < tiled_cols; first += kStep) {
      const int64_t last = std::min(first + kStep, tiled_cols);
      for (int64_t r = 0; r < tiled_rows; r += kLanes) {
        for (int64_t c = first; c < last; c += kLanes) {
          transpose_tile<T, false>(target + r * target_row + c, source + r + c * source_col,
                                   target_row, source_col);
        }
      }
    }
  }
  transpose_scalars(target + tiled_rows * target_row, source + tiled_rows, rows - tiled_rows,
                    tiled_cols, target_row, source_col);
  transpose_scalars(target + tiled_cols, source + tiled_cols * source_col, rows, cols - tiled_cols,
                    target_row, source_col);
}

template <class T>
void transpose_elements(const Transposition& args) {
  T* target = static_cast<T*>(args.target);
  const T* source = static_cast<const T*>(args.source);
  const int64_t row_bytes = args.target_row * static_cast<int64_t>(sizeof(T));
  const bool is_aligned =
      reinterpret_cast<uintptr_t>(target) % kLine == 0 && row_bytes % kLine == 0;
  const bool streams = args.streams && is_aligned;
  const int64_t strip = streams ? kStreamedRun / static_cast<int64_t>(sizeof(T)) : kStrip;
  for (int64_t r = 0; r < args.rows; r += strip) {
    transpose_strip<T>(target + r * args.target_row, source + r, std::min(strip, args.rows - r),
                       args.cols, args.target_row, args.source_col, streams);
  }
  if (streams) hwy::FlushStream();
}

void transpose_any(const Transposition& args) {
  switch (args.size) {
    case 1: transpose_elements<uint8_t>(args); return;
    case 2: transpose_elements<uint16_t>(args); return;
    case 4: transpose_elements<uint32_t>(args); return;
    default: transpose_elements<uint64_t>(args); return;
  }
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(transpose_any);

void transpose(const Transposition& args) { HWY_DYNAMIC_DISPATCH(transpose_any)(args); }

int64_t transposition_step(size_t size, bool streams) {
  return (streams ? 256 : 64) / static_cast<int64_t>(size);
}

}  // namespace taut::kernels
#endif
