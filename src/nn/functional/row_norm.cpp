// Layer and RMS norm, and the same of a sum with a residual.

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "src/nn/functional/norm_arguments.h"
#include "src/nn/functional/row_attributes.h"
#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "taut/autograd/recompute.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/nn/functional/norm.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;

// What a node saves. Of a sum the outputs are the norm and the sum, which is what was normalised.
// The bias is there for an output that is made again.
enum Saved { kNormalized, kWeight, kMean, kRstd, kBias };

struct RowSizes {
  int64_t rows = 1, cols = 1;
};

RowSizes row_sizes(const Tensor& input, int normalized_dims) {
  RowSizes sizes;
  for (int i = 0; i < input.dim(); ++i) {
    (i < input.dim() - normalized_dims ? sizes.rows : sizes.cols) *= input.shape()[i];
  }
  return sizes;
}

Dims normalized_shape_of(const Tensor& input, int normalized_dims) {
  Dims shape;
  for (int i = input.dim() - normalized_dims; i < input.dim(); ++i) {
    shape.push_back(input.shape()[i]);
  }
  return shape;
}

struct RowGradients {
  Tensor input, weight, bias;
};

// The same derivative as ops: x^ = (x - mean) rstd, h = grad_y weight,
// grad_x = rstd (h - mean(h) - x^ mean(h x^)); without the mean for RMS norm.
RowGradients composed_gradients(BackwardContext& context, const Tensor& grad, bool wants_input,
                                bool wants_weight) {
  const auto& at = context.attributes<RowNormAttributes>();
  const Tensor input = context.saved(kNormalized);
  const Tensor weight = context.saved(kWeight);
  Dims dims;
  for (int i = input.dim() - at.normalized_dims; i < input.dim(); ++i) dims.push_back(i);
  const Tensor centre = at.is_centered ? input - mean(input, dims, /*keepdim=*/true) : input;
  const Tensor rstd = rsqrt(mean(centre * centre, dims, /*keepdim=*/true) + at.eps);
  const Tensor normal = centre * rstd;
  RowGradients result;
  if (wants_input) {
    const Tensor h = weight.defined() ? grad * weight : grad;
    Tensor inner = h - normal * mean(h * normal, dims, /*keepdim=*/true);
    if (at.is_centered) inner = inner - mean(h, dims, /*keepdim=*/true);
    result.input = inner * rstd;
  }
  // The engine sums over the rows.
  if (wants_weight) result.weight = grad * normal;
  result.bias = grad;
  return result;
}

// `grad_sum`, where it is defined, is added to the gradient of the input.
RowGradients fused_gradients(BackwardContext& context, const Tensor& grad_output,
                             const Tensor& grad_sum, bool wants_input, bool wants_weight,
                             bool wants_bias) {
  const auto& at = context.attributes<RowNormAttributes>();
  const Tensor input = contiguous(context.saved(kNormalized));
  const Tensor weight = context.saved(kWeight);
  const Tensor means = context.saved(kMean);
  const Tensor rstds = context.saved(kRstd);
  const Tensor grad = contiguous(grad_output);
  const Tensor more = grad_sum.defined() ? contiguous(grad_sum) : Tensor();
  const RowSizes sizes = row_sizes(input, at.normalized_dims);
  const DType parameters = weight.defined() ? weight.dtype() : input.dtype();
  const Dims shape = normalized_shape_of(input, at.normalized_dims);
  // The kernel writes all of them where there are rows.
  const auto made = [&](bool wanted) {
    if (!wanted) return Tensor();
    if (input.numel() > 0) return ops::allocate(shape, parameters, input.device());
    return zeros(shape, TensorOptions(parameters).device(input.device()));
  };
  RowGradients result;
  if (wants_input) result.input = empty_like(input);
  result.weight = made(wants_weight);
  result.bias = made(wants_bias);
  if (input.numel() == 0) return result;
  kernels::LayerNormBackwardArgs args;
  args.grad_output = grad.data_ptr();
  args.grad_sum = data_of(more);
  args.input = input.data_ptr();
  args.mean = data_of(means);
  args.rstd = rstds.data_ptr();
  args.weight = data_of(weight);
  args.grad_input = data_of(result.input);
  args.grad_weight = data_of(result.weight);
  args.grad_bias = data_of(result.bias);
  args.dtype = input.dtype();
  args.parameter_dtype = parameters;
  args.rows = sizes.rows;
  args.cols = sizes.cols;
  const auto& norm = ops::kernels_of(input).norm;
  (at.is_centered ? norm.layer_norm_backward : norm.rms_norm_backward)(args);
  return result;
}

