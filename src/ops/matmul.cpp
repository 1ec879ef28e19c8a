#include "taut/ops/matmul.h"

#include <algorithm>

#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "src/ops/fused_product.h"
#include "src/ops/precision.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using autograd::record;
using ops::as_rows;
using ops::undefined;

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  ops::check_defined(op, "input", a);
  ops::check_defined(op, "other", b);
  ops::check_same_device(op, a, b);
  TAUT_CHECK(a.dtype() == b.dtype(), DTypeError, op, ": dtypes differ; got ", a.dtype(), " and ",
             b.dtype());
  TAUT_CHECK(a.dtype() != kBool, DTypeError, op, ": not defined for bool");
}

Dims batch_of(const Dims& shape) {
  Dims batch = shape;
  batch.erase(batch.rank() - 1);
  batch.erase(batch.rank() - 1);
  return batch;
}

kernels::MatrixInput matrix_input(const Tensor& tensor, const Dims& batch) {
  const int rank = tensor.dim();
  kernels::MatrixInput matrix;
  matrix.data = tensor.data_ptr();
  matrix.row_stride = tensor.strides()[rank - 2];
  matrix.col_stride = tensor.strides()[rank - 1];
  matrix.batch_strides = Dims::filled(batch.rank(), 0);
  const int added = batch.rank() - (rank - 2);
  for (int i = 0; i < rank - 2; ++i) {
    if (tensor.shape()[i] != 1) matrix.batch_strides[i + added] = tensor.strides()[i];
  }
  return matrix;
}

// The product of matrices (at least two dims each), without checks and off the tape.
Tensor multiply_matrices(const Tensor& a, const Tensor& b, const Dims& batch,
                         const Tensor& bias = Tensor()) {
  const int64_t m = a.shape()[a.dim() - 2];
  const int64_t n = b.shape()[b.dim() - 1];
  Dims shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Tensor output = ops::allocate(shape, a.dtype(), a.device());
  if (output.numel() == 0) return output;
  kernels::GemmArgs args;
  args.dtype = a.dtype();
  args.m = m;
  args.n = n;
  args.k = a.shape()[a.dim() - 1];
  args.batch = batch;
  args.a = matrix_input(a, batch);
  args.b = matrix_input(b, batch);
  args.c.data = output.data_ptr();
  args.c.row_stride = n;
  args.c.col_stride = 1;
  args.c.batch_strides = output.strides();
  args.c.batch_strides.erase(args.c.batch_strides.rank() - 1);
  args.c.batch_strides.erase(args.c.batch_strides.rank() - 1);
  args.precision = ops::float32_precision();
  if (bias.defined()) {
    args.bias = bias.data_ptr();
    args.bias_stride = bias.strides()[0];
  }
  ops::kernels_of(a).matmul.gemm(args);
  return output;
}

Tensor matrix_product(const Tensor& a, const Tensor& b);

// c = a b: grad_a = grad_c b^T, grad_b = a^T grad_c; the engine sums over broadcast batches.
void matmul_backward(BackwardContext& context) {
  const Tensor& grad = context.grad();
  if (context.needs(0)) {
    context.set(0, matrix_product(grad, transpose(context.saved(1), -2, -1)));
  }
  if (context.needs(1)) {
    const Tensor a = context.saved(0);
    // A matrix shared by the whole batch: one product over all rows, instead of one each and a sum.
    const bool shared =
        context.node().edges()[1].node->outputs()[context.node().edges()[1].slot].shape.rank() == 2;
    context.set(1, shared && a.dim() > 2 && a.dim() == grad.dim()
                       ? matrix_product(transpose(as_rows(a), 0, 1), as_rows(grad))
                       : matrix_product(transpose(a, -2, -1), grad));
  }
}

