#pragma once
// Matrix products. Batches broadcast; operands of any strides are multiplied where they lie.

#include <optional>
#include <string_view>
#include <vector>

#include "taut/core/tensor.h"

namespace taut {

/// How exactly GPUs multiply float32 matrices and convolve: "highest" (the default) as float32
/// says, "high" with factors rounded to tf32 (10 bits of mantissa), "medium" to bfloat16 (7 bits),
/// each several times faster than the one before; sums are in float32. The CPU is always exact.
/// @throws ValueError for other names.
TAUT_API void set_float32_matmul_precision(std::string_view precision);
TAUT_API std::string_view get_float32_matmul_precision();

/// (..., m, k) times (..., k, n); a tensor of one dim is a row on the left and a column on the
/// right.
/// @throws ShapeError when the inner sizes differ, DTypeError when the dtypes do.
TAUT_API Tensor matmul(const Tensor& input, const Tensor& other);
/// (m, k) times (k, n).
TAUT_API Tensor mm(const Tensor& input, const Tensor& mat2);
/// (b, m, k) times (b, k, n).
TAUT_API Tensor bmm(const Tensor& input, const Tensor& mat2);
/// (m, k) times (k).
TAUT_API Tensor mv(const Tensor& input, const Tensor& vec);
/// The sum of products of two vectors.
TAUT_API Tensor dot(const Tensor& input, const Tensor& other);
TAUT_API Tensor vdot(const Tensor& input, const Tensor& other);
/// Sums of products over the last dims: inner(a, b)[i, j] = sum_k a[i, k] b[j, k].
TAUT_API Tensor inner(const Tensor& input, const Tensor& other);
/// (m) and (n) to (m, n).
TAUT_API Tensor outer(const Tensor& input, const Tensor& vec2);
TAUT_API Tensor ger(const Tensor& input, const Tensor& vec2);
/// beta * input + alpha * (product).
TAUT_API Tensor addmm(const Tensor& input, const Tensor& mat1, const Tensor& mat2,
                      const Scalar& beta = 1, const Scalar& alpha = 1);
TAUT_API Tensor addmv(const Tensor& input, const Tensor& mat, const Tensor& vec,
                      const Scalar& beta = 1, const Scalar& alpha = 1);
TAUT_API Tensor addr(const Tensor& input, const Tensor& vec1, const Tensor& vec2,
                     const Scalar& beta = 1, const Scalar& alpha = 1);
TAUT_API Tensor baddbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2,
                        const Scalar& beta = 1, const Scalar& alpha = 1);
/// beta * input + alpha * the sum over the batch of batch1 @ batch2.
TAUT_API Tensor addbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2,
                       const Scalar& beta = 1, const Scalar& alpha = 1);
/// Sums of products by subscripts, as in "bij,bjk->bik"; "..." stands for dims that broadcast.
/// @throws ValueError for a malformed equation, ShapeError when sizes of one subscript differ.
TAUT_API Tensor einsum(std::string_view equation, TensorList operands);
inline Tensor einsum(std::string_view equation, std::initializer_list<Tensor> operands) {
  return einsum(equation, TensorList(operands.begin(), operands.size()));
}
/// Sums of products over the last `dims` dims of a and the first of b, or over those listed.
TAUT_API Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims = 2);
TAUT_API Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& dims_a, const Dims& dims_b);
/// The Kronecker product.
TAUT_API Tensor kron(const Tensor& input, const Tensor& other);

namespace linalg {
/// The product of matrices in the order that needs the fewest operations (Cormen et al., 15.2).
TAUT_API Tensor multi_dot(TensorList tensors);
/// A square matrix to an integer power n >= 0.
TAUT_API Tensor matrix_power(const Tensor& input, int64_t n);
/// The dot products of vectors along one dim.
TAUT_API Tensor vecdot(const Tensor& x, const Tensor& y, int64_t dim = -1);
}  // namespace linalg

namespace nn::functional {
/// input (..., in) times weight (out, in) transposed, plus bias (out).
TAUT_API Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias = Tensor());
}  // namespace nn::functional

}  // namespace taut