// Gradients of a node whose weight and bias are its inputs `first_parameter` and the one after it.
RowGradients gradients_of(BackwardContext& context, const Tensor& grad, const Tensor& grad_sum,
                          bool wants_input, int first_parameter) {
  const bool wants_weight = context.needs(first_parameter);
  const bool wants_bias = context.needs(first_parameter + 1);
  RowGradients result;
  if (is_grad_enabled()) {
    result = composed_gradients(context, grad, wants_input, wants_weight);
    if (wants_input && grad_sum.defined()) result.input = result.input + grad_sum;
  } else {
    result = fused_gradients(context, grad, grad_sum, wants_input, wants_weight, wants_bias);
  }
  if (wants_weight) context.set(first_parameter, result.weight);
  if (wants_bias) context.set(first_parameter + 1, result.bias);
  return result;
}

void row_norm_backward(BackwardContext& context) {
  const RowGradients result =
      gradients_of(context, context.grad(), Tensor(), context.needs(0), /*first_parameter=*/1);
  if (context.needs(0)) context.set(0, result.input);
}

// One tensor is the gradient of the input and of the residual.
void add_norm_backward(BackwardContext& context) {
  const Tensor& grad_output = context.grad(0);
  const Tensor& grad_sum = context.grad(1);
  const bool wants_sum = context.needs(0) || context.needs(1);
  Tensor grad = grad_sum;
  if (grad_output.defined()) {
    grad = gradients_of(context, grad_output, grad_sum, wants_sum, /*first_parameter=*/2).input;
  }
  for (int i = 0; i < 2; ++i) {
    if (context.needs(i)) context.set(i, grad);
  }
}

void check_normalized_shape(const char* op, const Tensor& input, const Dims& shape) {
  TAUT_CHECK(shape.rank() >= 1, ShapeError, op, ": normalized_shape needs at least one size");
  bool matches = input.dim() >= shape.rank();
  for (int i = 0; matches && i < shape.rank(); ++i) {
    matches = input.shape()[input.dim() - shape.rank() + i] == shape[i];
  }
  TAUT_CHECK(matches, ShapeError, op, ": normalized_shape ", shape,
             " does not match the last dims of an input of shape ", input.shape());
}

// What a norm was asked for; `rows` has the shape and dtype of the result.
struct RowNorm {
  const char* op;
  bool is_centered;
  const Tensor& rows;
  const Dims& shape;
  Tensor weight;
  Tensor bias;
  double eps;
};

struct Statistics {
  Tensor mean, rstd;
};

RowNorm checked(const char* op, bool is_centered, const Tensor& rows, const Dims& shape,
                const Tensor& weight, const Tensor& bias, double eps) {
  check_normalized_shape(op, rows, shape);
  RowNorm norm{op,
               is_centered,
               rows,
               shape,
               prepare_parameter(op, "weight", weight, rows, shape),
               prepare_parameter(op, "bias", bias, rows, shape),
               eps};
  TAUT_CHECK(
      !norm.weight.defined() || !norm.bias.defined() || norm.weight.dtype() == norm.bias.dtype(),
      DTypeError, op, ": weight and bias have different dtypes");
  return norm;
}

