// Running sums, products and extremes, and what is made of them.

#include <algorithm>

#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/indexing.h"
#include "taut/ops/ops.h"
#include "taut/ops/sort.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using autograd::record;

struct ScanAttributes {
  int dim;
};

template <class Args>
void set_extent(Args& args, const Tensor& input, int dim) {
  args.outer = 1;
  args.dim = 1;
  args.inner = 1;
  for (int i = 0; i < input.dim(); ++i) {
    (i < dim ? args.outer : i == dim ? args.dim : args.inner) *= input.shape()[i];
  }
}

using ScanKernel = void (*)(const kernels::ScanArgs&);

Tensor run_scan(ScanKernel kernel, const Tensor& input, int dim, DType output_dtype) {
  const NoGradGuard no_grad;
  const Tensor source = contiguous(input);
  Tensor output = ops::allocate(source.shape(), output_dtype, source.device());
  kernels::ScanArgs args;
  args.input = source.data_ptr();
  args.output = output.data_ptr();
  args.input_dtype = source.dtype();
  args.output_dtype = output_dtype;
  set_extent(args, source, dim);
  if (output.numel() > 0) kernel(args);
  return output;
}

Tensor reversed_cumsum(const Tensor& input, int dim) {
  if (input.dim() == 0) return input;
  return flip(cumsum(flip(input, {dim}), dim), {dim});
}

void cumsum_backward(BackwardContext& context) {
  context.set(0, reversed_cumsum(context.grad(), context.attributes<ScanAttributes>().dim));
}

// y_k = x_1 ... x_k: grad_x_i = sum over k >= i of g_k y_k / x_i. Where some x is 0, the products
// without x_i are formed from both sides instead of divided out.
void cumprod_backward(BackwardContext& context) {
  const int dim = context.attributes<ScanAttributes>().dim;
  const Tensor input = context.saved(0);
  const Tensor output = context.saved(1);
  const Tensor& grad = context.grad();
  if (input.dim() == 0) {
    context.set(0, grad);
    return;
  }
  if (!any(eq(input.detach(), 0)).item().to_bool()) {
    context.set(0, reversed_cumsum(grad * output, dim) / input);
    return;
  }
  const int64_t n = input.size(dim);
  Tensors parts;
  for (int64_t i = 0; i < n; ++i) {
    // The products of x_i+1 ... x_k for k >= i, times what precedes x_i.
    const Tensor tail = slice(input, dim, i, n);
    const Tensor with_one =
        cat({ones_like(narrow(tail, dim, 0, 1)), narrow(tail, dim, 1, tail.size(dim) - 1)}, dim);
    const Tensor before = i == 0 ? ones_like(select(input, dim, 0)) : select(output, dim, i - 1);
    const Tensor weighted = sum(slice(grad, dim, i, n) * cumprod(with_one, dim), {dim});
    parts.push_back(before * weighted);
  }
  context.set(0, stack(parts, dim));
}

void logcumsumexp_backward(BackwardContext& context) {
  const int dim = context.attributes<ScanAttributes>().dim;
  const Tensor input = context.saved(0);
  const Tensor output = context.saved(1);
  const Tensor& grad = context.grad();
  // grad_x_i = e^x_i sum over k >= i of g_k e^-y_k, positive and negative parts apart in
  // logarithms.
  const auto part = [&](const Tensor& g) {
    const Tensor exponents = log(g) - output;
    const Tensor running =
        input.dim() == 0 ? exponents : flip(logcumsumexp(flip(exponents, {dim}), dim), {dim});
    return exp(running + input);
  };
  const Tensor positive_part = part(clamp(grad, Scalar(0)));
  const Tensor negative_part = part(clamp(neg(grad), Scalar(0)));
  context.set(0, positive_part - negative_part);
}

struct IndexScanAttributes {
  int dim;
  Dims shape;
};

void index_scan_backward(BackwardContext& context) {
  const auto& at = context.attributes<IndexScanAttributes>();
  const Tensor& grad = context.grad(0);
  if (!grad.defined()) return;
  if (at.shape.rank() == 0) {
    context.set(0, grad);
    return;
  }
  context.set(0, scatter_add(zeros(at.shape, grad.options()), at.dim, context.saved(0), grad));
}

