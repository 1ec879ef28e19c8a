#include "taut/nn/functional/conv.h"

#include "src/nn/functional/image_layout.h"
#include "src/nn/functional/spatial.h"
#include "src/ops/autocast.h"
#include "src/ops/dispatch.h"
#include "src/ops/precision.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using autograd::record;
using kernels::ConvShape;

// What is the same for a convolution and its derivatives. Tensors with channels last are convolved
// where they lie, and so are those that meet one; derivatives follow.
struct ConvAttributes {
  ConvShape shape;
  MemoryFormat format = MemoryFormat::contiguous;
};

MemoryFormat common_format(const Tensor& input, const Tensor& weight) {
  if (input.dim() < 4) return MemoryFormat::contiguous;
  const MemoryFormat format = ops::memory_format_of(input);
  return format == MemoryFormat::contiguous ? ops::memory_format_of(weight) : format;
}

// Three ops are each other's derivatives: the convolution y(x, w), its derivative by the input
// dx(g, w), and its derivative by the weight dw(x, g). All three are on the tape, so that they can
// be differentiated any number of times.
Tensor convolve(const Tensor& input, const Tensor& weight, const Tensor& bias,
                const ConvAttributes& call);
Tensor convolve_backward_input(const Tensor& grad, const Tensor& weight, const Tensor& bias,
                               const ConvAttributes& call);
Tensor convolve_backward_weight(const Tensor& input, const Tensor& grad,
                                const ConvAttributes& call);

Dims all_but_channels(const Tensor& tensor) {
  Dims dims{0};
  for (int i = 2; i < tensor.dim(); ++i) dims.push_back(i);
  return dims;
}

Dims channels_first(int64_t batch, int64_t channels, const Dims& size) {
  Dims shape{batch, channels};
  for (int64_t n : size) shape.push_back(n);
  return shape;
}

// What all kernels are told of a call.
template <class Args>
Args arguments_of(const ConvAttributes& call, const Tensor& tensor) {
  Args args;
  args.dtype = tensor.dtype();
  args.shape = call.shape;
  args.channels_last = call.format == MemoryFormat::channels_last;
  args.precision = ops::float32_precision();
  return args;
}

Tensor allocate_weight(const ConvAttributes& call, const Tensor& like) {
  const ConvShape& shape = call.shape;
  return allocate_images(
      channels_first(shape.out_channels, shape.in_channels / shape.groups, shape.kernel_size),
      call.format, like);
}

void convolution_backward(BackwardContext& context) {
  const auto& call = context.attributes<ConvAttributes>();
  const Tensor& grad = context.grad();
  if (context.needs(0)) {
    context.set(0, convolve_backward_input(grad, context.saved(1), Tensor(), call));
  }
  const bool wants_bias = context.inputs() > 2 && context.needs(2);
  if (context.needs(1) && wants_bias && !is_grad_enabled()) {
    // Both in one pass over the gradient.
    const Tensor input = contiguous(context.saved(0), call.format);
    const Tensor grad_output = contiguous(grad, call.format);
    Tensor grad_weight = allocate_weight(call, input);
    Tensor grad_bias = empty({call.shape.out_channels}, grad.options());
    auto args = arguments_of<kernels::ConvBackwardWeightArgs>(call, input);
    args.input = input.data_ptr();
    args.grad_output = grad_output.data_ptr();
    args.grad_weight = grad_weight.data_ptr();
    args.grad_bias = grad_bias.data_ptr();
    ops::kernels_of(input).conv.backward_weight(args);
    context.set(1, grad_weight);
    context.set(2, grad_bias);
    return;
  }
  if (context.needs(1)) {
    context.set(1, convolve_backward_weight(context.saved(0), grad, call));
  }
  if (wants_bias) context.set(2, sum(grad, all_but_channels(grad)));
}

// dx(g, w) is linear in both: by g it is the convolution, by w it is dw with x = the new gradient.
void backward_input_backward(BackwardContext& context) {
  const auto& call = context.attributes<ConvAttributes>();
  const Tensor& grad = context.grad();
  if (context.needs(0)) context.set(0, convolve(grad, context.saved(1), Tensor(), call));
  if (context.needs(1)) context.set(1, convolve_backward_weight(grad, context.saved(0), call));
  if (context.inputs() > 2 && context.needs(2)) context.set(2, sum(grad, all_but_channels(grad)));
}

// dw(x, g): by x it is dx with w = the new gradient, by g the convolution with it.
void backward_weight_backward(BackwardContext& context) {
  const auto& call = context.attributes<ConvAttributes>();
  const Tensor& grad = context.grad();
  if (context.needs(0)) {
    context.set(0, convolve_backward_input(context.saved(1), grad, Tensor(), call));
  }
  if (context.needs(1)) context.set(1, convolve(context.saved(0), grad, Tensor(), call));
}