Tensor matrix_product(const Tensor& a, const Tensor& b) {
  const TraceScope scope(ScopeKind::op, "matmul");
  Dims batch_a = batch_of(a.shape());
  Dims batch_b = batch_of(b.shape());
  const bool a_grad = a.requires_grad();
  const bool b_grad = b.requires_grad();
  Tensor output;
  if (a.dim() > 2 && b.dim() == 2 && a.is_contiguous() && a.numel() > 0) {
    // One large product instead of many.
    Dims shape = a.shape();
    shape.back() = b.shape()[1];
    const NoGradGuard no_grad;
    output = multiply_matrices(view(a, {-1, a.shape().back()}), b, {});
    output.impl()->set_layout(Layout::contiguous(shape));
    output.impl()->forget_base();
  } else {
    output = multiply_matrices(
        a, b, batch_a == batch_b ? batch_a : broadcast_shapes("matmul", batch_a, batch_b));
  }
  return record("matmul", {a, b}, output, {b_grad ? a : undefined(), a_grad ? b : undefined()},
                matmul_backward);
}

void check_inner(const char* op, const Tensor& a, const Tensor& b, int64_t k, int64_t rows) {
  TAUT_CHECK(k == rows, ShapeError, op, ": inner sizes differ; got ", a.shape(), " and ", b.shape(),
             "; expected ", k, " == ", rows);
}

void check_rank(const char* op, const char* argument, const Tensor& tensor, int rank) {
  TAUT_CHECK(tensor.dim() == rank, ShapeError, op, ": ", argument, " must have ", rank,
             " dims; got shape ", tensor.shape());
}

Tensor scaled(const Tensor& tensor, const Scalar& by) {
  return by.to_double() == 1.0 ? tensor : mul(tensor, by);
}

Tensor add_scaled(const char* op, const Tensor& input, const Tensor& product, const Scalar& beta,
                  const Scalar& alpha) {
  ops::check_same_device(op, input, product);
  input.layout().broadcast_to(op, product.shape());  // throws unless it fits
  // beta = 0 ignores the input, NaN and all.
  if (beta.to_double() == 0.0) return scaled(product, alpha);
  return add(scaled(input, beta), product, alpha);
}

}  // namespace

Tensor matmul(const Tensor& input, const Tensor& other) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return matmul(x...); }, input, other);
  }
  check_operands("matmul", input, other);
  TAUT_CHECK(input.dim() > 0 && other.dim() > 0, ShapeError,
             "matmul: both tensors need at least one dim; got ", input.shape(), " and ",
             other.shape());
  if (input.dim() == 1 && other.dim() == 1) return dot(input, other);
  const int64_t k = input.shape().back();
  const int64_t rows = other.dim() == 1 ? other.shape()[0] : other.shape()[other.dim() - 2];
  check_inner("matmul", input, other, k, rows);
  if (input.dim() == 1) return squeeze(matrix_product(unsqueeze(input, 0), other), -2);
  if (other.dim() == 1) return squeeze(matrix_product(input, unsqueeze(other, 1)), -1);
  return matrix_product(input, other);
}

Tensor mm(const Tensor& input, const Tensor& mat2) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return mm(x...); }, input, mat2);
  }
  check_rank("mm", "input", input, 2);
  check_rank("mm", "mat2", mat2, 2);
  check_operands("mm", input, mat2);
  check_inner("mm", input, mat2, input.shape()[1], mat2.shape()[0]);
  return matrix_product(input, mat2);
}

Tensor bmm(const Tensor& input, const Tensor& mat2) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return bmm(x...); }, input, mat2);
  }
  check_rank("bmm", "input", input, 3);
  check_rank("bmm", "mat2", mat2, 3);
  check_operands("bmm", input, mat2);
  TAUT_CHECK(input.shape()[0] == mat2.shape()[0], ShapeError, "bmm: batch sizes differ; got ",
             input.shape(), " and ", mat2.shape());
  check_inner("bmm", input, mat2, input.shape()[2], mat2.shape()[1]);
  return matrix_product(input, mat2);
}

Tensor mv(const Tensor& input, const Tensor& vec) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return mv(x...); }, input, vec);
  }
  check_rank("mv", "input", input, 2);
  check_rank("mv", "vec", vec, 1);
  return matmul(input, vec);
}