std::pair<Tensor, Tensor> index_scan(const char* op, void (*kernel)(const kernels::IndexScanArgs&),
                                     const Tensor& input, int64_t dim) {
  const TraceScope scope(ScopeKind::op, op);
  ops::check_defined(op, "input", input);
  const int at = normalize_dim(op, dim, input.dim());
  const Tensor source = contiguous(input);
  Tensor values = ops::allocate(source.shape(), source.dtype(), source.device());
  Tensor indices = ops::allocate(source.shape(), kInt64, source.device());
  kernels::IndexScanArgs args;
  args.input = source.data_ptr();
  args.values = values.data_ptr();
  args.indices = indices.data_ptr<int64_t>();
  args.dtype = source.dtype();
  set_extent(args, source, at);
  if (values.numel() > 0) kernel(args);
  const autograd::TensorRef inputs[] = {source};
  const autograd::TensorRef outputs[] = {values, indices};
  const autograd::TensorRef saved[] = {indices};
  autograd::record_all(op, inputs, outputs, saved, index_scan_backward,
                       IndexScanAttributes{at, source.shape()});
  return {values, indices};
}

DType scan_dtype(DType input) { return taut::is_floating_point(input) ? input : kInt64; }

}  // namespace

Tensor cumsum(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return cumsum(x...); }, input, dim, dtype);
  }
  const TraceScope scope(ScopeKind::op, "cumsum");
  const Tensor source = dtype ? to(input, *dtype) : input;
  const int at = normalize_dim("cumsum", dim, source.dim());
  const Tensor output =
      run_scan(ops::kernels_of(source).scan.cumsum, source, at, scan_dtype(source.dtype()));
  const Tensor result = record("cumsum", {source}, output, {}, cumsum_backward, ScanAttributes{at});
  return dtype ? to(result, *dtype) : result;
}

Tensor cumprod(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return cumprod(x...); }, input, dim, dtype);
  }
  const TraceScope scope(ScopeKind::op, "cumprod");
  const Tensor source = dtype ? to(input, *dtype) : input;
  const int at = normalize_dim("cumprod", dim, source.dim());
  const Tensor output =
      run_scan(ops::kernels_of(source).scan.cumprod, source, at, scan_dtype(source.dtype()));
  const Tensor result =
      record("cumprod", {source}, output, {source, output}, cumprod_backward, ScanAttributes{at});
  return dtype ? to(result, *dtype) : result;
}

Tensor logcumsumexp(const Tensor& input, int64_t dim) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return logcumsumexp(x...); }, input, dim);
  }
  const TraceScope scope(ScopeKind::op, "logcumsumexp");
  TAUT_CHECK(input.is_floating_point(), DTypeError, "logcumsumexp: expected a floating dtype; got ",
             input.dtype());
  const int at = normalize_dim("logcumsumexp", dim, input.dim());
  const Tensor output =
      run_scan(ops::kernels_of(input).scan.logcumsumexp, input, at, input.dtype());
  return record("logcumsumexp", {input}, output, {input, output}, logcumsumexp_backward,
                ScanAttributes{at});
}

std::pair<Tensor, Tensor> cummax(const Tensor& input, int64_t dim) {
  return index_scan("cummax", ops::kernels_of(input).scan.cummax, input, dim);
}
std::pair<Tensor, Tensor> cummin(const Tensor& input, int64_t dim) {
  return index_scan("cummin", ops::kernels_of(input).scan.cummin, input, dim);
}

Tensor Tensor::cumsum(int64_t dim, std::optional<DType> dtype) const {
  return taut::cumsum(*this, dim, dtype);
}

Tensor diff(const Tensor& input, int64_t n, int64_t dim) {
  const int at = normalize_dim("diff", dim, input.dim());
  TAUT_CHECK(input.dim() > 0, ShapeError, "diff: expected at least one dim");
  TAUT_CHECK(n >= 0, ValueError, "diff: n cannot be negative; got ", n);
  Tensor result = input;
  for (int64_t i = 0; i < n && result.size(at) > 0; ++i) {
    const int64_t size = result.size(at);
    const Tensor later = narrow(result, at, std::min<int64_t>(1, size), size - 1);
    const Tensor earlier = narrow(result, at, 0, size - 1);
    result = result.dtype() == kBool ? logical_xor(later, earlier) : sub(later, earlier);
  }
  return result;
}

namespace {

Tensor neighbour_sums(const char* op, const Tensor& y, int dim) {
  const int64_t size = y.size(dim);
  TAUT_CHECK(size > 0, ShapeError, op, ": dim ", dim, " is empty");
  return add(narrow(y, dim, 1, size - 1), narrow(y, dim, 0, size - 1));
}

}  // namespace

