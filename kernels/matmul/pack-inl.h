// Copies of blocks of a matrix in the order in which a product reads them.

#if defined(TAUT_KERNELS_MATMUL_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAUT_KERNELS_MATMUL_PACK_INL_H_
#undef TAUT_KERNELS_MATMUL_PACK_INL_H_
#else
#define TAUT_KERNELS_MATMUL_PACK_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Rows of a matrix lie pages apart, where the hardware does not look ahead: so many rows ahead.
constexpr int64_t kRowsAhead = 8;

/// The rows of the squares that transpose() works on: a block of 16 bytes.
template <class T>
constexpr int64_t kSquare = static_cast<int64_t>(16 / sizeof(T));

/// dst[i * stride ..] = block i of 16 bytes of v.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_blocks(D d, hn::Vec<D> v, T* dst, int64_t stride) {
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(D()));
  if constexpr (kLanes == kSquare<T>) {
    hn::StoreU(v, d, dst);
  } else {
    const hn::Half<D> half;
    constexpr int64_t kBlocks = kLanes / kSquare<T>;
    store_blocks(half, hn::LowerHalf(half, v), dst, stride);
    store_blocks(half, hn::UpperHalf(half, v), dst + kBlocks / 2 * stride, stride);
  }
}

/// dst[c * dst_stride + r] = src[r * src_stride + c] for four rows of a register of columns, which
/// is a row of squares. Column 4 b + i of the source is block b of the i-th result.
template <class D>
HWY_INLINE void transpose_squares(D d, const float* src, int64_t src_stride, float* dst,
                                  int64_t dst_stride) {
  const hn::RepartitionToWide<D> wide;
  const auto r0 = hn::LoadU(d, src);
  const auto r1 = hn::LoadU(d, src + src_stride);
  const auto r2 = hn::LoadU(d, src + 2 * src_stride);
  const auto r3 = hn::LoadU(d, src + 3 * src_stride);
  const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, r2, r3));
  const int64_t square = 4 * dst_stride;
  const auto put = [&](auto columns, int64_t i) HWY_ATTR {
    store_blocks(d, hn::BitCast(d, columns), dst + i * dst_stride, square);
  };
  put(hn::InterleaveLower(wide, low01, low23), 0);
  put(hn::InterleaveUpper(wide, low01, low23), 1);
  put(hn::InterleaveLower(wide, high01, high23), 2);
  put(hn::InterleaveUpper(wide, high01, high23), 3);
}

/// The same for two rows of doubles.
template <class D>
HWY_INLINE void transpose_squares(D d, const double* src, int64_t src_stride, double* dst,
                                  int64_t dst_stride) {
  const auto r0 = hn::LoadU(d, src);
  const auto r1 = hn::LoadU(d, src + src_stride);
  store_blocks(d, hn::InterleaveLower(d, r0, r1), dst, 2 * dst_stride);
  store_blocks(d, hn::InterleaveUpper(d, r0, r1), dst + dst_stride, 2 * dst_stride);
}

#if HWY_TARGET <= HWY_AVX3
/// The same for sixteen rows of sixteen floats, whose columns are registers: squares by rows of
/// squares, then rows of squares by one another.
template <class D>
HWY_INLINE void transpose_register(D d, const float* src, int64_t src_stride, float* dst,
                                   int64_t dst_stride) {
  const hn::RepartitionToWide<D> wide;
  using V = hn::Vec<D>;
  V columns[4][4];  // [i][g]: column 4 b + i of rows 4 g to 4 g + 3 in block b
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    const float* from = src + 4 * g * src_stride;
    const V r0 = hn::LoadU(d, from), r1 = hn::LoadU(d, from + src_stride);
    const V r2 = hn::LoadU(d, from + 2 * src_stride), r3 = hn::LoadU(d, from + 3 * src_stride);
    const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, r0, r1));
    const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, r2, r3));
    const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, r0, r1));
    const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, r2, r3));
    columns[0][g] = hn::BitCast(d, hn::InterleaveLower(wide, low01, low23));
    columns[1][g] = hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23));
    columns[2][g] = hn::BitCast(d, hn::InterleaveLower(wide, high01, high23));
    columns[3][g] = hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const V(&x)[4] = columns[i];
    const V even01 = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(x[1]), x[0]);
    const V even23 = hn::OddEvenBlocks(hn::SwapAdjacentBlocks(x[3]), x[2]);
    const V odd01 = hn::OddEvenBlocks(x[1], hn::SwapAdjacentBlocks(x[0]));
    const V odd23 = hn::OddEvenBlocks(x[3], hn::SwapAdjacentBlocks(x[2]));
    float* to = dst + i * dst_stride;
    hn::StoreU(hn::ConcatLowerLower(d, even23, even01), d, to);
    hn::StoreU(hn::ConcatLowerLower(d, odd23, odd01), d, to + 4 * dst_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, even23, even01), d, to + 8 * dst_stride);
    hn::StoreU(hn::ConcatUpperUpper(d, odd23, odd01), d, to + 12 * dst_stride);
  }
}
#endif

