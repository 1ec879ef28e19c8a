#pragma once
// The two products that convolutions are made of. Both read a source of which the rows overlap:
// row k is the source from offsets[k] on, so that no column matrix is ever written.

#include <cstdint>

#include "taut/base/macros.h"

namespace taut::kernels::conv_cpu {

/// c[i][j] = sum over k of a[i][k] * source[offsets[k] + j], j < n. `a` is packed: tile after tile
/// of `tall` rows, within a tile k after k. n is rounded up to whole pairs of vectors, both in the
/// reads of source and the writes of c: there is room for kSlack more.
template <class T>
struct ShiftedProduct {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t tall = 0;
  const T* a = nullptr;
  const T* source = nullptr;
  const int64_t* offsets = nullptr;
  T* c = nullptr;
  int64_t c_row_stride = 0;
};

/// c[i][j] += sum over p < length of source[offsets[i] + p] * g[p][j], j < n, where n is a multiple
/// of kColumnUnit. g lies in blocks of kColumnBlock columns, g_positions rows each; the last block
/// is as wide as there are columns left. See block_of_column.
template <class T>
struct ShiftedGradient {
  int64_t m = 0;
  int64_t n = 0;
  int64_t length = 0;
  const T* source = nullptr;
  const int64_t* offsets = nullptr;
  const T* g = nullptr;
  int64_t g_positions = 0;
  T* c = nullptr;
  int64_t c_row_stride = 0;
};

inline constexpr int64_t kSlack = 64;
inline constexpr int64_t kColumnUnit = 16;
inline constexpr int64_t kColumnBlock = 32;

/// Where column j of n begins in a matrix of `positions` rows in blocks of columns, and the
/// distance of its rows.
struct BlockColumn {
  int64_t start;
  int64_t row_stride;
};
inline BlockColumn block_of_column(int64_t j, int64_t n, int64_t positions) {
  const int64_t block = j / kColumnBlock * kColumnBlock;
  const int64_t width = n - block < kColumnBlock ? n - block : kColumnBlock;
  return {block * positions + j - block, width};
}

struct ShiftedProducts {
  void (*product_f32)(const ShiftedProduct<float>&) = nullptr;
  void (*product_f64)(const ShiftedProduct<double>&) = nullptr;
  void (*gradient_f32)(const ShiftedGradient<float>&) = nullptr;
  void (*gradient_f64)(const ShiftedGradient<double>&) = nullptr;
  float (*sum_f32)(const float* from, int64_t n) = nullptr;
  double (*sum_f64)(const double* from, int64_t n) = nullptr;
  int64_t tile_rows = 0;
};

const ShiftedProducts& shifted_products();

inline void run(const ShiftedProduct<float>& p) { shifted_products().product_f32(p); }
inline void run(const ShiftedProduct<double>& p) { shifted_products().product_f64(p); }
inline void run(const ShiftedGradient<float>& p) { shifted_products().gradient_f32(p); }
inline void run(const ShiftedGradient<double>& p) { shifted_products().gradient_f64(p); }
inline float sum(const float* from, int64_t n) { return shifted_products().sum_f32(from, n); }
inline double sum(const double* from, int64_t n) { return shifted_products().sum_f64(from, n); }

/// The rows of a tile when m rows are dealt out evenly.
inline int64_t tile_height(int64_t m) {
  const int64_t most = shifted_products().tile_rows;
  const int64_t tiles = (m + most - 1) / most;
  return (m + tiles - 1) / tiles;
}

}  // namespace taut::kernels::conv_cpu
