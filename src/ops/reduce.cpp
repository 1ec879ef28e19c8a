#include "taut/ops/reduce.h"

#include <cmath>
#include <limits>

#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "src/ops/reduce_attributes.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using autograd::record;
using autograd::record_constant;
using kernels::ReduceArgs;
using ops::MomentAttributes;
using ops::ReduceAttributes;

// The dims that go away and the shapes before and after.
struct Reduction {
  Dims dims;  // normalised
  uint32_t mask = 0;
  Dims kept;          // the shape without them
  Dims keepdim;       // the shape with size 1 in their place
  int64_t count = 1;  // elements to each result
};

Reduction plan(const char* op, const Tensor& input, const Dims& dim) {
  ops::check_defined(op, "input", input);
  Reduction result;
  result.dims = normalize_dims(op, dim, input.dim());
  const bool all = dim.empty();
  for (int i = 0; i < input.dim(); ++i) {
    const int64_t size = input.shape()[i];
    if (all || result.dims.contains(i)) {
      result.mask |= 1u << i;
      result.count *= size;
      result.keepdim.push_back(1);
    } else {
      result.kept.push_back(size);
      result.keepdim.push_back(size);
    }
  }
  return result;
}

// The result seen with its final shape. Its elements are the same either way, so no view is
// recorded.
Tensor shaped(const Tensor& flat, const Reduction& reduction, bool keepdim) {
  if (keepdim) flat.impl()->set_layout(Layout::contiguous(reduction.keepdim));
  return flat;
}

template <class Args>
void fill_args(Args& args, const Tensor& input, const Tensor& output, const Reduction& reduction) {
  args.input = input.data_ptr();
  args.output = output.data_ptr();
  args.input_dtype = input.dtype();
  args.output_dtype = output.dtype();
  args.shape = input.shape();
  args.strides = input.strides();
  args.reduced_dims = reduction.mask;
}

using ReduceKernel = void (*)(const ReduceArgs&);

Tensor run(ReduceKernel kernel, const Tensor& input, const Reduction& reduction, bool keepdim,
           DType output_dtype) {
  Tensor output = ops::allocate(reduction.kept, output_dtype, input.device());
  ReduceArgs args;
  fill_args(args, input, output, reduction);
  if (output.numel() > 0) kernel(args);
  return shaped(output, reduction, keepdim);
}

ReduceAttributes attributes_of(const Tensor& input, const Reduction& reduction, double scale = 1) {
  return {input.shape(), reduction.keepdim, reduction.mask, scale};
}

Dims reduced_dims(const ReduceAttributes& attributes) {
  Dims result;
  for (int i = 0; i < attributes.shape.rank(); ++i) {
    if ((attributes.mask >> i & 1u) != 0) result.push_back(i);
  }
  return result;
}

// The share of each element in an extremum of which several may be equal.
Tensor equal_shares(const Tensor& chosen, const ReduceAttributes& attributes) {
  if (attributes.shape.rank() == 0) return chosen;
  return chosen / sum(chosen, reduced_dims(attributes), /*keepdim=*/true);
}

Tensor expand_back(const BackwardContext& context, const Tensor& reduced) {
  const auto& attributes = context.attributes<ReduceAttributes>();
  return expand(reshape(reduced, attributes.keepdim), attributes.shape);
}

void sum_backward(BackwardContext& context) {
  const auto& attributes = context.attributes<ReduceAttributes>();
  const Tensor& grad = context.grad();
  context.set(0, expand_back(context, attributes.scale == 1 ? grad : grad * attributes.scale));
}

DType summing_dtype(DType input, std::optional<DType> dtype) {
  if (dtype) return *dtype;
  return taut::is_floating_point(input) ? input : kInt64;
}

Tensor cast_first(const Tensor& input, std::optional<DType> dtype) {
  return dtype ? to(input, *dtype) : input;
}

void check_not_empty(const char* op, const Tensor& input, const Reduction& reduction) {
  TAUT_CHECK(reduction.count > 0 || reduction.kept.numel() == 0, ValueError, op,
             ": there is nothing to choose from; got shape ", input.shape(), " reduced over ",
             reduction.dims.empty() ? concat("all dims") : concat(reduction.dims));
}

void check_floating(const char* op, const Tensor& input) {
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": expected a floating dtype; got ",
             input.dtype());
}

