#pragma once
// The product of integer matrices, row by row; sums wrap as the dtype does.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "kernels/api/matmul.h"
#include "taut/base/parallel.h"

namespace taut::kernels {

namespace integer_gemm_detail {

// sum[j] = the product of a row of a with column j of b, modulo the width of Sum.
template <class Sum, class T>
void multiply_row(const T* a, int64_t a_stride, const T* b, const GemmArgs& args, Sum* sum) {
  std::fill(sum, sum + args.n, Sum(0));
  for (int64_t p = 0; p < args.k; ++p) {
    const Sum left = static_cast<Sum>(a[p * a_stride]);
    const T* right = b + p * args.b.row_stride;
    if (args.b.col_stride == 1) {
      for (int64_t j = 0; j < args.n; ++j) sum[j] += left * static_cast<Sum>(right[j]);
    } else {
      for (int64_t j = 0; j < args.n; ++j) {
        sum[j] += left * static_cast<Sum>(right[j * args.b.col_stride]);
      }
    }
  }
}

inline int64_t batch_offset(const GemmArgs& args, const Dims& strides, int64_t item) {
  int64_t offset = 0;
  for (int d = args.batch.rank() - 1; d >= 0; --d) {
    offset += item % args.batch[d] * strides[d];
    item /= args.batch[d];
  }
  return offset;
}

}  // namespace integer_gemm_detail

template <class T>
void integer_gemm(const GemmArgs& args) {
  using Sum = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  const T* a = static_cast<const T*>(args.a.data);
  const T* b = static_cast<const T*>(args.b.data);
  const T* bias = static_cast<const T*>(args.bias);
  T* c = static_cast<T*>(args.c.data);
  const Sum alpha = static_cast<Sum>(static_cast<int64_t>(args.alpha));
  const Sum beta = static_cast<Sum>(static_cast<int64_t>(args.beta));
  const int64_t rows = args.n == 0 ? 0 : args.batch.numel() * args.m;
  const int64_t grain = std::max<int64_t>(1, 64 * 1024 / std::max<int64_t>(1, args.n * args.k));
  parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    const std::unique_ptr<Sum[]> sum(new Sum[static_cast<size_t>(args.n)]);
    for (int64_t i = begin; i < end; ++i) {
      using integer_gemm_detail::batch_offset;
      const int64_t item = i / args.m;
      const int64_t row = i % args.m;
      integer_gemm_detail::multiply_row(
          a + batch_offset(args, args.a.batch_strides, item) + row * args.a.row_stride,
          args.a.col_stride, b + batch_offset(args, args.b.batch_strides, item), args, sum.get());
      T* out = c + batch_offset(args, args.c.batch_strides, item) + row * args.c.row_stride;
      for (int64_t j = 0; j < args.n; ++j) {
        T& element = out[j * args.c.col_stride];
        Sum value = alpha * sum[static_cast<size_t>(j)];
        if (beta != 0) value += beta * static_cast<Sum>(element);
        if (bias != nullptr) value += static_cast<Sum>(bias[j * args.bias_stride]);
        element = static_cast<T>(value);
      }
    }
  });
}

}  // namespace taut::kernels