// Runs the kernel on `args`, which have input and residual, and fills `output`.
Statistics run(const RowNorm& norm, kernels::LayerNormArgs args, const Tensor& output) {
  const RowSizes sizes = row_sizes(norm.rows, norm.shape.rank());
  const DType compute = compute_dtype(norm.rows.dtype());
  Statistics statistics;
  if (norm.is_centered) {
    statistics.mean = ops::allocate({sizes.rows}, compute, norm.rows.device());
  }
  statistics.rstd = ops::allocate({sizes.rows}, compute, norm.rows.device());
  args.weight = data_of(norm.weight);
  args.bias = data_of(norm.bias);
  args.output = output.data_ptr();
  args.mean = data_of(statistics.mean);
  args.rstd = statistics.rstd.data_ptr();
  args.dtype = norm.rows.dtype();
  args.parameter_dtype = parameter_dtype(norm.rows, norm.weight, norm.bias);
  args.rows = sizes.rows;
  args.cols = sizes.cols;
  args.eps = norm.eps;
  const auto& kernels = ops::kernels_of(norm.rows).norm;
  if (output.numel() > 0) (norm.is_centered ? kernels.layer_norm : kernels.rms_norm)(args);
  return statistics;
}

RowNormAttributes attributes_of(const RowNorm& norm) {
  return {norm.shape.rank(), norm.eps, norm.is_centered};
}

// The output of a node again: by the kernel that made it, so that it has the same bits.
Tensor remake(const BackwardContext& context) {
  const auto& at = context.attributes<RowNormAttributes>();
  const Tensor rows = contiguous(context.saved(kNormalized));
  const Dims shape = normalized_shape_of(rows, at.normalized_dims);
  const RowNorm norm{context.name(),         at.is_centered,       rows,  shape,
                     context.saved(kWeight), context.saved(kBias), at.eps};
  Tensor output = ops::allocate(rows.shape(), rows.dtype(), rows.device());
  kernels::LayerNormArgs args;
  args.input = rows.data_ptr();
  run(norm, args, output);
  return output;
}

Tensor row_norm(const char* op, bool is_centered, const Tensor& input, const Dims& shape,
                const Tensor& weight, const Tensor& bias, double eps, bool recompute) {
  const TraceScope scope(ScopeKind::op, op);
  check_floating(op, input);
  const Tensor source = contiguous(input);
  const RowNorm norm = checked(op, is_centered, source, shape, weight, bias, eps);
  Tensor output = ops::allocate(source.shape(), source.dtype(), source.device());
  kernels::LayerNormArgs args;
  args.input = source.data_ptr();
  const Statistics statistics = run(norm, args, output);
  autograd::record(op, {source, norm.weight, norm.bias}, output,
                   {source, norm.weight, statistics.mean, statistics.rstd,
                    recompute ? norm.bias : ops::undefined()},
                   row_norm_backward, attributes_of(norm));
  if (recompute) autograd::recompute_when_saved(output, remake);
  return output;
}

void check_addends(const char* op, const Tensor& input, const Tensor& residual) {
  check_floating(op, input);
  ops::check_defined(op, "residual", residual);
  TAUT_CHECK(residual.is_floating_point(), DTypeError, op, ": residual must be floating; got ",
             residual.dtype());
  ops::check_same_device(op, input, residual);
}

// Contiguous, in the shape of the sum, and in its dtype, but for a 16-bit input of a float32 sum.
struct Addends {
  Tensor input, residual;
};

Addends prepare_addends(const char* op, const Tensor& input, const Tensor& residual) {
  check_addends(op, input, residual);
  const Dims shape = broadcast_shapes(op, input.shape(), residual.shape());
  const DType dtype = promote_types(input.dtype(), residual.dtype());
  const bool stays_low = is_reduced_floating_point(input.dtype()) && residual.dtype() == kFloat32;
  return {contiguous(expand(stays_low ? input : to(input, dtype), shape)),
          contiguous(expand(to(residual, dtype), shape))};
}