// d/dx of an extremum: the gradient, shared equally by the elements that are equal to it.
void extremum_backward(BackwardContext& context) {
  const Tensor input = context.saved(0);
  const Tensor chosen = to(eq(input, expand_back(context, context.saved(1))), input.dtype());
  const Tensor shares = equal_shares(chosen, context.attributes<ReduceAttributes>());
  context.set(0, expand_back(context, context.grad()) * shares);
}

Tensor extremum(const char* op, ReduceKernel kernel, const Tensor& input, const Dims& dim,
                bool keepdim) {
  const TraceScope scope(ScopeKind::op, op);
  const Reduction reduction = plan(op, input, dim);
  check_not_empty(op, input, reduction);
  const Tensor output = run(kernel, input, reduction, keepdim, input.dtype());
  return record(op, {input}, output, {input, output}, extremum_backward,
                attributes_of(input, reduction));
}

struct IndexReduceAttributes {
  Dims shape;
  int dim;
  bool keepdim;
};

// The gradient goes to the one element whose index was returned.
void indexed_extremum_backward(BackwardContext& context) {
  const auto& at = context.attributes<IndexReduceAttributes>();
  const Tensor indices = context.saved(0);
  Tensor grad = context.grad_or_zeros(0);
  if (at.shape.rank() == 0) {
    context.set(0, grad);
    return;
  }
  const Tensor aligned = at.keepdim ? indices : unsqueeze(indices, at.dim);
  if (!at.keepdim) grad = unsqueeze(grad, at.dim);
  Dims positions = Dims::filled(at.shape.rank(), 1);
  positions[at.dim] = at.shape[at.dim];
  const Tensor range =
      reshape(arange(at.shape[at.dim], TensorOptions(indices.device())), positions);
  context.set(0, where(eq(range, aligned), grad, Scalar(0.0)));
}

std::pair<Tensor, Tensor> indexed_extremum(const char* op,
                                           void (*kernel)(const kernels::IndexReduceArgs&),
                                           const Tensor& input, int64_t dim, bool keepdim) {
  const TraceScope scope(ScopeKind::op, op);
  ops::check_defined(op, "input", input);
  const int at = normalize_dim(op, dim, input.dim());
  const Reduction reduction = plan(op, input, Dims{dim});
  check_not_empty(op, input, reduction);
  Tensor values = ops::allocate(reduction.kept, input.dtype(), input.device());
  Tensor indices = ops::allocate(reduction.kept, kInt64, input.device());
  if (values.numel() > 0) {
    kernels::IndexReduceArgs args;
    args.input = input.data_ptr();
    args.values = values.data_ptr();
    args.indices = indices.data_ptr<int64_t>();
    args.dtype = input.dtype();
    args.shape = input.shape();
    args.strides = input.strides();
    args.dim = input.dim() == 0 ? -1 : at;
    kernel(args);
  }
  shaped(values, reduction, keepdim);
  shaped(indices, reduction, keepdim);
  const autograd::TensorRef inputs[] = {input};
  const autograd::TensorRef outputs[] = {values, indices};
  const autograd::TensorRef saved[] = {indices};
  autograd::record_all(op, inputs, outputs, saved, indexed_extremum_backward,
                       IndexReduceAttributes{input.shape(), at, keepdim});
  return {values, indices};
}

Tensor index_of_extremum(const char* op, void (*kernel)(const kernels::IndexReduceArgs&),
                         const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  const TraceScope scope(ScopeKind::op, op);
  ops::check_defined(op, "input", input);
  TAUT_CHECK(input.dtype() != kBool, DTypeError, op, ": not defined for bool");
  const Reduction reduction = plan(op, input, dim ? Dims{*dim} : Dims{});
  check_not_empty(op, input, reduction);
  Tensor indices = ops::allocate(reduction.kept, kInt64, input.device());
  if (indices.numel() > 0) {
    kernels::IndexReduceArgs args;
    args.input = input.data_ptr();
    args.indices = indices.data_ptr<int64_t>();
    args.dtype = input.dtype();
    args.shape = input.shape();
    args.strides = input.strides();
    args.dim = dim && input.dim() > 0 ? normalize_dim(op, *dim, input.dim()) : -1;
    kernel(args);
  }
  return record_constant(op, {input}, shaped(indices, reduction, keepdim));
}

