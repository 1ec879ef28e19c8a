// The serial matrix product, blocked for registers and caches as in Goto and van de Geijn, "Anatomy
// of high-performance matrix multiplication" (2008), and Van Zee and van de Geijn, "BLIS" (2015).
//
// Note [Products repeat bit for bit]
// Each element of c is one chain of fused multiply-adds over k, cut into blocks of depth_block(k)
// that are added to c in order. Neither the register tile that an element falls into, nor packing,
// nor the number of rows and columns changes that chain, so that callers may cut c among threads as
// they like and get the same bits.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "kernels/api/block_gemm.h"
#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul/block_gemm_cpu.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Register tiles of kTileRows x 2 vectors: 28 accumulators of AVX-512's 32 registers, 12 of 16.
// Tiles of at most kWideRows rows are 4 vectors wide: they read b less often and in longer runs.
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 14;
constexpr int kWideRows = 6;
#else
constexpr int kTileRows = 6;
constexpr int kWideRows = 2;
#endif
constexpr int kTileVectors = 2;
constexpr int kWideVectors = 4;

// Block sizes in elements: a tile of packed b (kDepth x two vectors) stays in L1, a block of a
// (kRows x kDepth) in L2, a panel of b (kDepth x kColumns) in L2 or L3.
template <class T>
constexpr int64_t kDepth = static_cast<int64_t>(2048 / sizeof(T));
constexpr int64_t kRows = kTileRows * 16;
constexpr int64_t kColumns = 1024;
// Rows of packed a are this far apart; the excess keeps them out of one another's cache sets.
template <class T>
constexpr int64_t kPackedStride = kDepth<T> + 16;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The depth of the blocks that k is cut into: about equal ones of at most kDepth.
template <class T>
int64_t depth_block(int64_t k) {
  return divide_up(k, divide_up(k, kDepth<T>));
}

template <class T>
constexpr int64_t lanes_of() {
  return static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
}

// The first `count` lanes; nothing beyond them is touched.
template <class D, class T = hn::TFromD<D>>
hn::Vec<D> load_first(D d, const T* from, int64_t count) {
#if HWY_TARGET <= HWY_AVX2
  return hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count)), d, from);
#else
  alignas(16) T lanes[hn::MaxLanes(d)] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = from[i];
  return hn::Load(d, lanes);
#endif
}

template <class D, class T = hn::TFromD<D>>
void store_first(hn::Vec<D> value, D d, T* to, int64_t count) {
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(value, hn::FirstN(d, static_cast<size_t>(count)), d, to);
#else
  alignas(16) T lanes[hn::MaxLanes(d)];
  hn::Store(value, d, lanes);
  for (int64_t i = 0; i < count; ++i) to[i] = lanes[i];
#endif
}

template <class T>
struct Tile {
  int64_t k;
  const T* a;
  int64_t a_row_stride;
  int64_t a_col_stride;
  const T* b;  // vectors side by side, rows b_row_stride apart
  int64_t b_row_stride;
  T* c;
  int64_t c_row_stride;
  int64_t last;  // columns of the last vector
  T alpha;
  T beta;
};

// c (R rows, V vectors) = alpha * a @ b + beta * c. Iff Ragged, the last vector is cut to tile.last
// columns.
template <class T, int R, int V, bool Ragged>
void run_tile(const Tile<T>& tile) {
  const hn::ScalableTag<T> d;
  using Vec = hn::Vec<decltype(d)>;
  constexpr int64_t kLanes = lanes_of<T>();
  // Few rows read b at the speed of memory, where the hardware's prefetch stops at each row.
  constexpr bool kPrefetch = V == kWideVectors;
  constexpr int64_t kAhead = 8;
  Vec sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
    if (!kPrefetch) hwy::Prefetch(tile.c + r * tile.c_row_stride);
    if (!kPrefetch) hwy::Prefetch(tile.c + r * tile.c_row_stride + (V - 1) * kLanes);
  }
  const T* a = tile.a;
  const T* b = tile.b;
  const int64_t row = tile.a_row_stride;
  for (int64_t p = tile.k; p > 0; --p) {
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      if (kPrefetch) hwy::Prefetch(b + kAhead * tile.b_row_stride + v * kLanes);
      right[v] = Ragged && v == V - 1 ? load_first(d, b + v * kLanes, tile.last)
                                      : hn::LoadU(d, b + v * kLanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec left = hn::Set(d, a[r * row]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
    a += tile.a_col_stride;
    b += tile.b_row_stride;
  }
  const Vec alpha = hn::Set(d, tile.alpha);
  const Vec beta = hn::Set(d, tile.beta);
  const bool reads_c = tile.beta != T(0);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      T* c = tile.c + r * tile.c_row_stride + v * kLanes;
      Vec result = hn::Mul(alpha, sum[r][v]);
      if (Ragged && v == V - 1) {
        if (reads_c) result = hn::MulAdd(beta, load_first(d, c, tile.last), result);
        store_first(result, d, c, tile.last);
      } else {
        if (reads_c) result = hn::MulAdd(beta, hn::LoadU(d, c), result);
        hn::StoreU(result, d, c);
      }
    }
  }
}

