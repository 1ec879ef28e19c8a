#pragma once
// The serial matrix product that matmul and convolution are built on: one thread, float or double.
// See Note [Products repeat bit for bit] in kernels/matmul/block_gemm_cpu.cpp.

#include <cstdint>

#include "kernels/api/epilogue.h"
#include "taut/base/macros.h"

namespace taut::kernels {

/// c = alpha * a @ b + beta * c; a: (m, k) and b: (k, n) with any strides, c: (m, n) with unit
/// column stride. With beta == 0 c is not read.
template <class T>
struct BlockGemm {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  const T* a = nullptr;
  int64_t a_row_stride = 0;
  int64_t a_col_stride = 0;
  const T* b = nullptr;
  int64_t b_row_stride = 0;
  int64_t b_col_stride = 0;
  T* c = nullptr;
  int64_t c_row_stride = 0;
  T alpha = T(1);
  T beta = T(0);
};

/// c = activation(c + bias), bias (n) along the rows, or null.
template <class T>
struct GemmFinish {
  int64_t m = 0;
  int64_t n = 0;
  T* c = nullptr;
  int64_t c_row_stride = 0;
  const T* bias = nullptr;
  int64_t bias_stride = 1;
  Activation activation = Activation::none;
};

struct BlockGemmKernels {
  void (*gemm_f32)(const BlockGemm<float>& product) = nullptr;
  void (*gemm_f64)(const BlockGemm<double>& product) = nullptr;
  // The same for n == 1, where the columns of a and the rows of b have unit stride and c_row_stride
  // is the stride of c.
  void (*gemv_f32)(const BlockGemm<float>& product) = nullptr;
  void (*gemv_f64)(const BlockGemm<double>& product) = nullptr;
  void (*finish_f32)(const GemmFinish<float>& finish) = nullptr;
  void (*finish_f64)(const GemmFinish<double>& finish) = nullptr;
  // The sum of a[i] * b[i] for unit strides.
  float (*dot_f32)(const float* a, const float* b, int64_t n) = nullptr;
  double (*dot_f64)(const double* a, const double* b, int64_t n) = nullptr;
  // to[c * to_stride + r] = from[r * from_stride + c], r < rows, c < cols.
  void (*transpose_f32)(const float* from, int64_t from_stride, int64_t rows, int64_t cols,
                        float* to, int64_t to_stride) = nullptr;
  void (*transpose_f64)(const double* from, int64_t from_stride, int64_t rows, int64_t cols,
                        double* to, int64_t to_stride) = nullptr;
  int64_t column_tile_f32 = 0;  // the columns that one register tile covers
  int64_t column_tile_f64 = 0;
};

TAUT_API const BlockGemmKernels& block_gemm_kernels_cpu();

inline void block_gemm(const BlockGemm<float>& product) {
  block_gemm_kernels_cpu().gemm_f32(product);
}
inline void block_gemm(const BlockGemm<double>& product) {
  block_gemm_kernels_cpu().gemm_f64(product);
}
inline void block_gemv(const BlockGemm<float>& product) {
  block_gemm_kernels_cpu().gemv_f32(product);
}
inline void block_gemv(const BlockGemm<double>& product) {
  block_gemm_kernels_cpu().gemv_f64(product);
}
inline void finish_gemm(const GemmFinish<float>& finish) {
  block_gemm_kernels_cpu().finish_f32(finish);
}
inline void finish_gemm(const GemmFinish<double>& finish) {
  block_gemm_kernels_cpu().finish_f64(finish);
}
inline void block_transpose(const float* from, int64_t from_stride, int64_t rows, int64_t cols,
                            float* to, int64_t to_stride) {
  block_gemm_kernels_cpu().transpose_f32(from, from_stride, rows, cols, to, to_stride);
}
inline void block_transpose(const double* from, int64_t from_stride, int64_t rows, int64_t cols,
                            double* to, int64_t to_stride) {
  block_gemm_kernels_cpu().transpose_f64(from, from_stride, rows, cols, to, to_stride);
}
inline float block_dot(const float* a, const float* b, int64_t n) {
  return block_gemm_kernels_cpu().dot_f32(a, b, n);
}
inline double block_dot(const double* a, const double* b, int64_t n) {
  return block_gemm_kernels_cpu().dot_f64(a, b, n);
}

}  // namespace taut::kernels