// var: d/dx = 2 (x - mean) / (n - correction); std: that over 2 std.
void moment_backward(BackwardContext& context) {
  const auto& at = context.attributes<MomentAttributes>();
  const Tensor input = context.saved(0);
  const Dims reduced = reduced_dims(at.reduce);
  int64_t count = 1;
  for (int64_t dim : reduced) count *= at.reduce.shape[static_cast<int>(dim)];
  const Tensor average = input.dim() == 0 ? input : mean(input, reduced, /*keepdim=*/true);
  const double divisor = std::max(0.0, static_cast<double>(count) - at.correction);
  Tensor total = zeros_like(input);
  const auto spread = [&](const Tensor& reduced_grad) {
    return expand(reshape(reduced_grad, at.reduce.keepdim), at.reduce.shape);
  };
  if (context.grad(0).defined()) {
    Tensor slope = (input - average) * (2.0 / divisor);
    Tensor grad = context.grad(0);
    if (at.is_std) {
      const Tensor deviation = context.saved(1);
      grad = masked_fill(grad / (deviation * 2.0), eq(deviation, 0), 0.0);
    }
    total = total + spread(grad) * slope;
  }
  if (context.outputs() > 1 && context.grad(1).defined()) {
    total = total + spread(context.grad(1)) * (1.0 / static_cast<double>(count));
  }
  context.set(0, total);
}

std::pair<Tensor, Tensor> moments(const char* op, const Tensor& input, const Dims& dim,
                                  double correction, bool keepdim, bool is_std, bool with_mean) {
  const TraceScope scope(ScopeKind::op, op);
  check_floating(op, input);
  const Reduction reduction = plan(op, input, dim);
  Tensor output = ops::allocate(reduction.kept, input.dtype(), input.device());
  Tensor average =
      with_mean ? ops::allocate(reduction.kept, input.dtype(), input.device()) : Tensor();
  kernels::MomentArgs args;
  fill_args(args, input, output, reduction);
  args.correction = correction;
  args.is_std = is_std;
  args.mean_output = with_mean ? average.data_ptr() : nullptr;
  if (output.numel() > 0) ops::kernels_of(input).reduce.var(args);
  shaped(output, reduction, keepdim);
  if (with_mean) shaped(average, reduction, keepdim);
  const MomentAttributes attributes{attributes_of(input, reduction), correction, is_std};
  const autograd::TensorRef inputs[] = {input};
  const autograd::TensorRef saved[] = {input, output};
  const autograd::TensorRef outputs[] = {output, average};
  autograd::record_all(op, inputs, {outputs, with_mean ? 2u : 1u}, {saved, is_std ? 2u : 1u},
                       moment_backward, attributes);
  return {output, average};
}

}  // namespace

Tensor sum(const Tensor& input, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return sum(x...); }, input, dim, keepdim, dtype);
  }
  const TraceScope scope(ScopeKind::op, "sum");
  const Tensor source = cast_first(input, dtype);
  const Reduction reduction = plan("sum", source, dim);
  const Tensor output = run(ops::kernels_of(source).reduce.sum, source, reduction, keepdim,
                            summing_dtype(source.dtype(), std::nullopt));
  const Tensor result =
      record("sum", {source}, output, {}, sum_backward, attributes_of(source, reduction));
  return cast_first(result, dtype);
}
Tensor sum(const Tensor& input, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return sum(x...); }, input, dtype);
  }
  return sum(input, Dims{}, false, dtype);
}

Tensor nansum(const Tensor& input, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
  if (!input.is_floating_point()) return sum(input, dim, keepdim, dtype);
  return sum(where(isnan(input), Scalar(0.0), input), dim, keepdim, dtype);
}