Tensor convolve(const Tensor& input, const Tensor& weight, const Tensor& bias,
                const ConvAttributes& call) {
  const TraceScope scope(ScopeKind::op, "convolution");
  const ConvShape& shape = call.shape;
  const Tensor source = contiguous(input, call.format);
  const Tensor filter = contiguous(weight, call.format);
  const Tensor shift = bias.defined() ? contiguous(bias) : bias;
  Tensor output = allocate_images(
      channels_first(shape.batch, shape.out_channels, shape.output_size), call.format, source);
  auto args = arguments_of<kernels::ConvForwardArgs>(call, source);
  args.input = source.data_ptr();
  args.weight = filter.data_ptr();
  args.bias = shift.defined() ? shift.data_ptr() : nullptr;
  args.output = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).conv.forward(args);
  return record("convolution", {source, filter, shift}, output, {source, filter},
                convolution_backward, call);
}

Tensor convolve_backward_input(const Tensor& grad, const Tensor& weight, const Tensor& bias,
                               const ConvAttributes& call) {
  const TraceScope scope(ScopeKind::op, "convolution_backward_input");
  const ConvShape& shape = call.shape;
  const Tensor source = contiguous(grad, call.format);
  const Tensor filter = contiguous(weight, call.format);
  const Tensor shift = bias.defined() ? contiguous(bias) : bias;
  Tensor output = allocate_images(channels_first(shape.batch, shape.in_channels, shape.input_size),
                                  call.format, source);
  auto args = arguments_of<kernels::ConvBackwardInputArgs>(call, source);
  args.grad_output = source.data_ptr();
  args.weight = filter.data_ptr();
  args.bias = shift.defined() ? shift.data_ptr() : nullptr;
  args.grad_input = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).conv.backward_input(args);
  return record("convolution_backward_input", {source, filter, shift}, output, {source, filter},
                backward_input_backward, call);
}

Tensor convolve_backward_weight(const Tensor& input, const Tensor& grad,
                                const ConvAttributes& call) {
  const TraceScope scope(ScopeKind::op, "convolution_backward_weight");
  const Tensor source = contiguous(input, call.format);
  const Tensor grad_output = contiguous(grad, call.format);
  Tensor output = allocate_weight(call, source);
  auto args = arguments_of<kernels::ConvBackwardWeightArgs>(call, source);
  args.input = source.data_ptr();
  args.grad_output = grad_output.data_ptr();
  args.grad_weight = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).conv.backward_weight(args);
  return record("convolution_backward_weight", {source, grad_output}, output, {source, grad_output},
                backward_weight_backward, call);
}

void check_tensors(const char* op, const Tensor& input, const Tensor& weight, const Tensor& bias,
                   int spatial) {
  ops::check_defined(op, "input", input);
  ops::check_defined(op, "weight", weight);
  ops::check_same_device(op, input, weight);
  if (bias.defined()) ops::check_same_device(op, input, bias);
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": input must be floating; got ",
             input.dtype());
  TAUT_CHECK(input.dtype() == weight.dtype() && (!bias.defined() || bias.dtype() == input.dtype()),
             DTypeError, op, ": input is ", input.dtype(), ", weight ", weight.dtype(),
             "; expected one dtype");
  TAUT_CHECK(input.dim() == spatial + 2 || input.dim() == spatial + 1, ShapeError, op,
             ": expected an input of ", spatial + 1, " or ", spatial + 2, " dims; got shape ",
             input.shape());
  TAUT_CHECK(weight.dim() == spatial + 2, ShapeError, op, ": expected a weight of ", spatial + 2,
             " dims; got shape ", weight.shape());
}

void check_bias(const char* op, const Tensor& bias, int64_t channels) {
  if (!bias.defined()) return;
  TAUT_CHECK(bias.dim() == 1 && bias.shape()[0] == channels, ShapeError, op, ": bias has shape ",
             bias.shape(), "; expected (", channels, ",)");
}