/// dst[c * dst_stride + r] = src[r * src_stride + c] for the rows of a square.
template <class T>
void transpose_narrow(const T* src, int64_t src_stride, int64_t cols, T* dst, int64_t dst_stride) {
  const hn::FixedTag<T, kSquare<T>> block;
  int64_t c = 0;
  for (; c + kSquare<T> <= cols; c += kSquare<T>) {
    transpose_squares(block, src + c, src_stride, dst + c * dst_stride, dst_stride);
  }
  for (; c < cols; ++c) {
    for (int64_t i = 0; i < kSquare<T>; ++i) dst[c * dst_stride + i] = src[i * src_stride + c];
  }
}

/// dst[c * dst_stride + r] = src[r * src_stride + c] for rows of at least a square. A few rows at a
/// time are read to their end; while they are, the next ones are fetched.
template <class T>
void transpose_stretch(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst,
                       int64_t dst_stride) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  int64_t row = 0;
#if HWY_TARGET <= HWY_AVX3
  if constexpr (sizeof(T) == 4) {
    for (; row + kLanes <= rows; row += kLanes) {
      const T* from = src + row * src_stride;
      int64_t c = 0;
      for (; c + kLanes <= cols; c += kLanes) {
        for (int64_t i = kLanes; i < 2 * kLanes; ++i) hwy::Prefetch(from + i * src_stride + c);
        transpose_register(d, from + c, src_stride, dst + c * dst_stride + row, dst_stride);
      }
      if (c == cols) continue;
      for (int64_t r = row; r < row + kLanes; r += kSquare<T>) {
        transpose_narrow(src + r * src_stride + c, src_stride, cols - c, dst + c * dst_stride + r,
                         dst_stride);
      }
    }
  }
#endif
  for (; row < rows; row += kSquare<T>) {
    const int64_t r = std::min(row, rows - kSquare<T>);  // the last squares overlap those before
    const T* from = src + r * src_stride;
    T* to = dst + r;
    int64_t c = 0;
    for (; c + kLanes <= cols; c += kLanes) {
      for (int64_t i = kSquare<T>; i < 2 * kSquare<T>; ++i) {
        hwy::Prefetch(from + i * src_stride + c);
      }
      transpose_squares(d, from + c, src_stride, to + c * dst_stride, dst_stride);
    }
    transpose_narrow(from + c, src_stride, cols - c, to + c * dst_stride, dst_stride);
  }
}

/// dst[c * dst_stride + r] = src[r * src_stride + c], a stretch of columns at a time: what is
/// written of them stays in the first cache until all rows are through.
template <class T>
void transpose(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst,
               int64_t dst_stride) {
  constexpr int64_t kStretch = 128;
  if (rows < kSquare<T>) {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) dst[c * dst_stride + r] = src[r * src_stride + c];
    }
    return;
  }
  for (int64_t c = 0; c < cols; c += kStretch) {
    transpose_stretch(src + c, src_stride, rows, std::min(kStretch, cols - c), dst + c * dst_stride,
                      dst_stride);
  }
}

/// dst[r * dst_stride + c] = src[r][c] for any strides of src.
template <class T>
void pack(const T* src, int64_t row_stride, int64_t col_stride, int64_t rows, int64_t cols, T* dst,
          int64_t dst_stride) {
  if (col_stride == 1) {
    for (int64_t r = 0; r < rows; ++r) {
      std::memcpy(dst + r * dst_stride, src + r * row_stride,
                  static_cast<size_t>(cols) * sizeof(T));
    }
  } else if (row_stride == 1) {
    transpose(src, col_stride, cols, rows, dst, dst_stride);
  } else {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < cols; ++c) {
        dst[r * dst_stride + c] = src[r * row_stride + c * col_stride];
      }
    }
  }
}

/// The first columns of a matrix of unit column stride in panels of kWidth, one after another, the
/// rows of each end to end. Returns how many columns that are: whole groups of panels. A group is
/// walked down together, so that each of its rows is read in one run.
template <int64_t kWidth, class T>
int64_t pack_groups_of_panels(const T* src, int64_t row_stride, int64_t rows, int64_t cols,
                              T* dst) {
  constexpr int64_t kPanels = 4;
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(d));
  static_assert(kWidth % kLanes == 0);
  const int64_t packed = cols - cols % (kPanels * kWidth);
  for (int64_t group = 0; group < packed; group += kPanels * kWidth) {
    for (int64_t r = 0; r < rows; ++r) {
      const T* from = src + r * row_stride + group;
      T* to = dst + group * rows + r * kWidth;
      for (int64_t c = 0; c < kPanels * kWidth; c += kLanes) {
        hwy::Prefetch(from + kRowsAhead * row_stride + c);
        hn::StoreU(hn::LoadU(d, from + c), d, to + c / kWidth * (kWidth * rows) + c % kWidth);
      }
    }
  }
  return packed;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#endif