namespace {

void dot_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, context.grad() * context.saved(1));
  if (context.needs(1)) context.set(1, context.grad() * context.saved(0));
}

}  // namespace

Tensor dot(const Tensor& input, const Tensor& other) {
  if (ops::is_autocast()) {
    return ops::in_widest_dtype([](const auto&... x) { return dot(x...); }, input, other);
  }
  const TraceScope scope(ScopeKind::op, "dot");
  check_rank("dot", "input", input, 1);
  check_rank("dot", "other", other, 1);
  check_operands("dot", input, other);
  check_inner("dot", input, other, input.shape()[0], other.shape()[0]);
  Tensor output = ops::allocate({}, input.dtype(), input.device());
  kernels::DotArgs args;
  args.dtype = input.dtype();
  args.n = input.shape()[0];
  args.a = input.data_ptr();
  args.a_stride = input.strides()[0];
  args.b = other.data_ptr();
  args.b_stride = other.strides()[0];
  args.output = output.data_ptr();
  ops::kernels_of(input).matmul.dot(args);
  return record("dot", {input, other}, output, {input, other}, dot_backward);
}

Tensor vdot(const Tensor& input, const Tensor& other) { return dot(input, other); }

Tensor inner(const Tensor& input, const Tensor& other) {
  if (input.dim() == 0 || other.dim() == 0) return mul(input, other);
  check_inner("inner", input, other, input.shape().back(), other.shape().back());
  return tensordot(input, other, Dims{-1}, Dims{-1});
}

Tensor outer(const Tensor& input, const Tensor& vec2) {
  check_rank("outer", "input", input, 1);
  check_rank("outer", "vec2", vec2, 1);
  return mul(unsqueeze(input, 1), vec2);
}
Tensor ger(const Tensor& input, const Tensor& vec2) { return outer(input, vec2); }

Tensor addmm(const Tensor& input, const Tensor& mat1, const Tensor& mat2, const Scalar& beta,
             const Scalar& alpha) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return addmm(x...); }, input, mat1, mat2,
                               beta, alpha);
  }
  return add_scaled("addmm", input, mm(mat1, mat2), beta, alpha);
}
Tensor addmv(const Tensor& input, const Tensor& mat, const Tensor& vec, const Scalar& beta,
             const Scalar& alpha) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return addmv(x...); }, input, mat, vec, beta,
                               alpha);
  }
  return add_scaled("addmv", input, mv(mat, vec), beta, alpha);
}
Tensor addr(const Tensor& input, const Tensor& vec1, const Tensor& vec2, const Scalar& beta,
            const Scalar& alpha) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return addr(x...); }, input, vec1, vec2, beta,
                               alpha);
  }
  return add_scaled("addr", input, outer(vec1, vec2), beta, alpha);
}
Tensor baddbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, const Scalar& beta,
               const Scalar& alpha) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return baddbmm(x...); }, input, batch1,
                               batch2, beta, alpha);
  }
  return add_scaled("baddbmm", input, bmm(batch1, batch2), beta, alpha);
}
Tensor addbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, const Scalar& beta,
              const Scalar& alpha) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return addbmm(x...); }, input, batch1, batch2,
                               beta, alpha);
  }
  const Tensor products = bmm(batch1, batch2);
  return add_scaled("addbmm", input, sum(products, {0}, false, products.dtype()), beta, alpha);
}

Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims) {
  TAUT_CHECK(dims >= 0 && dims <= a.dim() && dims <= b.dim(), ValueError, "tensordot: cannot sum ",
             dims, " dims of ", a.shape(), " and ", b.shape());
  Dims dims_a;
  Dims dims_b;
  for (int64_t i = 0; i < dims; ++i) {
    dims_a.push_back(a.dim() - dims + i);
    dims_b.push_back(i);
  }
  return tensordot(a, b, dims_a, dims_b);
}

Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& dims_a, const Dims& dims_b) {
  TAUT_CHECK(dims_a.rank() == dims_b.rank(), ValueError, "tensordot: got ", dims_a.rank(),
             " dims of a and ", dims_b.rank(), " of b");
  const Dims sum_a = normalize_dims("tensordot", dims_a, a.dim());
  const Dims sum_b = normalize_dims("tensordot", dims_b, b.dim());
  int64_t k = 1;
  for (int i = 0; i < sum_a.rank(); ++i) {
    const int64_t size = a.shape()[static_cast<int>(sum_a[i])];
    TAUT_CHECK(size == b.shape()[static_cast<int>(sum_b[i])], ShapeError,
               "tensordot: sizes differ; got ", a.shape(), " over ", dims_a, " and ", b.shape(),
               " over ", dims_b);
    k *= size;
  }
  Dims order_a, order_b = sum_b, shape;
  int64_t m = 1, n = 1;
  for (int i = 0; i < a.dim(); ++i) {
    if (sum_a.contains(i)) continue;
    order_a.push_back(i);
    shape.push_back(a.shape()[i]);
    m *= a.shape()[i];
  }
  for (int64_t dim : sum_a) order_a.push_back(dim);
  for (int i = 0; i < b.dim(); ++i) {
    if (sum_b.contains(i)) continue;
    order_b.push_back(i);
    shape.push_back(b.shape()[i]);
    n *= b.shape()[i];
  }
  return reshape(mm(reshape(permute(a, order_a), {m, k}), reshape(permute(b, order_b), {k, n})),
                 shape);
}