// A single row of the product, at the speed that b streams in: sum[j] += a[p] * b[p][j] for a few
// rows of b at a time, `sum` staying in L1. Each sum is the chain that a tile would form.
template <class T, int Group>
void add_rows(const T* a, int64_t a_stride, const T* b, int64_t b_stride, int64_t n, T* sum) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = lanes_of<T>();
  for (int64_t j = 0; j < n; j += kLanes) {
    const bool whole = j + kLanes <= n;
    auto total = hn::LoadU(d, sum + j);
#pragma GCC unroll 8
    for (int i = 0; i < Group; ++i) {
      const T* row = b + i * b_stride + j;
      const auto right = whole ? hn::LoadU(d, row) : load_first(d, row, n - j);
      total = hn::MulAdd(hn::Set(d, a[i * a_stride]), right, total);
    }
    hn::StoreU(total, d, sum + j);
  }
}

template <class T>
using TileFn = void (*)(const Tile<T>&);

template <class T, int V, bool Ragged, int... R>
TileFn<T> tile_of_rows(int rows, std::integer_sequence<int, R...>) {
  static constexpr TileFn<T> kTiles[] = {run_tile<T, R + 1, V, Ragged>...};
  return kTiles[rows - 1];
}

template <class T, bool Ragged>
TileFn<T> tile_function(int rows, int vectors) {
  using Rows = std::make_integer_sequence<int, kTileRows>;
  using FewRows = std::make_integer_sequence<int, kWideRows>;
  if (!Ragged && vectors == kWideVectors) {
    return tile_of_rows<T, kWideVectors, false>(rows, FewRows{});
  }
  if (vectors == kTileVectors) return tile_of_rows<T, kTileVectors, Ragged>(rows, Rows{});
  return tile_of_rows<T, 1, Ragged>(rows, Rows{});
}

// dst[c][r] = src[r][c] for a square of 128-bit vectors (4 x 4 floats, 2 x 2 doubles).
void transpose_square(const float* src, int64_t src_stride, float* dst, int64_t dst_stride) {
  const hn::FixedTag<float, 4> d;
  const hn::FixedTag<double, 2> wide;
  const auto r0 = hn::LoadU(d, src);
  const auto r1 = hn::LoadU(d, src + src_stride);
  const auto r2 = hn::LoadU(d, src + 2 * src_stride);
  const auto r3 = hn::LoadU(d, src + 3 * src_stride);
  const auto low01 = hn::BitCast(wide, hn::InterleaveLower(d, r0, r1));
  const auto low23 = hn::BitCast(wide, hn::InterleaveLower(d, r2, r3));
  const auto high01 = hn::BitCast(wide, hn::InterleaveUpper(d, r0, r1));
  const auto high23 = hn::BitCast(wide, hn::InterleaveUpper(d, r2, r3));
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, low01, low23)), d, dst);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, low01, low23)), d, dst + dst_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveLower(wide, high01, high23)), d, dst + 2 * dst_stride);
  hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(wide, high01, high23)), d, dst + 3 * dst_stride);
}
void transpose_square(const double* src, int64_t src_stride, double* dst, int64_t dst_stride) {
  const hn::FixedTag<double, 2> d;
  const auto r0 = hn::LoadU(d, src);
  const auto r1 = hn::LoadU(d, src + src_stride);
  hn::StoreU(hn::InterleaveLower(d, r0, r1), d, dst);
  hn::StoreU(hn::InterleaveUpper(d, r0, r1), d, dst + dst_stride);
}