Tensor conv_nd(const char* op, int spatial, const Tensor& input, const Tensor& weight,
               const Tensor& bias, const Dims& stride, const Dims& padding, const Dims& dilation,
               int64_t groups) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return conv_nd(x...); }, op, spatial, input,
                               weight, bias, stride, padding, dilation, groups);
  }
  check_tensors(op, input, weight, bias, spatial);
  const bool batched = input.dim() == spatial + 2;
  const Tensor x = batched ? input : unsqueeze(input, 0);
  ConvShape shape;
  shape.batch = x.shape()[0];
  shape.in_channels = x.shape()[1];
  shape.out_channels = weight.shape()[0];
  shape.groups = groups;
  shape.stride = for_each_dim(op, "stride", stride, spatial, 1);
  shape.padding = for_each_dim(op, "padding", padding, spatial, 0);
  shape.dilation = for_each_dim(op, "dilation", dilation, spatial, 1);
  TAUT_CHECK(groups >= 1 && shape.in_channels % groups == 0 && shape.out_channels % groups == 0,
             ValueError, op, ": ", shape.in_channels, " input and ", shape.out_channels,
             " output channels do not split into ", groups, " groups");
  TAUT_CHECK(weight.shape()[1] == shape.in_channels / groups, ShapeError, op, ": weight of shape ",
             weight.shape(), " takes ", weight.shape()[1] * groups,
             " channels; the input of shape ", input.shape(), " has ", shape.in_channels);
  check_bias(op, bias, shape.out_channels);
  for (int i = 0; i < spatial; ++i) {
    const int64_t size = x.shape()[i + 2];
    const int64_t kernel = weight.shape()[i + 2];
    TAUT_CHECK(kernel >= 1, ShapeError, op, ": the kernel is empty; got weight of shape ",
               weight.shape());
    const int64_t reach = shape.dilation[i] * (kernel - 1) + 1;
    const int64_t padded = size + 2 * shape.padding[i];
    TAUT_CHECK(padded >= reach, ShapeError, op, ": a kernel that reaches over ", reach,
               " elements is larger than the padded input of ", padded, " in spatial dim ", i);
    shape.input_size.push_back(size);
    shape.kernel_size.push_back(kernel);
    shape.output_size.push_back((padded - reach) / shape.stride[i] + 1);
  }
  const Tensor output = convolve(x, weight, bias, {shape, common_format(x, weight)});
  return batched ? output : squeeze(output, 0);
}

// What does not halve lies after the input: convolve with the larger part on both sides and leave
// out the first output.
Tensor conv_same(const char* op, int spatial, const Tensor& input, const Tensor& weight,
                 const Tensor& bias, const Dims& stride, const Dims& dilation, int64_t groups) {
  check_tensors(op, input, weight, bias, spatial);
  for (int64_t step : stride) {
    TAUT_CHECK(step == 1, ValueError, op, ": padding \"same\" needs stride 1; got ", stride);
  }
  Dims total = for_each_dim(op, "dilation", dilation, spatial, 1);
  Dims larger = total;
  for (int i = 0; i < spatial; ++i) {
    total[i] *= weight.shape()[i + 2] - 1;
    larger[i] = total[i] - total[i] / 2;
  }
  Tensor output = conv_nd(op, spatial, input, weight, bias, stride, larger, dilation, groups);
  for (int i = 0; i < spatial; ++i) {
    if (total[i] % 2 == 0) continue;
    const int dim = output.dim() - spatial + i;
    output = narrow(output, dim, 1, output.size(dim) - 1);
  }
  return output;
}

Tensor conv_by_word(const char* op, int spatial, const Tensor& input, const Tensor& weight,
                    const Tensor& bias, const Dims& stride, PaddingWord padding,
                    const Dims& dilation, int64_t groups) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return conv_by_word(x...); }, op, spatial,
                               input, weight, bias, stride, padding, dilation, groups);
  }
  if (padding == PaddingWord::valid) {
    return conv_nd(op, spatial, input, weight, bias, stride, {0}, dilation, groups);
  }
  return conv_same(op, spatial, input, weight, bias, stride, dilation, groups);
}

