// Register tiles over overlapping rows; see shifted_products.h. Each element of a result is one
// chain of multiply-adds in the order of the sum, whatever tile it falls into.

#include <algorithm>
#include <utility>

#include "kernels/api/simd_targets.h"
#include "kernels/conv/shifted_products.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/shifted_products_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::conv_cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET <= HWY_AVX3
constexpr int kTileRows = 14;
constexpr int kWideRows = 6;
#else
constexpr int kTileRows = 6;
constexpr int kWideRows = 2;
#endif
constexpr int kWide = 4;

// Terms of a sum between two writes of the result: what a tile reads stays in the nearer caches.
constexpr int64_t kDepth = 512;

template <class T>
constexpr int64_t lanes_of() {
  return static_cast<int64_t>(hn::MaxLanes(hn::ScalableTag<T>()));
}

// Adds to, or else sets, a tile of c.
template <class T, int R, int V, class Vec>
void store_tile(const Vec (&sum)[R][V], T* c, int64_t stride, bool accumulate) {
  const hn::ScalableTag<T> d;
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      T* to = c + r * stride + v * lanes_of<T>();
      hn::StoreU(accumulate ? hn::Add(hn::LoadU(d, to), sum[r][v]) : sum[r][v], d, to);
    }
  }
}

template <class T>
struct ProductTile {
  int64_t k;
  const T* a;
  const T* source;
  const int64_t* offsets;
  T* c;
  int64_t c_row_stride;
  bool accumulate;
};

template <class T, int R, int V>
void run_product_tile(const ProductTile<T>& tile) {
  const hn::ScalableTag<T> d;
  using Vec = hn::Vec<decltype(d)>;
  Vec sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  const T* a = tile.a;
  const T* source = tile.source;
  const int64_t* const end = tile.offsets + tile.k;
  for (const int64_t* offset = tile.offsets; offset != end; ++offset, a += R) {
    const T* b = source + *offset;
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = hn::LoadU(d, b + v * lanes_of<T>());
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec left = hn::Set(d, a[r]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
  }
  store_tile<T, R, V>(sum, tile.c, tile.c_row_stride, tile.accumulate);
}

template <class T>
struct GradientTile {
  int64_t length;
  const T* source;
  const int64_t* offsets;
  const T* g;
  int64_t g_row_stride;
  T* c;
  int64_t c_row_stride;
};

template <class T, int R, int V>
void run_gradient_tile(const GradientTile<T>& tile) {
  const hn::ScalableTag<T> d;
  using Vec = hn::Vec<decltype(d)>;
  Vec sum[R][V];
  const T* rows[R];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    rows[r] = tile.source + tile.offsets[r];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[r][v] = hn::Zero(d);
  }
  const T* g = tile.g;
  for (int64_t p = 0; p < tile.length; ++p, g += tile.g_row_stride) {
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = hn::LoadU(d, g + v * lanes_of<T>());
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Vec left = hn::Set(d, rows[r][p]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[r][v] = hn::MulAdd(left, right[v], sum[r][v]);
    }
  }
  store_tile<T, R, V>(sum, tile.c, tile.c_row_stride, true);
}

template <class T>
using ProductFn = void (*)(const ProductTile<T>&);
template <class T>
using GradientFn = void (*)(const GradientTile<T>&);

template <class T, int V, int... R>
ProductFn<T> product_of_rows(int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr ProductFn<T> kTiles[] = {run_product_tile<T, R + 1, V>...};
  return kTiles[rows - 1];
}

template <class T, int V, int... R>
GradientFn<T> gradient_of_rows(int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr GradientFn<T> kTiles[] = {run_gradient_tile<T, R + 1, V>...};
  return kTiles[rows - 1];
}

using Rows = std::make_integer_sequence<int, kTileRows>;
using FewRows = std::make_integer_sequence<int, kWideRows>;

template <class T>
void run_product(const ShiftedProduct<T>& p) {
  const bool wide = p.m <= kWideRows && p.n > 2 * lanes_of<T>();
  const int64_t width = (wide ? kWide : 2) * lanes_of<T>();
  for (int64_t level = 0; level < p.k; level += kDepth) {
    const int64_t depth = std::min(kDepth, p.k - level);
    for (int64_t j = 0; j < p.n; j += width) {
      for (int64_t i = 0; i < p.m; i += p.tall) {
        const int64_t rows = std::min(p.tall, p.m - i);
        const ProductTile<T> tile{depth,
                                  p.a + i * p.k + level * rows,
                                  p.source + j,
                                  p.offsets + level,
                                  p.c + i * p.c_row_stride + j,
                                  p.c_row_stride,
                                  level > 0};
        if (wide) {
          product_of_rows<T, kWide>(rows, FewRows{})(tile);
        } else {
          product_of_rows<T, 2>(rows, Rows{})(tile);
        }
      }
    }
  }
}

template <class T>
void run_gradient(const ShiftedGradient<T>& p) {
  const int64_t tiles = (p.m + kTileRows - 1) / kTileRows;
  const int64_t tall = (p.m + tiles - 1) / tiles;
  for (int64_t level = 0; level < p.length; level += kDepth) {
    const int64_t depth = std::min(kDepth, p.length - level);
    for (int64_t j = 0; j < p.n;) {
      const int vectors = p.n - j >= 2 * lanes_of<T>() ? 2 : 1;
      const BlockColumn column = block_of_column(j, p.n, p.g_positions);
      for (int64_t i = 0; i < p.m; i += tall) {
        const int64_t rows = std::min(tall, p.m - i);
        const GradientTile<T> tile{depth,
                                   p.source + level,
                                   p.offsets + i,
                                   p.g + column.start + level * column.row_stride,
                                   column.row_stride,
                                   p.c + i * p.c_row_stride + j,
                                   p.c_row_stride};
        if (vectors == 2) {
          gradient_of_rows<T, 2>(rows, Rows{})(tile);
        } else {
          gradient_of_rows<T, 1>(rows, Rows{})(tile);
        }
      }
      j += vectors * lanes_of<T>();
    }
  }
}

template <class T>
T sum_all(const T* from, int64_t n) {
  const hn::ScalableTag<T> d;
  const int64_t lanes = lanes_of<T>();
  auto low = hn::Zero(d);
  auto high = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    low = hn::Add(low, hn::LoadU(d, from + i));
    high = hn::Add(high, hn::LoadU(d, from + i + lanes));
  }
  T total = hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high)));
  for (; i < n; ++i) total += from[i];
  return total;
}

}  // namespace

ShiftedProducts table() {
  ShiftedProducts result;
  result.product_f32 = run_product<float>;
  result.product_f64 = run_product<double>;
  result.gradient_f32 = run_gradient<float>;
  result.gradient_f64 = run_gradient<double>;
  result.sum_f32 = sum_all<float>;
  result.sum_f64 = sum_all<double>;
  result.tile_rows = kTileRows;
  return result;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels::conv_cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels::conv_cpu {

HWY_EXPORT(table);

const ShiftedProducts& shifted_products() {
  static const ShiftedProducts products = HWY_DYNAMIC_DISPATCH(table)();
  return products;
}

}  // namespace taut::kernels::conv_cpu
#endif
