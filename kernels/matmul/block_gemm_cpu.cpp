// The serial matrix product, blocked for registers and caches as in Goto and van de Geijn, "Anatomy
// of high-performance matrix multiplication" (2008), and Van Zee and van de Geijn, "BLIS" (2015).
//
// Note [Products repeat bit for bit]
// Each element of c is one chain of fused multiply-adds over k, cut into blocks of depth_block(k)
// that are added to c in order. Neither the register tile that an element falls into, nor packing,
// nor the number of rows and columns changes that chain, so that callers may cut c among threads as
// they like and get the same bits. Machines whose registers differ cut k differently.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <utility>

#include "kernels/api/block_gemm.h"
#include "kernels/api/simd_targets.h"
#include "kernels/api/thread_memory.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/matmul/block_gemm_cpu.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/matmul/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {
namespace {

// Register tiles of kTileRows x 2 vectors: 28 accumulators of AVX-512's 32 registers, 12 of 16.
// Tiles of at most kWideRows rows are 4 vectors wide: they read b less often and in longer runs.
// With registers enough they also do for any rows of a result of just that width: a is read only
// once. Tall tiles read so little for what they compute that b may come from L2: their blocks are
// deeper, and each part of c is read and written less often. Of an a that lies by columns they use
// most of the lines that they touch, so that it need not be packed.
#if HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 14;
constexpr int kWideRows = 6;
constexpr bool kPacksWide = true;
constexpr int64_t kDepthBytes = 4096;
constexpr int64_t kDeepRows = kTileRows * 10;
constexpr bool kWalksColumns = true;
#else
constexpr int kTileRows = 6;
constexpr int kWideRows = 2;
constexpr bool kPacksWide = false;
constexpr int64_t kDepthBytes = 2048;
constexpr int64_t kDeepRows = kTileRows * 16;
constexpr bool kWalksColumns = false;
#endif
constexpr int kTileVectors = 2;
constexpr int kWideVectors = 4;

// Block sizes in elements: a tile of packed b (kDepth x two vectors) stays in L1 or L2, a block of
// a (kDeepRows x kDepth, or more rows that are shorter) in L2, a panel of b (kDepth x kColumns) in
// L2 or L3.
template <class T>
constexpr int64_t kDepth = kDepthBytes / static_cast<int64_t>(sizeof(T));
template <class T>
constexpr int64_t kBlockOfA = kDeepRows * kDepth<T>;
constexpr int64_t kMostRows = kTileRows * 16;
constexpr int64_t kColumns = 2048;
// Rows of a turned product that are made at once, and the most columns that it may have.
constexpr int64_t kTurnedRows = 1024;
constexpr int64_t kTurnedColumns = 128;
// Tiles of rows up to which packing b costs more than reading it where it lies, and tiles of
// columns up to which packing a does, fewer where rows of a crowd the first cache.
constexpr int64_t kRowsInPlace = 20;
constexpr int64_t kColumnsInPlace = 32;
constexpr int64_t kColumnsOfCrowdedRows = 8;
// A tile looks so many steps of k ahead into its operands, and fetches its part of c, a row every
// few steps, so many steps before it is due: at the start the operands would push it out, and all
// at once it would take every line buffer and hold them up.
constexpr int64_t kAheadOfA = 16;
constexpr int64_t kAheadOfB = 32;
constexpr int64_t kStepsBeforeC = 48;
constexpr int64_t kStepsPerRowOfC = 2;

// Whether stretches of memory so many elements apart crowd the sets of the first cache: the stride
// is a multiple of so many of its lines of 64 bytes, of which 64 fill each set once.
template <class T>
constexpr bool crowds(int64_t stride, int64_t lines) {
  return stride % (lines * 64 / static_cast<int64_t>(sizeof(T))) == 0;
}

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The depth of the blocks that k is cut into: about equal ones of at most kDepth.
template <class T>
int64_t depth_block(int64_t k) {
  return divide_up(k, divide_up(k, kDepth<T>));
}

// How many rows of this depth a block of a has: whole tiles.
template <class T>
int64_t rows_of_block(int64_t depth) {
  return std::min(kMostRows, kBlockOfA<T> / (kTileRows * depth) * kTileRows);
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
  int64_t a_tile_stride;  // from one tile's rows to those of the tile below
  const T* b;             // vectors side by side, rows b_row_stride apart
  int64_t b_row_stride;
  int64_t b_ahead;  // from what is read of b to what is fetched meanwhile
  T* c;
  int64_t c_row_stride;
  int64_t last;  // columns of the last vector
  T alpha;
  T beta;
};

// sum += `steps` columns of a @ rows of b, both of which move on.
template <class T, int R, int V, bool Ragged, bool HasUnitRows, class Vec>
HWY_INLINE void accumulate(const Tile<T>& tile, int64_t steps, const T*& a, const T*& b,
                           Vec (&sum)[R][V]) {
  const hn::ScalableTag<T> d;
  constexpr int64_t kLanes = lanes_of<T>();
  const int64_t row = HasUnitRows ? 1 : tile.a_row_stride;
  for (; steps > 0; --steps) {
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      hwy::Prefetch(b + tile.b_ahead + v * kLanes);
      right[v] = Ragged && v == V - 1 ? load_first(d, b + v * kLanes, tile.last)
                                      : hn::LoadU(d, b + v * kLanes);
    }
    if (HasUnitRows) {
      const T* ahead = a + kAheadOfA * tile.a_col_stride;
      hwy::Prefetch(ahead);
      hwy::Prefetch(ahead + R - 1);  // which may lie on the next line
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
}

// c (R rows, V vectors) = alpha * a @ b + beta * c. Iff Ragged, the last vector is cut to tile.last
// columns.
template <class T, int R, int V, bool Ragged>
void run_tile(const Tile<T>& tile) {
  const hn::ScalableTag<T> d;
  using Vec = hn::Vec<decltype(d)>;
  constexpr int64_t kLanes = lanes_of<T>();
  Vec sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  const T* a = tile.a;
  const T* b = tile.b;
  int64_t rest = tile.k;
  int64_t steps = std::max<int64_t>(0, rest - kStepsBeforeC);
  for (int row = 0;; ++row) {
    if (tile.a_row_stride == 1) {
      accumulate<T, R, V, Ragged, true>(tile, steps, a, b, sum);
    } else {
      accumulate<T, R, V, Ragged, false>(tile, steps, a, b, sum);
    }
    if (row == R) break;
    hwy::Prefetch(tile.c + row * tile.c_row_stride);
    hwy::Prefetch(tile.c + row * tile.c_row_stride + (V - 1) * kLanes);
    rest -= steps;
    steps = row + 1 == R ? rest : std::min(kStepsPerRowOfC, rest);
  }
  if (tile.alpha != T(1)) {
    const Vec alpha = hn::Set(d, tile.alpha);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] = hn::Mul(alpha, sum[r][v]);
    }
  }
  const Vec beta = hn::Set(d, tile.beta);
  const bool reads_c = tile.beta != T(0);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      T* c = tile.c + r * tile.c_row_stride + v * kLanes;
      Vec result = sum[r][v];
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

template <class T>
T* block_of_a() {
  return thread_memory_of<T>(ThreadMemory::gemm_rows, kBlockOfA<T>);
}
template <class T>
T* panel_of_b() {
  return thread_memory_of<T>(ThreadMemory::gemm_columns,
                             (kColumns + kTileVectors * lanes_of<T>()) * kDepth<T>);
}

template <class T>
class Product {
 public:
  explicit Product(const BlockGemm<T>& product) : p_(product) {}