Tensor conv_transpose_nd(const char* op, int spatial, const Tensor& input, const Tensor& weight,
                         const Tensor& bias, const Dims& stride, const Dims& padding,
                         const Dims& output_padding, int64_t groups, const Dims& dilation) {
  if (ops::is_autocast()) {
    return ops::in_lower_dtype([](const auto&... x) { return conv_transpose_nd(x...); }, op,
                               spatial, input, weight, bias, stride, padding, output_padding,
                               groups, dilation);
  }
  check_tensors(op, input, weight, bias, spatial);
  const bool batched = input.dim() == spatial + 2;
  const Tensor x = batched ? input : unsqueeze(input, 0);
  // The convolution whose derivative by the input this is: its output is our input.
  ConvShape shape;
  shape.batch = x.shape()[0];
  shape.out_channels = x.shape()[1];
  shape.in_channels = weight.shape()[1] * groups;
  shape.groups = groups;
  shape.stride = for_each_dim(op, "stride", stride, spatial, 1);
  shape.padding = for_each_dim(op, "padding", padding, spatial, 0);
  shape.dilation = for_each_dim(op, "dilation", dilation, spatial, 1);
  const Dims extra = for_each_dim(op, "output_padding", output_padding, spatial, 0);
  TAUT_CHECK(groups >= 1 && shape.out_channels % groups == 0, ValueError, op, ": ",
             shape.out_channels, " input channels do not split into ", groups, " groups");
  TAUT_CHECK(weight.shape()[0] == shape.out_channels, ShapeError, op, ": weight of shape ",
             weight.shape(), " takes ", weight.shape()[0], " channels; the input of shape ",
             input.shape(), " has ", shape.out_channels);
  check_bias(op, bias, shape.in_channels);
  for (int i = 0; i < spatial; ++i) {
    const int64_t size = x.shape()[i + 2];
    const int64_t kernel = weight.shape()[i + 2];
    TAUT_CHECK(extra[i] < std::max(shape.stride[i], shape.dilation[i]), ValueError, op,
               ": output_padding must be smaller than stride or dilation; got ", output_padding);
    const int64_t result = (size - 1) * shape.stride[i] - 2 * shape.padding[i] +
                           shape.dilation[i] * (kernel - 1) + extra[i] + 1;
    TAUT_CHECK(result > 0, ShapeError, op, ": the output would have size ", result,
               " in spatial dim ", i, " for an input of shape ", input.shape());
    shape.input_size.push_back(result);
    shape.kernel_size.push_back(kernel);
    shape.output_size.push_back(size);
  }
  const Tensor output = convolve_backward_input(x, weight, bias, {shape, common_format(x, weight)});
  return batched ? output : squeeze(output, 0);
}

// Windows as columns ------------------------------------------------------------------------------

Tensor columns_of(const Tensor& input, const ConvShape& shape);
Tensor sum_columns(const Tensor& columns, const ConvShape& shape);

void unfold_backward(BackwardContext& context) {
  context.set(0, sum_columns(context.grad(), context.attributes<ConvAttributes>().shape));
}
void fold_backward(BackwardContext& context) {
  context.set(0, columns_of(context.grad(), context.attributes<ConvAttributes>().shape));
}

Tensor columns_of(const Tensor& input, const ConvShape& shape) {
  const TraceScope scope(ScopeKind::op, "unfold");
  const Tensor source = contiguous(input);
  Tensor output = ops::allocate(
      {shape.batch, shape.in_channels * shape.kernel_size.numel(), shape.output_size.numel()},
      source.dtype(), source.device());
  kernels::UnfoldArgs args;
  args.dtype = source.dtype();
  args.shape = shape;
  args.input = source.data_ptr();
  args.columns = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).conv.unfold(args);
  return record("unfold", {source}, output, {}, unfold_backward, ConvAttributes{.shape = shape});
}

Tensor sum_columns(const Tensor& columns, const ConvShape& shape) {
  const TraceScope scope(ScopeKind::op, "fold");
  const Tensor source = contiguous(columns);
  Tensor output = ops::allocate(channels_first(shape.batch, shape.in_channels, shape.input_size),
                                source.dtype(), source.device());
  kernels::FoldArgs args;
  args.dtype = source.dtype();
  args.shape = shape;
  args.columns = source.data_ptr();
  args.output = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).conv.fold(args);
  return record("fold", {source}, output, {}, fold_backward, ConvAttributes{.shape = shape});
}

ConvShape window_shape(const char* op, const Dims& size, const Dims& kernel_size,
                       const Dims& dilation, const Dims& padding, const Dims& stride) {
  const int spatial = size.rank();
  ConvShape shape;
  shape.input_size = size;
  shape.kernel_size = for_each_dim(op, "kernel_size", kernel_size, spatial, 1);
  shape.stride = for_each_dim(op, "stride", stride, spatial, 1);
  shape.padding = for_each_dim(op, "padding", padding, spatial, 0);
  shape.dilation = for_each_dim(op, "dilation", dilation, spatial, 1);
  for (int i = 0; i < spatial; ++i) {
    const int64_t reach = shape.dilation[i] * (shape.kernel_size[i] - 1) + 1;
    const int64_t padded = size[i] + 2 * shape.padding[i];
    TAUT_CHECK(padded >= reach, ShapeError, op, ": a window over ", reach,
               " elements is larger than the padded size ", padded, " of spatial dim ", i);
    shape.output_size.push_back((padded - reach) / shape.stride[i] + 1);
  }
  return shape;
}

}  // namespace

Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Dims& stride,
              const Dims& padding, const Dims& dilation, int64_t groups) {
  return conv_nd("conv1d", 1, input, weight, bias, stride, padding, dilation, groups);
}
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Dims& stride,
              const Dims& padding, const Dims& dilation, int64_t groups) {
  return conv_nd("conv2d", 2, input, weight, bias, stride, padding, dilation, groups);
}
Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Dims& stride,
              const Dims& padding, const Dims& dilation, int64_t groups) {
  return conv_nd("conv3d", 3, input, weight, bias, stride, padding, dilation, groups);
}
PaddingWord parse_padding(std::string_view word) {
  if (word == "same") return PaddingWord::same;
  TAUT_CHECK(word == "valid", ValueError, "padding: unknown word \"", word,
             "\"; expected same, valid or numbers");
  return PaddingWord::valid;
}