Tensor kron(const Tensor& input, const Tensor& other) {
  const int rank = std::max(input.dim(), other.dim());
  Dims a, b, shape;
  for (int i = 0; i < rank; ++i) {
    const int at_a = i - (rank - input.dim());
    const int at_b = i - (rank - other.dim());
    const int64_t size_a = at_a < 0 ? 1 : input.shape()[at_a];
    const int64_t size_b = at_b < 0 ? 1 : other.shape()[at_b];
    a.push_back(size_a);
    a.push_back(1);
    b.push_back(1);
    b.push_back(size_b);
    shape.push_back(size_a * size_b);
  }
  return reshape(mul(reshape(input, a), reshape(other, b)), shape);
}

namespace linalg {

Tensor multi_dot(TensorList tensors) {
  TAUT_CHECK(tensors.size() >= 2, ValueError, "multi_dot: expected at least 2 tensors; got ",
             tensors.size());
  std::vector<Tensor> chain(tensors.begin(), tensors.end());
  const bool row = chain.front().dim() == 1;
  const bool column = chain.back().dim() == 1;
  if (row) chain.front() = unsqueeze(chain.front(), 0);
  if (column) chain.back() = unsqueeze(chain.back(), 1);
  const size_t n = chain.size();
  std::vector<double> sizes;
  for (const Tensor& matrix : chain) {
    check_rank("multi_dot", "each tensor between", matrix, 2);
    sizes.push_back(static_cast<double>(matrix.shape()[0]));
  }
  sizes.push_back(static_cast<double>(chain.back().shape()[1]));
  // cost[i][j]: the fewest multiplications for matrices i..j; cut[i][j]: where to part them.
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0.0));
  std::vector<std::vector<size_t>> cut(n, std::vector<size_t>(n, 0));
  for (size_t length = 1; length < n; ++length) {
    for (size_t i = 0; i + length < n; ++i) {
      const size_t j = i + length;
      cost[i][j] = -1;
      for (size_t at = i; at < j; ++at) {
        const double total =
            cost[i][at] + cost[at + 1][j] + sizes[i] * sizes[at + 1] * sizes[j + 1];
        if (cost[i][j] >= 0 && total >= cost[i][j]) continue;
        cost[i][j] = total;
        cut[i][j] = at;
      }
    }
  }
  const auto multiply_range = [&](const auto& self, size_t i, size_t j) -> Tensor {
    if (i == j) return chain[i];
    return mm(self(self, i, cut[i][j]), self(self, cut[i][j] + 1, j));
  };
  Tensor result = multiply_range(multiply_range, 0, n - 1);
  if (row) result = squeeze(result, 0);
  if (column) result = squeeze(result, -1);
  return result;
}