  void run() {
    if (p_.m == 0 || p_.n == 0) return;
    if (p_.k == 0) return scale();
    if (is_better_turned()) return run_turned();
    run_blocks();
  }

 private:
  static constexpr int64_t kLanes = lanes_of<T>();
  static constexpr int64_t kTileColumns = kTileVectors * kLanes;
  static constexpr int64_t kWideColumns = kWideVectors * kLanes;

  void run_blocks() {
    const int64_t depth = depth_block<T>(p_.k);
    for (int64_t column = 0; column < p_.n; column += kColumns) {
      const int64_t columns = std::min(kColumns, p_.n - column);
      for (int64_t level = 0; level < p_.k; level += depth) {
        panel(column, columns, level, std::min(depth, p_.k - level));
      }
    }
  }

  // The turned product reads b in place, on the left, and copies a and c, which are smaller.
  bool is_better_turned() const {
    return p_.beta == T(0) && (is_better_turned_by_rows() || is_better_turned_by_columns());
  }

  // Few rows with the columns of b side by side: x @ weight^T.
  bool is_better_turned_by_rows() const {
    return p_.b_row_stride == 1 && p_.b_col_stride != 1 && p_.m <= kWideColumns &&
           4 * p_.m * (p_.k + p_.n) <= 3 * p_.n * p_.k;
  }

