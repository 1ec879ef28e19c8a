#pragma once
// Matrices by rows as cuBLASLt, which goes by columns, takes them: c = a b is asked for as
// c^T = b^T a^T, since its columns are our rows.

#include <algorithm>
#include <bit>
#include <optional>

#include "kernels/matmul/cublaslt.h"

namespace taut::kernels::cuda {

/// A matrix in memory as cuBLASLt sees it: columns of contiguous elements, `leading` apart.
struct ColumnMajor {
  int64_t leading;
  bool is_transposed;
};

/// (rows, cols) with these strides, or its transpose, as columns. A dim of size 1 may have any
/// stride.
inline std::optional<ColumnMajor> as_columns(int64_t rows, int64_t cols, int64_t row_stride,
                                             int64_t col_stride) {
  const auto fits = [](int64_t inner, int64_t inner_stride, int64_t outer, int64_t outer_stride) {
    return (inner_stride == 1 || inner == 1) && (outer == 1 || outer_stride >= inner);
  };
  if (fits(rows, row_stride, cols, col_stride)) {
    return ColumnMajor{cols == 1 ? std::max<int64_t>(rows, 1) : col_stride, false};
  }
  if (fits(cols, col_stride, rows, row_stride)) {
    return ColumnMajor{rows == 1 ? std::max<int64_t>(cols, 1) : row_stride, true};
  }
  return std::nullopt;
}

/// log2 of the alignment in bytes, at most 8; 0 for null.
inline int32_t alignment_of(const void* pointer) {
  const auto bits = reinterpret_cast<uintptr_t>(pointer);
  return bits == 0 ? 0 : std::min(std::countr_zero(bits), 8);
}

/// The same of a matrix: of its first element, its columns and those of the next of its batch.
inline int32_t alignment_of(const void* pointer, int64_t item_bytes, int64_t leading,
                            int64_t stride) {
  const auto bits = reinterpret_cast<uintptr_t>(pointer) |
                    static_cast<uintptr_t>(leading * item_bytes) |
                    static_cast<uintptr_t>(stride * item_bytes);
  return std::min(bits == 0 ? 8 : std::countr_zero(bits), 8);
}

/// The sizes and layouts of c (m, n) = a (m, k) b (k, n); the rest of the key is zeros.
inline GemmKey row_major_key(int64_t m, int64_t n, int64_t k, const ColumnMajor& a,
                             const ColumnMajor& b, int64_t c_leading) {
  GemmKey key{};
  key.m = n;
  key.n = m;
  key.k = k;
  key.lda = b.leading;
  key.ldb = a.leading;
  key.ldd = c_leading;
  key.batch = 1;
  // b as columns is b itself where it is "transposed", and cuBLASLt wants b^T.
  key.transpose_a = b.is_transposed ? 0 : 1;
  key.transpose_b = a.is_transposed ? 0 : 1;
  return key;
}

}  // namespace taut::kernels::cuda