Tensor matrix_power(const Tensor& input, int64_t n) {
  TAUT_CHECK(input.dim() >= 2 && input.size(-1) == input.size(-2), ShapeError,
             "matrix_power: expected square matrices; got shape ", input.shape());
  TAUT_CHECK(n >= 0, NotImplementedError, "matrix_power: negative powers need linalg.inv; got ", n);
  Tensor result;
  Tensor factor = input;
  for (int64_t left = n; left > 0; left >>= 1) {
    if ((left & 1) != 0) result = result.defined() ? matmul(result, factor) : factor;
    if (left > 1) factor = matmul(factor, factor);
  }
  if (result.defined()) return result;
  return expand(eye(input.size(-1), std::nullopt, input.options()), input.shape()).clone();
}

Tensor vecdot(const Tensor& x, const Tensor& y, int64_t dim) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... a) { return vecdot(a...); }, x, y, dim);
  }
  const Tensor products = mul(x, y);
  return sum(products, Dims{dim}, false, products.dtype());
}

}  // namespace linalg

namespace nn::functional {
namespace {

// y = x W^T + b: grad_x = grad_y W, grad_W = grad_y^T x, grad_b = sum of grad_y over rows, which
// the engine takes.
void linear_backward(BackwardContext& context) {
  const Tensor& grad = context.grad();
  if (context.needs(0)) context.set(0, matmul(grad, context.saved(1)));
  const bool wants_bias = context.inputs() > 2 && context.needs(2);
  // A vector needs no product, and a bias alone no input.
  if (!context.needs(1) || grad.dim() == 1) {
    if (context.needs(1)) context.set(1, outer(grad, context.saved(0)));
    if (wants_bias) context.set(2, grad);
    return;
  }
  const ops::LayerGradients gradients = ops::layer_gradients(
      as_rows(grad), as_rows(context.saved(0)), /*wants_weight=*/true, wants_bias);
  context.set(1, gradients.weight);
  if (wants_bias) context.set(2, gradients.bias);
}

}  // namespace

Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return linear(x...); }, input, weight, bias);
  }
  const TraceScope scope(ScopeKind::op, "linear");
  check_operands("linear", input, weight);
  TAUT_CHECK(input.dim() >= 1, ShapeError, "linear: input needs at least one dim; got shape ",
             input.shape());
  check_rank("linear", "weight", weight, 2);
  TAUT_CHECK(input.shape().back() == weight.shape()[1], ShapeError, "linear: input has ",
             input.shape().back(), " features, weight takes ", weight.shape()[1], "; got ",
             input.shape(), " and ", weight.shape());
  if (bias.defined()) {
    check_operands("linear", input, bias);
    TAUT_CHECK(bias.dim() == 1 && bias.shape()[0] == weight.shape()[0], ShapeError,
               "linear: bias has shape ", bias.shape(), "; expected (", weight.shape()[0], ",)");
  }
  Dims shape = input.shape();
  shape.back() = weight.shape()[0];
  Tensor output;
  {
    const NoGradGuard no_grad;
    output = multiply_matrices(as_rows(input), transpose(weight, 0, 1), {}, bias);
  }
  output.impl()->set_layout(Layout::contiguous(shape));
  const Tensor& kept_input = weight.requires_grad() ? input : undefined();
  const Tensor& kept_weight = input.requires_grad() ? weight : undefined();
  if (!bias.defined()) {
    return record("linear", {input, weight}, output, {kept_input, kept_weight}, linear_backward);
  }
  return record("linear", {input, weight, bias}, output, {kept_input, kept_weight},
                linear_backward);
}

}  // namespace nn::functional

Tensor Tensor::matmul(const Tensor& other) const { return taut::matmul(*this, other); }
Tensor Tensor::mm(const Tensor& other) const { return taut::mm(*this, other); }
Tensor Tensor::bmm(const Tensor& other) const { return taut::bmm(*this, other); }

}  // namespace taut