// dst[c * dst_stride + r] = src[r * src_stride + c].
template <class T>
void transpose(const T* src, int64_t src_stride, int64_t rows, int64_t cols, T* dst,
               int64_t dst_stride) {
  constexpr int64_t kSide = static_cast<int64_t>(16 / sizeof(T));
  int64_t r = 0;
  for (; r + kSide <= rows; r += kSide) {
    int64_t c = 0;
    for (; c + kSide <= cols; c += kSide) {
      transpose_square(src + r * src_stride + c, src_stride, dst + c * dst_stride + r, dst_stride);
    }
    for (; c < cols; ++c) {
      for (int64_t i = 0; i < kSide; ++i)
        dst[c * dst_stride + r + i] = src[(r + i) * src_stride + c];
    }
  }
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) dst[c * dst_stride + r] = src[r * src_stride + c];
  }
}

// dst[r * dst_stride + c] = src[r][c] for any strides of src.
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

template <class T>
struct Scratch {
  std::unique_ptr<T[]> a;
  std::unique_ptr<T[]> b;
  T* block_of_a() {
    if (!a) a.reset(new T[static_cast<size_t>((kRows + 16) * kPackedStride<T>)]);
    return a.get();
  }
  T* panel_of_b() {
    if (!b) b.reset(new T[static_cast<size_t>((kColumns + 64) * kDepth<T>)]);
    return b.get();
  }
};

template <class T>
Scratch<T>& thread_scratch() {
  thread_local Scratch<T> scratch;
  return scratch;
}

template <class T>
class Product {
 public:
  explicit Product(const BlockGemm<T>& product) : p_(product) {}

  void run() {
    if (p_.k == 0) return scale();
    const int64_t depth = depth_block<T>(p_.k);
    for (int64_t column = 0; column < p_.n; column += kColumns) {
      const int64_t columns = std::min(kColumns, p_.n - column);
      for (int64_t level = 0; level < p_.k; level += depth) {
        panel(column, columns, level, std::min(depth, p_.k - level));
      }
    }
  }

 private:
  static constexpr int64_t kLanes = lanes_of<T>();
  static constexpr int64_t kTileColumns = kTileVectors * kLanes;

  void scale() {
    for (int64_t r = 0; r < p_.m; ++r) {
      T* c = p_.c + r * p_.c_row_stride;
      for (int64_t j = 0; j < p_.n; ++j) c[j] = p_.beta == T(0) ? T(0) : p_.beta * c[j];
    }
  }

  // Adds the product of columns [level, level + depth) of a and these rows of b's panel.
  void panel(int64_t column, int64_t columns, int64_t level, int64_t depth) {
    const T* b = p_.b + level * p_.b_row_stride + column * p_.b_col_stride;
    const bool in_place = use_b_in_place();
    if (in_place && p_.m == 1 && columns >= 4 * kTileColumns) {
      return single_row(b, column, columns, level, depth);
    }
    const int64_t tile_columns =
        in_place && p_.m <= kWideRows ? kWideVectors * kLanes : kTileColumns;
    if (!in_place) b = pack_panel(b, columns, depth);
    const int64_t blocks = divide_up(p_.m, kRows);
    const int64_t block_rows = divide_up(divide_up(p_.m, blocks), kTileRows) * kTileRows;
    for (int64_t row = 0; row < p_.m; row += block_rows) {
      const int64_t rows = std::min(block_rows, p_.m - row);
      Tile<T> tile = left_block(row, rows, level, depth);
      tile.alpha = p_.alpha;
      tile.beta = level == 0 ? p_.beta : T(1);
      tile.c_row_stride = p_.c_row_stride;
      for (int64_t j = 0; j < columns;) {
        int64_t width = std::min(tile_columns, columns - j);
        if (width > kTileColumns && width < tile_columns) width = kTileColumns;
        tile.b = in_place ? b + j : b + j * depth;
        tile.b_row_stride = in_place ? p_.b_row_stride : padded(width);
        tile.c = p_.c + row * p_.c_row_stride + column + j;
        column_of_tiles(tile, rows, width);
        j += width;
      }
    }
  }