namespace {

// d prod / dx_i is the product of the others: prod / x_i where no element is 0. With a 0 among them
// the products are formed anew for each i, from its neighbours on both sides.
void prod_backward(BackwardContext& context) {
  const auto& at = context.attributes<ReduceAttributes>();
  const Tensor input = context.saved(0);
  const Tensor grad = expand_back(context, context.grad());
  const bool has_zero = any(eq(input.detach(), 0)).item().to_bool();
  if (!has_zero) {
    context.set(0, grad * expand_back(context, context.saved(1)) / input);
    return;
  }
  // The reduced dims as one last dim of n elements; column i of the square holds x with x_i = 1.
  const Dims reduced = reduced_dims(at);
  Dims kept;
  for (int i = 0; i < at.shape.rank(); ++i) {
    if (!reduced.contains(i)) kept.push_back(i);
  }
  Dims order = kept;
  int64_t n = 1;
  for (int64_t i : reduced) {
    order.push_back(i);
    n *= at.shape[static_cast<int>(i)];
  }
  const Tensor moved = permute(input, order);
  const Tensor rows = reshape(moved, {-1, n});
  const Tensor square = expand(unsqueeze(rows, 1), {rows.size(0), n, n});
  const Tensor others =
      where(eye(n, std::nullopt, TensorOptions(kBool).device(input.device())), Scalar(1.0), square);
  Dims back = order;
  for (int i = 0; i < order.rank(); ++i) back[static_cast<int>(order[i])] = i;
  const Tensor slopes = permute(reshape(prod(others, -1), moved.shape()), back);
  context.set(0, grad * slopes);
}

Tensor prod_over(const Tensor& input, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
  const TraceScope scope(ScopeKind::op, "prod");
  const Tensor source = cast_first(input, dtype);
  const Reduction reduction = plan("prod", source, dim);
  const Tensor output = run(ops::kernels_of(source).reduce.prod, source, reduction, keepdim,
                            summing_dtype(source.dtype(), std::nullopt));
  const Tensor result = record("prod", {source}, output, {source, output}, prod_backward,
                               attributes_of(source, reduction));
  return cast_first(result, dtype);
}

}  // namespace

Tensor prod(const Tensor& input, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return prod(x...); }, input, dtype);
  }
  return prod_over(input, Dims{}, false, dtype);
}
Tensor prod(const Tensor& input, int64_t dim, bool keepdim, std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return prod(x...); }, input, dim, keepdim, dtype);
  }
  return prod_over(input, Dims{dim}, keepdim, dtype);
}

Tensor mean(const Tensor& input, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
  const TraceScope scope(ScopeKind::op, "mean");
  const Tensor source = cast_first(input, dtype);
  TAUT_CHECK(source.is_floating_point(), DTypeError, "mean: not defined for ", source.dtype(),
             "; give a floating dtype");
  const Reduction reduction = plan("mean", source, dim);
  const Tensor output =
      run(ops::kernels_of(source).reduce.mean, source, reduction, keepdim, source.dtype());
  return record("mean", {source}, output, {}, sum_backward,
                attributes_of(source, reduction, 1.0 / static_cast<double>(reduction.count)));
}
Tensor mean(const Tensor& input, std::optional<DType> dtype) {
  return mean(input, Dims{}, false, dtype);
}

Tensor nanmean(const Tensor& input, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
  const Tensor source = cast_first(input, dtype);
  check_floating("nanmean", source);
  const Tensor count = sum(to(logical_not(isnan(source.detach())), source.dtype()), dim, keepdim);
  return nansum(source, dim, keepdim) / count;
}

Tensor var(const Tensor& input, const Dims& dim, double correction, bool keepdim) {
  return moments("var", input, dim, correction, keepdim, false, false).first;
}
Tensor std(const Tensor& input, const Dims& dim, double correction, bool keepdim) {
  return moments("std", input, dim, correction, keepdim, true, false).first;
}
std::pair<Tensor, Tensor> var_mean(const Tensor& input, const Dims& dim, double correction,
                                   bool keepdim) {
  return moments("var_mean", input, dim, correction, keepdim, false, true);
}
std::pair<Tensor, Tensor> std_mean(const Tensor& input, const Dims& dim, double correction,
                                   bool keepdim) {
  return moments("std_mean", input, dim, correction, keepdim, true, true);
}

Tensor amax(const Tensor& input, const Dims& dim, bool keepdim) {
  return extremum("amax", ops::kernels_of(input).reduce.amax, input, dim, keepdim);
}
Tensor amin(const Tensor& input, const Dims& dim, bool keepdim) {
  return extremum("amin", ops::kernels_of(input).reduce.amin, input, dim, keepdim);
}
Tensor max(const Tensor& input) {
  return extremum("max", ops::kernels_of(input).reduce.amax, input, Dims{}, false);
}
Tensor min(const Tensor& input) {
  return extremum("min", ops::kernels_of(input).reduce.amin, input, Dims{}, false);
}