  // A long sum over the rows of both, grad^T @ x, with an x that cannot be read in place as it is.
  bool is_better_turned_by_columns() const {
    return p_.a_row_stride == 1 && p_.b_col_stride == 1 && can_walk_columns(p_.b_row_stride) &&
           p_.m % kTileColumns == 0 && p_.m <= kTurnedColumns && p_.m < p_.n && p_.k >= 4 * p_.m &&
           !use_b_in_place();
  }

  void run_turned() {
    T* turned = block_of_a<T>();  // its user reads a in place
    static_assert(kWideColumns <= 2 * kTileColumns && kTurnedColumns * kTileRows <= kBlockOfA<T>);
    const int64_t most = std::min(kTurnedRows, kBlockOfA<T> / (kTileRows * p_.m) * kTileRows);
    for (int64_t column = 0; column < p_.n; column += most) {
      BlockGemm<T> part;
      part.m = std::min(most, p_.n - column);
      part.n = p_.m;
      part.k = p_.k;
      part.a = p_.b + column * p_.b_col_stride;
      part.a_row_stride = p_.b_col_stride;
      part.a_col_stride = p_.b_row_stride;
      part.b = p_.a;
      part.b_row_stride = p_.a_col_stride;
      part.b_col_stride = p_.a_row_stride;
      part.c = turned;
      part.c_row_stride = p_.m;
      part.alpha = p_.alpha;
      Product(part).run_blocks();
      transpose(turned, p_.m, part.m, p_.m, p_.c + column, p_.c_row_stride);
    }
  }

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
    const bool wide = in_place ? p_.m <= kWideRows : kPacksWide && p_.n == kWideColumns;
    const int64_t tile_columns = wide ? kWideColumns : kTileColumns;
    tile_rows_ = wide ? kWideRows : kTileRows;
    if (!in_place) b = pack_panel(b, columns, depth, tile_columns);
    const int64_t blocks = divide_up(p_.m, rows_of_block<T>(depth));
    const int64_t block_rows = divide_up(divide_up(p_.m, blocks), tile_rows_) * tile_rows_;
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
        // So many rows below a shallow b in place there is nothing to fetch but the tile beside it.
        tile.b_ahead =
            in_place && depth <= 2 * kAheadOfB ? tile_columns : kAheadOfB * tile.b_row_stride;
        tile.c = p_.c + row * p_.c_row_stride + column + j;
        column_of_tiles(tile, rows, width);
        j += width;
      }
    }
  }

  void single_row(const T* b, int64_t column, int64_t columns, int64_t level, int64_t depth) {
    constexpr int kGroup = 8;
    const T* a = p_.a + level * p_.a_col_stride;
    T* sum = panel_of_b<T>();
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

  // Packing b moves k * n elements for the sake of m * k * n products. A few rows of it lie well
  // for the first cache as they are, and so does all of it for a few rows of a, unless its rows
  // crowd the same sets.
  bool use_b_in_place() const {
    if (p_.b_col_stride != 1) return false;
    constexpr int64_t kFewRows = 64;
    return p_.m <= 3 * kTileRows || p_.k * p_.n <= 16 * 1024 ||
           (p_.k <= kFewRows && !crowds<T>(p_.b_row_stride, 8)) ||
           (p_.m <= kRowsInPlace * kTileRows && !crowds<T>(p_.b_row_stride, 32));
  }

  const T* pack_panel(const T* b, int64_t columns, int64_t depth, int64_t tile_columns) {
    T* packed = panel_of_b<T>();
    int64_t j = 0;
    if (p_.b_col_stride == 1 && tile_columns == kTileColumns) {
      j = pack_groups_of_panels<kTileColumns>(b, p_.b_row_stride, depth, columns, packed);
    }
    for (; j < columns; j += tile_columns) {
      const int64_t width = std::min(tile_columns, columns - j);
      pack(b + j * p_.b_col_stride, p_.b_row_stride, p_.b_col_stride, depth, width,
           packed + j * depth, padded(width));
    }
    return packed;
  }

  // How many rows each tile of a block has: they are dealt out evenly, so that no tile is left with
  // one or two of them.
  int64_t tile_height(int64_t rows) const { return divide_up(rows, divide_up(rows, tile_rows_)); }

  // The block of a, in place where that is read only a few times. Otherwise with the rows of a tile
  // side by side: as they are where a lies by columns, else in panels of a tile each.
  Tile<T> left_block(int64_t row, int64_t rows, int64_t level, int64_t depth) {
    const int64_t height = tile_height(rows);
    Tile<T> left{};
    left.k = depth;
    left.a = p_.a + row * p_.a_row_stride + level * p_.a_col_stride;
    left.a_row_stride = p_.a_row_stride;
    left.a_col_stride = p_.a_col_stride;
    left.a_tile_stride = height * p_.a_row_stride;
    if (reads_a_in_place()) return left;
    T* packed = block_of_a<T>();
    if (p_.a_row_stride == 1) {
      const int64_t stride = rows_of_block<T>(depth);
      pack(left.a, p_.a_col_stride, int64_t{1}, depth, rows, packed, stride);
      left.a_col_stride = stride;
      left.a_tile_stride = height;
    } else {
      for (int64_t r = 0; r < rows; r += height) {
        pack(left.a + r * p_.a_row_stride, p_.a_col_stride, p_.a_row_stride, depth,
             std::min(height, rows - r), packed + r * depth, height);
      }
      left.a_row_stride = 1;
      left.a_col_stride = height;
      left.a_tile_stride = height * depth;
    }
    left.a = packed;
    return left;
  }

  // Whether a tile may walk over columns that lie so far apart.
  static bool can_walk_columns(int64_t stride) { return kWalksColumns && !crowds<T>(stride, 64); }

  bool reads_a_in_place() const {
    if (p_.n <= 2 * kTileColumns) return true;
    if (p_.n > kColumnsInPlace * kTileColumns) return false;
    if (p_.a_col_stride == 1) {
      return p_.n <= kColumnsOfCrowdedRows * kTileColumns || !crowds<T>(p_.a_row_stride, 64);
    }
    return p_.a_row_stride == 1 && can_walk_columns(p_.a_col_stride);
  }

  void column_of_tiles(Tile<T> tile, int64_t rows, int64_t width) {
    const int vectors = static_cast<int>(divide_up(width, kLanes));
    const bool ragged = width % kLanes != 0;
    tile.last = width - (vectors - 1) * kLanes;
    const int64_t tall = tile_height(rows);
    for (int64_t r = 0; r < rows; r += tall) {
      const int height = static_cast<int>(std::min(tall, rows - r));
      const TileFn<T> run_rows = ragged ? tile_function<T, true>(height, vectors)
                                        : tile_function<T, false>(height, vectors);
      run_rows(tile);
      tile.a += tile.a_tile_stride;
      tile.c += tall * tile.c_row_stride;
    }
  }

  const BlockGemm<T>& p_;
  int64_t tile_rows_ = kTileRows;  // the most rows of a tile
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