  void single_row(const T* b, int64_t column, int64_t columns, int64_t level, int64_t depth) {
    constexpr int kGroup = 8;
    const T* a = p_.a + level * p_.a_col_stride;
    T* sum = thread_scratch<T>().panel_of_b();
    std::fill(sum, sum + padded(columns), T(0));
    int64_t p = 0;
    for (; p + kGroup <= depth; p += kGroup) {
      add_rows<T, kGroup>(a + p * p_.a_col_stride, p_.a_col_stride, b + p * p_.b_row_stride,
                          p_.b_row_stride, columns, sum);
    }
    for (; p < depth; ++p) {
      add_rows<T, 1>(a + p * p_.a_col_stride, p_.a_col_stride, b + p * p_.b_row_stride,
                     p_.b_row_stride, columns, sum);
    }
    const T beta = level == 0 ? p_.beta : T(1);
    T* c = p_.c + column;
    for (int64_t j = 0; j < columns; ++j) {
      c[j] = beta == T(0) ? p_.alpha * sum[j] : p_.alpha * sum[j] + beta * c[j];
    }
  }

  static int64_t padded(int64_t width) { return divide_up(width, kLanes) * kLanes; }

  // Packing b moves k * n elements for the sake of m * k * n products.
  bool use_b_in_place() const {
    return p_.b_col_stride == 1 && (p_.m <= 3 * kTileRows || p_.k * p_.n <= 16 * 1024);
  }

  const T* pack_panel(const T* b, int64_t columns, int64_t depth) {
    T* packed = thread_scratch<T>().panel_of_b();
    for (int64_t j = 0; j < columns; j += kTileColumns) {
      const int64_t width = std::min(kTileColumns, columns - j);
      pack(b + j * p_.b_col_stride, p_.b_row_stride, p_.b_col_stride, depth, width,
           packed + j * depth, padded(width));
    }
    return packed;
  }

  // The block of a, in place when it lies compactly enough not to collide with itself in L1.
  Tile<T> left_block(int64_t row, int64_t rows, int64_t level, int64_t depth) {
    Tile<T> left{};
    left.k = depth;
    left.a = p_.a + row * p_.a_row_stride + level * p_.a_col_stride;
    left.a_row_stride = p_.a_row_stride;
    left.a_col_stride = p_.a_col_stride;
    if (p_.n <= 2 * kTileColumns) return left;
    if (p_.a_col_stride == 1 && p_.a_row_stride <= kPackedStride<T>) return left;
    T* packed = thread_scratch<T>().block_of_a();
    if (p_.a_row_stride == 1) {
      pack(left.a, p_.a_col_stride, int64_t{1}, depth, rows, packed, kRows);
      left.a_row_stride = 1;
      left.a_col_stride = kRows;
    } else {
      pack(left.a, p_.a_row_stride, p_.a_col_stride, rows, depth, packed, kPackedStride<T>);
      left.a_row_stride = kPackedStride<T>;
      left.a_col_stride = 1;
    }
    left.a = packed;
    return left;
  }

  void column_of_tiles(Tile<T> tile, int64_t rows, int64_t width) {
    const int vectors = static_cast<int>(divide_up(width, kLanes));
    const bool ragged = width % kLanes != 0;
    tile.last = width - (vectors - 1) * kLanes;
    // Rows are dealt out evenly, so that no tile is left with one or two of them.
    const int64_t tall = divide_up(rows, divide_up(rows, kTileRows));
    for (int64_t r = 0; r < rows; r += tall) {
      const int height = static_cast<int>(std::min(tall, rows - r));
      const TileFn<T> run_rows = ragged ? tile_function<T, true>(height, vectors)
                                        : tile_function<T, false>(height, vectors);
      run_rows(tile);
      tile.a += tall * tile.a_row_stride;
      tile.c += tall * tile.c_row_stride;
    }
  }

  const BlockGemm<T>& p_;
};

template <class T>
void run_gemm(const BlockGemm<T>& product) {
  Product<T>(product).run();
}

// Four running sums a row hide the latency of the multiply-adds; they are added in a fixed order.
template <class T, int R>
void dot_rows(const T* a, int64_t row_stride, const T* x, int64_t k, T* result) {
  const hn::ScalableTag<T> d;
  using Vec = hn::Vec<decltype(d)>;
  constexpr int kSums = 4;
  constexpr int64_t kLanes = lanes_of<T>();
  Vec sum[R][kSums];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) sum[r][s] = hn::Zero(d);
  }
  int64_t p = 0;
  for (; p + kSums * kLanes <= k; p += kSums * kLanes) {
#pragma GCC unroll 4
    for (int s = 0; s < kSums; ++s) {
      const Vec right = hn::LoadU(d, x + p + s * kLanes);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        sum[r][s] = hn::MulAdd(hn::LoadU(d, a + r * row_stride + p + s * kLanes), right, sum[r][s]);
      }
    }
  }
  for (; p + kLanes <= k; p += kLanes) {
    const Vec right = hn::LoadU(d, x + p);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      sum[r][0] = hn::MulAdd(hn::LoadU(d, a + r * row_stride + p), right, sum[r][0]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    const Vec all = hn::Add(hn::Add(sum[r][0], sum[r][1]), hn::Add(sum[r][2], sum[r][3]));
    T total = hn::GetLane(hn::SumOfLanes(d, all));
    for (int64_t q = p; q < k; ++q) total += a[r * row_stride + q] * x[q];
    result[r] = total;
  }
}