namespace {

// Each of the two outputs has its own share of the gradient.
void aminmax_backward(BackwardContext& context) {
  const auto& at = context.attributes<ReduceAttributes>();
  const Tensor input = context.saved(0);
  Tensor total = zeros_like(input);
  for (int k = 0; k < 2; ++k) {
    if (!context.grad(k).defined()) continue;
    const Tensor chosen = to(eq(input, expand_back(context, context.saved(1 + k))), input.dtype());
    total = total + expand_back(context, context.grad(k)) * equal_shares(chosen, at);
  }
  context.set(0, total);
}

}  // namespace

std::pair<Tensor, Tensor> aminmax(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  const TraceScope scope(ScopeKind::op, "aminmax");
  const Reduction reduction = plan("aminmax", input, dim ? Dims{*dim} : Dims{});
  check_not_empty("aminmax", input, reduction);
  Tensor low = ops::allocate(reduction.kept, input.dtype(), input.device());
  Tensor high = ops::allocate(reduction.kept, input.dtype(), input.device());
  kernels::MinMaxArgs args;
  fill_args(args, input, low, reduction);
  args.max_output = high.data_ptr();
  if (low.numel() > 0) ops::kernels_of(input).reduce.aminmax(args);
  shaped(low, reduction, keepdim);
  shaped(high, reduction, keepdim);
  const autograd::TensorRef inputs[] = {input};
  const autograd::TensorRef outputs[] = {low, high};
  const autograd::TensorRef saved[] = {input, low, high};
  autograd::record_all("aminmax", inputs, outputs, saved, aminmax_backward,
                       attributes_of(input, reduction));
  return {low, high};
}

std::pair<Tensor, Tensor> max(const Tensor& input, int64_t dim, bool keepdim) {
  return indexed_extremum("max", ops::kernels_of(input).reduce.max, input, dim, keepdim);
}
std::pair<Tensor, Tensor> min(const Tensor& input, int64_t dim, bool keepdim) {
  return indexed_extremum("min", ops::kernels_of(input).reduce.min, input, dim, keepdim);
}
Tensor argmax(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  return index_of_extremum("argmax", ops::kernels_of(input).reduce.max, input, dim, keepdim);
}
Tensor argmin(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  return index_of_extremum("argmin", ops::kernels_of(input).reduce.min, input, dim, keepdim);
}

Tensor all(const Tensor& input, const Dims& dim, bool keepdim) {
  const TraceScope scope(ScopeKind::op, "all");
  const Reduction reduction = plan("all", input, dim);
  return record_constant("all", {input},
                         run(ops::kernels_of(input).reduce.all, input, reduction, keepdim, kBool));
}
Tensor any(const Tensor& input, const Dims& dim, bool keepdim) {
  const TraceScope scope(ScopeKind::op, "any");
  const Reduction reduction = plan("any", input, dim);
  return record_constant("any", {input},
                         run(ops::kernels_of(input).reduce.any, input, reduction, keepdim, kBool));
}
Tensor all(const Tensor& input) { return all(input, Dims{}); }
Tensor any(const Tensor& input) { return any(input, Dims{}); }

Tensor count_nonzero(const Tensor& input, const Dims& dim) {
  const TraceScope scope(ScopeKind::op, "count_nonzero");
  const Reduction reduction = plan("count_nonzero", input, dim);
  return record_constant(
      "count_nonzero", {input},
      run(ops::kernels_of(input).reduce.count_nonzero, input, reduction, false, kInt64));
}