std::pair<Tensor, Tensor> add_norm(const char* op, bool is_centered, const Tensor& input,
                                   const Tensor& residual, const Dims& shape, const Tensor& weight,
                                   const Tensor& bias, double eps, bool recompute) {
  const TraceScope scope(ScopeKind::op, op);
  const auto [branch, stream] = prepare_addends(op, input, residual);
  const RowNorm norm = checked(op, is_centered, stream, shape, weight, bias, eps);
  Tensor output = ops::allocate(stream.shape(), stream.dtype(), stream.device());
  Tensor sum = ops::allocate(stream.shape(), stream.dtype(), stream.device());
  kernels::LayerNormArgs args;
  args.input = branch.data_ptr();
  args.input_dtype = branch.dtype();
  args.residual = stream.data_ptr();
  args.sum = sum.data_ptr();
  const Statistics statistics = run(norm, args, output);
  const autograd::TensorRef inputs[] = {branch, stream, norm.weight, norm.bias};
  const autograd::TensorRef outputs[] = {output, sum};
  const autograd::TensorRef saved[] = {sum, norm.weight, statistics.mean, statistics.rstd,
                                       recompute ? norm.bias : ops::undefined()};
  autograd::record_all(op, inputs, outputs, saved, add_norm_backward, attributes_of(norm));
  if (recompute) autograd::recompute_when_saved(output, remake);
  return {output, sum};
}

// The smallest number that 1 can be told apart by, of the dtype that a norm is computed in.
double epsilon_of(DType dtype) {
  return compute_dtype(dtype) == kFloat64 ? std::numeric_limits<double>::epsilon()
                                          : std::numeric_limits<float>::epsilon();
}

// Under autocast a norm gives float32, and a sum the dtype that `+` gives it. Where that is
// float32, too, one pass makes both, and a 16-bit input is read as it is.
bool is_one_pass(const char* op, const Tensor& input, const Tensor& residual) {
  check_addends(op, input, residual);
  return promote_types(input.dtype(), residual.dtype()) == kFloat32;
}

}  // namespace

Tensor layer_norm(const Tensor& input, const Dims& normalized_shape, const Tensor& weight,
                  const Tensor& bias, double eps, bool recompute) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return layer_norm(x...); }, input,
                           normalized_shape, weight, bias, eps, recompute);
  }
  return row_norm("layer_norm", true, input, normalized_shape, weight, bias, eps, recompute);
}

Tensor rms_norm(const Tensor& input, const Dims& normalized_shape, const Tensor& weight,
                std::optional<double> eps, bool recompute) {
  if (ops::is_autocast()) {
    return ops::in_float32([](const auto&... x) { return rms_norm(x...); }, input, normalized_shape,
                           weight, eps, recompute);
  }
  check_floating("rms_norm", input);
  return row_norm("rms_norm", false, input, normalized_shape, weight, Tensor(),
                  eps.value_or(epsilon_of(input.dtype())), recompute);
}

std::pair<Tensor, Tensor> add_layer_norm(const Tensor& input, const Tensor& residual,
                                         const Dims& normalized_shape, const Tensor& weight,
                                         const Tensor& bias, double eps, bool recompute) {
  if (ops::is_autocast()) {
    if (!is_one_pass("add_layer_norm", input, residual)) {
      const Tensor sum = add(input, residual);
      return {layer_norm(sum, normalized_shape, weight, bias, eps, recompute), sum};
    }
    const ops::AutocastPause pause;
    return add_layer_norm(input, residual, normalized_shape, ops::raised(weight), ops::raised(bias),
                          eps, recompute);
  }
  return add_norm("add_layer_norm", true, input, residual, normalized_shape, weight, bias, eps,
                  recompute);
}

std::pair<Tensor, Tensor> add_rms_norm(const Tensor& input, const Tensor& residual,
                                       const Dims& normalized_shape, const Tensor& weight,
                                       std::optional<double> eps, bool recompute) {
  if (ops::is_autocast()) {
    if (!is_one_pass("add_rms_norm", input, residual)) {
      const Tensor sum = add(input, residual);
      return {rms_norm(sum, normalized_shape, weight, eps, recompute), sum};
    }
    const ops::AutocastPause pause;
    return add_rms_norm(input, residual, normalized_shape, ops::raised(weight), eps, recompute);
  }
  check_addends("add_rms_norm", input, residual);
  const DType dtype = promote_types(input.dtype(), residual.dtype());
  return add_norm("add_rms_norm", false, input, residual, normalized_shape, weight, Tensor(),
                  eps.value_or(epsilon_of(dtype)), recompute);
}

}  // namespace taut::nn::functional