template <class T>
void run_gemv(const BlockGemm<T>& p) {
  constexpr int kGroup = 4;
  T result[kGroup];
  for (int64_t row = 0; row < p.m; row += kGroup) {
    const T* a = p.a + row * p.a_row_stride;
    const int rows = static_cast<int>(std::min<int64_t>(kGroup, p.m - row));
    if (rows == kGroup) {
      dot_rows<T, kGroup>(a, p.a_row_stride, p.b, p.k, result);
    } else {
      for (int r = 0; r < rows; ++r) {
        dot_rows<T, 1>(a + r * p.a_row_stride, p.a_row_stride, p.b, p.k, result + r);
      }
    }
    for (int r = 0; r < rows; ++r) {
      T* y = p.c + (row + r) * p.c_row_stride;
      *y = p.beta == T(0) ? p.alpha * result[r] : p.alpha * result[r] + p.beta * *y;
    }
  }
}

template <class T>
T run_dot(const T* a, const T* b, int64_t n) {
  T result = T(0);
  dot_rows<T, 1>(a, 0, b, n, &result);
  return result;
}

template <class T>
T gelu(T x) {
  return T(0.5) * x * (T(1) + std::erf(x * T(0.70710678118654752)));
}

template <class T>
T gelu_tanh(T x) {
  return T(0.5) * x * (T(1) + std::tanh(T(0.79788456080286536) * (x + T(0.044715) * x * x * x)));
}

template <class T>
void finish_row(T* c, int64_t cols, const T* bias, int64_t bias_stride, Activation activation) {
  if (bias != nullptr && bias_stride == 1) {
    for (int64_t j = 0; j < cols; ++j) c[j] += bias[j];
  } else if (bias != nullptr) {
    for (int64_t j = 0; j < cols; ++j) c[j] += bias[j * bias_stride];
  }
  switch (activation) {
    case Activation::none: return;
    case Activation::relu:
      for (int64_t j = 0; j < cols; ++j) c[j] = c[j] < T(0) ? T(0) : c[j];
      return;
    case Activation::gelu:
      for (int64_t j = 0; j < cols; ++j) c[j] = gelu(c[j]);
      return;
    case Activation::gelu_tanh:
      for (int64_t j = 0; j < cols; ++j) c[j] = gelu_tanh(c[j]);
      return;
  }
}

template <class T>
void run_finish(const GemmFinish<T>& finish) {
  for (int64_t r = 0; r < finish.m; ++r) {
    finish_row(finish.c + r * finish.c_row_stride, finish.n, finish.bias, finish.bias_stride,
               finish.activation);
  }
}

}  // namespace

BlockGemmKernels block_gemm_kernels() {
  BlockGemmKernels table;
  table.gemm_f32 = run_gemm<float>;
  table.gemm_f64 = run_gemm<double>;
  table.gemv_f32 = run_gemv<float>;
  table.gemv_f64 = run_gemv<double>;
  table.finish_f32 = run_finish<float>;
  table.finish_f64 = run_finish<double>;
  table.transpose_f32 = transpose<float>;
  table.transpose_f64 = transpose<double>;
  table.dot_f32 = run_dot<float>;
  table.dot_f64 = run_dot<double>;
  table.column_tile_f32 = kTileVectors * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  table.column_tile_f64 = kTileVectors * static_cast<int64_t>(hn::Lanes(hn::ScalableTag<double>()));
  return table;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(block_gemm_kernels);

const BlockGemmKernels& block_gemm_kernels_cpu() {
  static const BlockGemmKernels table = HWY_DYNAMIC_DISPATCH(block_gemm_kernels)();
  return table;
}

}  // namespace taut::kernels
#endif