namespace {

// d logsumexp / dx = e^(x - logsumexp)
void logsumexp_backward(BackwardContext& context) {
  const Tensor total = expand_back(context, context.saved(1));
  // Where everything is -inf, nothing depends on x.
  const Tensor difference =
      where(eq(total, -std::numeric_limits<double>::infinity()), total, context.saved(0) - total);
  context.set(0, expand_back(context, context.grad()) * exp(difference));
}

struct NormAttributes {
  ReduceAttributes reduce;
  double p;
};

// d ||x||_p / dx = sgn(x) |x|^(p-1) / ||x||_p^(p-1), and 0 where the norm is 0; the extremes (p =
// inf, -inf) share the gradient among the elements that attain them.
void norm_backward(BackwardContext& context) {
  const auto& at = context.attributes<NormAttributes>();
  const Tensor input = context.saved(0);
  const auto spread = [&](const Tensor& reduced) {
    return expand(reshape(reduced, at.reduce.keepdim), at.reduce.shape);
  };
  const Tensor grad = spread(context.grad());
  if (at.p == 0) {
    context.set(0, zeros_like(input));
    return;
  }
  if (at.p == 1) {
    context.set(0, grad * sgn(input));
    return;
  }
  const Tensor norm_value = spread(context.saved(1));
  const Tensor is_zero = eq(norm_value, 0);
  if (at.p == 2) {
    context.set(0, masked_fill(grad * (input / norm_value), is_zero, 0.0));
    return;
  }
  if (std::isinf(at.p)) {
    const Tensor chosen = to(eq(abs(input), norm_value), input.dtype());
    context.set(0, grad * sgn(input) * equal_shares(chosen, at.reduce));
    return;
  }
  const Tensor ratio = pow(abs(input) / norm_value, at.p - 1);
  const Tensor slope = where(eq(input, 0), Scalar(0.0), sgn(input) * ratio);
  context.set(0, masked_fill(grad * slope, is_zero, 0.0));
}

}  // namespace

Tensor logsumexp(const Tensor& input, const Dims& dim, bool keepdim) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return logsumexp(x...); }, input, dim, keepdim);
  }
  const TraceScope scope(ScopeKind::op, "logsumexp");
  const Tensor source = input.is_floating_point() ? input : to(input, get_default_dtype());
  const Reduction reduction = plan("logsumexp", source, dim);
  const Tensor output =
      run(ops::kernels_of(source).reduce.logsumexp, source, reduction, keepdim, source.dtype());
  return record("logsumexp", {source}, output, {source, output}, logsumexp_backward,
                attributes_of(source, reduction));
}

namespace linalg {

Tensor vector_norm(const Tensor& input, double ord, const Dims& dim, bool keepdim,
                   std::optional<DType> dtype) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return vector_norm(x...); }, input, ord, dim,
                           keepdim, dtype);
  }
  const TraceScope scope(ScopeKind::op, "vector_norm");
  const Tensor source = cast_first(input, dtype);
  check_floating("vector_norm", source);
  const Reduction reduction = plan("vector_norm", source, dim);
  if (ord < 0 || std::isinf(ord)) check_not_empty("vector_norm", source, reduction);
  Tensor output = ops::allocate(reduction.kept, source.dtype(), source.device());
  kernels::VectorNormArgs args;
  fill_args(args, source, output, reduction);
  args.p = ord;
  if (output.numel() > 0) ops::kernels_of(source).reduce.vector_norm(args);
  shaped(output, reduction, keepdim);
  return record("vector_norm", {source}, output, {source, output}, norm_backward,
                NormAttributes{attributes_of(source, reduction), ord});
}

}  // namespace linalg

Tensor norm(const Tensor& input, double p, const Dims& dim, bool keepdim,
            std::optional<DType> dtype) {
  return linalg::vector_norm(input, p, dim, keepdim, dtype);
}
Tensor norm(const Tensor& input, double p) { return linalg::vector_norm(input, p); }

Tensor dist(const Tensor& input, const Tensor& other, double p) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return dist(x...); }, input, other, p);
  }
  return linalg::vector_norm(sub(input, other), p);
}

Tensor sum_to_size(const Tensor& input, const Dims& size) {
  if (input.shape() == size) return input;
  const int added = input.dim() - size.rank();
  TAUT_CHECK(added >= 0, ShapeError, "sum_to_size: ", input.shape(), " does not sum to ", size);
  Dims reduced;
  for (int i = 0; i < input.dim(); ++i) {
    if (i < added) {
      reduced.push_back(i);
      continue;
    }
    const int64_t wanted = size[i - added];
    TAUT_CHECK(wanted == input.shape()[i] || wanted == 1, ShapeError,
               "sum_to_size: ", input.shape(), " does not sum to ", size);
    if (wanted != input.shape()[i]) reduced.push_back(i);
  }
  Tensor result = reduced.empty() ? input : sum(input, reduced, /*keepdim=*/true);
  return added > 0 ? reshape(result, size) : result;
}

}  // namespace taut