Tensor trapezoid(const Tensor& y, double dx, int64_t dim) {
  const int at = normalize_dim("trapezoid", dim, y.dim());
  return mul(sum(neighbour_sums("trapezoid", y, at), {at}), dx / 2);
}
Tensor trapezoid(const Tensor& y, const Tensor& x, int64_t dim) {
  const int at = normalize_dim("trapezoid", dim, y.dim());
  Tensor steps = diff(x, 1, x.dim() == 1 ? 0 : at);
  if (x.dim() == 1) {
    Dims shape = Dims::filled(y.dim(), 1);
    shape[at] = steps.numel();
    steps = reshape(steps, shape);
  }
  return mul(sum(mul(neighbour_sums("trapezoid", y, at), steps), {at}), 0.5);
}
Tensor cumulative_trapezoid(const Tensor& y, double dx, int64_t dim) {
  const int at = normalize_dim("cumulative_trapezoid", dim, y.dim());
  return mul(cumsum(neighbour_sums("cumulative_trapezoid", y, at), at), dx / 2);
}

Tensor cross(const Tensor& input, const Tensor& other, int64_t dim) {
  ops::check_same_device("cross", input, other);
  const Dims shape = broadcast_shapes("cross", input.shape(), other.shape());
  const Tensor a = expand(input, shape);
  const Tensor b = expand(other, shape);
  const int at = normalize_dim("cross", dim, a.dim());
  TAUT_CHECK(a.dim() > 0 && a.size(at) == 3, ShapeError, "cross: dim ", dim,
             " must have size 3; got shape ", a.shape());
  const auto component = [at](const Tensor& t, int64_t i) { return select(t, at, i); };
  return stack({component(a, 1) * component(b, 2) - component(a, 2) * component(b, 1),
                component(a, 2) * component(b, 0) - component(a, 0) * component(b, 2),
                component(a, 0) * component(b, 1) - component(a, 1) * component(b, 0)},
               at);
}

namespace {

// The coordinates of the first element that is true.
Dims first_position(const Tensor& mask) {
  const Tensor position = select(nonzero(mask), 0, 0);
  Dims result;
  for (int64_t i = 0; i < position.numel(); ++i) {
    result.push_back(select(position, 0, i).item<int64_t>());
  }
  return result;
}

void check_weights(const Tensor& weights) {
  const Tensor usable = logical_and(isfinite(weights), ge(weights, 0));
  if (!all(usable).item().to_bool()) {
    const Dims at = first_position(logical_not(usable));
    Tensor weight = weights;
    for (int64_t index : at) weight = select(weight, 0, index);
    detail::raise<ValueError>("multinomial: weights must be finite and not negative; got ",
                              weight.item(), " at ", at);
  }
  const Tensor some = gt(amax(weights, {-1}), 0);
  if (all(some).item().to_bool()) return;
  const Tensor empty_row = logical_not(some);
  TAUT_CHECK(weights.dim() == 2, ValueError, "multinomial: the ", weights.numel(),
             " weights are all 0");
  detail::raise<ValueError>("multinomial: the weights of row ", first_position(empty_row)[0],
                            " are all 0");
}

}  // namespace

Tensor multinomial(const Tensor& input, int64_t num_samples, bool replacement,
                   Generator* generator) {
  TAUT_CHECK(input.dim() == 1 || input.dim() == 2, ShapeError,
             "multinomial: expected 1 or 2 dims; got shape ", input.shape());
  TAUT_CHECK(input.is_floating_point(), DTypeError, "multinomial: weights must be floating; got ",
             input.dtype());
  TAUT_CHECK(num_samples > 0, ValueError, "multinomial: num_samples must be positive; got ",
             num_samples);
  const NoGradGuard no_grad;
  const Tensor weights = input.detach();
  const int64_t classes = weights.shape().back();
  TAUT_CHECK(replacement || num_samples <= classes, ValueError, "multinomial: cannot draw ",
             num_samples, " of ", classes, " without replacement");
  TAUT_CHECK(classes > 0, ValueError, "multinomial: there is nothing to draw from; got shape ",
             weights.shape());
  check_weights(weights);
  if (!replacement) {
    // The largest of q / weight for exponential q are a draw without replacement (Efraimidis and
    // Spirakis, 2006).
    const Tensor noise = empty_like(weights, {}, MemoryFormat::contiguous);
    exponential_(noise, 1.0, generator);
    return topk(div(weights, noise), num_samples).second;
  }
  const Tensor cumulative = cumsum(to(weights, kFloat64), -1);
  const Tensor total = narrow(cumulative, -1, classes - 1, 1);
  Dims shape = weights.shape();
  shape.back() = num_samples;
  const Tensor draws =
      mul(rand(shape, TensorOptions(kFloat64).device(input.device()), generator), total);
  return clamp_max(searchsorted(cumulative, contiguous(draws), false, true), Scalar(classes - 1));
}

}  // namespace taut