Tensor conv1d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Dims& stride,
              PaddingWord padding, const Dims& dilation, int64_t groups) {
  return conv_by_word("conv1d", 1, input, weight, bias, stride, padding, dilation, groups);
}
Tensor conv2d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Dims& stride,
              PaddingWord padding, const Dims& dilation, int64_t groups) {
  return conv_by_word("conv2d", 2, input, weight, bias, stride, padding, dilation, groups);
}
Tensor conv3d(const Tensor& input, const Tensor& weight, const Tensor& bias, const Dims& stride,
              PaddingWord padding, const Dims& dilation, int64_t groups) {
  return conv_by_word("conv3d", 3, input, weight, bias, stride, padding, dilation, groups);
}

Tensor conv_transpose1d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const Dims& stride, const Dims& padding, const Dims& output_padding,
                        int64_t groups, const Dims& dilation) {
  return conv_transpose_nd("conv_transpose1d", 1, input, weight, bias, stride, padding,
                           output_padding, groups, dilation);
}
Tensor conv_transpose2d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const Dims& stride, const Dims& padding, const Dims& output_padding,
                        int64_t groups, const Dims& dilation) {
  return conv_transpose_nd("conv_transpose2d", 2, input, weight, bias, stride, padding,
                           output_padding, groups, dilation);
}
Tensor conv_transpose3d(const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const Dims& stride, const Dims& padding, const Dims& output_padding,
                        int64_t groups, const Dims& dilation) {
  return conv_transpose_nd("conv_transpose3d", 3, input, weight, bias, stride, padding,
                           output_padding, groups, dilation);
}

Tensor unfold(const Tensor& input, const Dims& kernel_size, const Dims& dilation,
              const Dims& padding, const Dims& stride) {
  ops::check_defined("unfold", "input", input);
  TAUT_CHECK(input.is_floating_point(), DTypeError, "unfold: input must be floating; got ",
             input.dtype());
  TAUT_CHECK(
      input.dim() == 3 || input.dim() == 4, ShapeError,
      "unfold: expected (batch, channels, height, width) with or without a batch; got shape ",
      input.shape());
  const bool batched = input.dim() == 4;
  const Tensor x = batched ? input : unsqueeze(input, 0);
  ConvShape shape =
      window_shape("unfold", {x.size(2), x.size(3)}, kernel_size, dilation, padding, stride);
  shape.batch = x.size(0);
  shape.in_channels = x.size(1);
  const Tensor output = columns_of(x, shape);
  return batched ? output : squeeze(output, 0);
}

Tensor fold(const Tensor& input, const Dims& output_size, const Dims& kernel_size,
            const Dims& dilation, const Dims& padding, const Dims& stride) {
  ops::check_defined("fold", "input", input);
  TAUT_CHECK(input.is_floating_point(), DTypeError, "fold: input must be floating; got ",
             input.dtype());
  TAUT_CHECK(
      input.dim() == 2 || input.dim() == 3, ShapeError,
      "fold: expected (batch, channels * taps, positions) with or without a batch; got shape ",
      input.shape());
  const bool batched = input.dim() == 3;
  const Tensor x = batched ? input : unsqueeze(input, 0);
  const Dims size = for_each_dim("fold", "output_size", output_size, 2, 1);
  ConvShape shape = window_shape("fold", size, kernel_size, dilation, padding, stride);
  const int64_t taps = shape.kernel_size.numel();
  TAUT_CHECK(x.size(1) % taps == 0 && x.size(2) == shape.output_size.numel(), ShapeError,
             "fold: columns of shape ", input.shape(), " do not fit; expected a multiple of ", taps,
             " rows and ", shape.output_size.numel(), " positions");
  shape.batch = x.size(0);
  shape.in_channels = x.size(1) / taps;
  const Tensor output = sum_columns(x, shape);
  return batched ? output : squeeze(output, 0);
}

}  // namespace taut::nn::functional
