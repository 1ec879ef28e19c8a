#include "taut/nn/functional/pool.h"

#include "src/nn/functional/image_layout.h"
#include "src/nn/functional/spatial.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/indexing.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using autograd::record;
using kernels::PoolShape;

void check_input(const char* op, const Tensor& input, int spatial) {
  ops::check_defined(op, "input", input);
  TAUT_CHECK(input.dim() == spatial + 1 || input.dim() == spatial + 2, ShapeError, op,
             ": expected an input of ", spatial + 1, " or ", spatial + 2, " dims; got shape ",
             input.shape());
}

Dims spatial_size(const Tensor& input, int spatial) {
  Dims size;
  for (int i = input.dim() - spatial; i < input.dim(); ++i) size.push_back(input.shape()[i]);
  return size;
}

Dims with_size(const Tensor& input, const Dims& size) {
  Dims shape = input.shape();
  for (int i = 0; i < size.rank(); ++i) shape[input.dim() - size.rank() + i] = size[i];
  return shape;
}

int64_t planes_of(const Tensor& input, int spatial) {
  int64_t planes = 1;
  for (int i = 0; i < input.dim() - spatial; ++i) planes *= input.shape()[i];
  return planes;
}

// Images with channels last are pooled where they lie.
MemoryFormat pool_format(const Tensor& input, int spatial) {
  return input.dim() == spatial + 2 ? ops::memory_format_of(input) : MemoryFormat::contiguous;
}

// How many planes lie side by side.
int64_t inner_of(const Dims& shape, MemoryFormat format) {
  return format == MemoryFormat::channels_last ? shape[1] : 1;
}

PoolShape pool_shape(const char* op, const Tensor& input, int spatial, const Dims& kernel_size,
                     const std::optional<Dims>& stride, const Dims& padding, const Dims& dilation,
                     bool ceil_mode) {
  PoolShape shape;
  shape.input_size = spatial_size(input, spatial);
  shape.kernel_size = for_each_dim(op, "kernel_size", kernel_size, spatial, 1);
  shape.stride = stride && !stride->empty() ? for_each_dim(op, "stride", *stride, spatial, 1)
                                            : shape.kernel_size;
  shape.padding = for_each_dim(op, "padding", padding, spatial, 0);
  shape.dilation = for_each_dim(op, "dilation", dilation, spatial, 1);
  for (int i = 0; i < spatial; ++i) {
    TAUT_CHECK(2 * shape.padding[i] <= shape.kernel_size[i], ValueError, op,
               ": padding must be at most half of the kernel size; got ", padding, " and ",
               kernel_size);
    const int64_t reach = shape.dilation[i] * (shape.kernel_size[i] - 1) + 1;
    const int64_t room = shape.input_size[i] + 2 * shape.padding[i] - reach;
    TAUT_CHECK(room >= 0, ShapeError, op, ": a window over ", reach,
               " elements is larger than the padded size ",
               shape.input_size[i] + 2 * shape.padding[i], " of spatial dim ", i);
    int64_t windows = room / shape.stride[i] + 1;
    // A rounded-up last window must still start inside the input or its left padding.
    if (ceil_mode && room % shape.stride[i] != 0 &&
        windows * shape.stride[i] < shape.input_size[i] + shape.padding[i]) {
      ++windows;
    }
    shape.output_size.push_back(windows);
  }
  return shape;
}

// Where the maxima were found.
Tensor allocate_places(const Dims& shape, MemoryFormat format, const Tensor& like) {
  return format == MemoryFormat::channels_last
             ? ops::allocate_layout(Layout::channels_last(shape), kInt64, like.device())
             : ops::allocate(shape, kInt64, like.device());
}

// The gradient of each maximum goes where it was found.
struct MaxPoolAttributes {
  Dims input_shape;
  int spatial;
  PoolShape shape;
  MemoryFormat format;
};

void max_pool_backward(BackwardContext& context) {
  const auto& at = context.attributes<MaxPoolAttributes>();
  const Tensor indices = context.saved(0);
  const Tensor& grad = context.grad(0);
  if (!grad.defined()) return;
  int64_t planes = 1;
  int64_t input_plane = 1;
  for (int i = 0; i < at.input_shape.rank(); ++i) {
    (i < at.input_shape.rank() - at.spatial ? planes : input_plane) *= at.input_shape[i];
  }
  if (is_grad_enabled()) {
    const Dims flat{planes, -1};
    const Tensor empty_planes = zeros({planes, input_plane}, grad.options());
    const Tensor rows = reshape(indices, {planes, indices.numel() / std::max<int64_t>(planes, 1)});
    context.set(0, reshape(scatter_add(empty_planes, 1, rows, reshape(grad, rows.shape())),
                           at.input_shape));
    return;
  }
  const Tensor grad_output = contiguous(grad, at.format);
  Tensor grad_input = allocate_images(at.input_shape, at.format, grad);
  kernels::MaxPoolBackwardArgs args;
  args.dtype = grad.dtype();
  args.planes = planes;
  args.inner = inner_of(at.input_shape, at.format);
  args.input_plane = input_plane;
  args.output_plane = indices.numel() / std::max<int64_t>(planes, 1);
  args.shape = at.shape;
  args.grad_output = grad_output.data_ptr();
  args.indices = indices.data_ptr<int64_t>();
  args.grad_input = grad_input.data_ptr();
  if (grad_input.numel() > 0) ops::kernels_of(grad).pool.max_pool_backward(args);
  context.set(0, grad_input);
}

std::pair<Tensor, Tensor> finish_max_pool(const char* op, const Tensor& input, const Tensor& values,
                                          const Tensor& indices, const PoolShape& shape) {
  const autograd::TensorRef inputs[] = {input};
  const autograd::TensorRef outputs[] = {values, indices};
  const autograd::TensorRef saved[] = {indices};
  autograd::record_all(op, inputs, outputs, saved, max_pool_backward,
                       MaxPoolAttributes{input.shape(), shape.input_size.rank(), shape,
                                         pool_format(input, shape.input_size.rank())});
  return {values, indices};
}

std::pair<Tensor, Tensor> max_pool_nd(const char* op, int spatial, const Tensor& input,
                                      const Dims& kernel_size, const std::optional<Dims>& stride,
                                      const Dims& padding, const Dims& dilation, bool ceil_mode,
                                      bool wants_indices) {
  const TraceScope scope(ScopeKind::op, op);
  check_input(op, input, spatial);
  TAUT_CHECK(input.dtype() != kBool, DTypeError, op, ": not defined for bool");
  const MemoryFormat format = pool_format(input, spatial);
  const Tensor source = contiguous(input, format);
  const PoolShape shape =
      pool_shape(op, source, spatial, kernel_size, stride, padding, dilation, ceil_mode);
  const Dims output_shape = with_size(source, shape.output_size);
  Tensor values = allocate_images(output_shape, format, source);
  const bool keeps_indices = wants_indices || autograd::is_recording({source});
  Tensor indices = keeps_indices ? allocate_places(output_shape, format, source) : Tensor();
  kernels::MaxPoolArgs args;
  args.dtype = source.dtype();
  args.planes = planes_of(source, spatial);
  args.inner = inner_of(source.shape(), format);
  args.shape = shape;
  args.input = source.data_ptr();
  args.output = values.data_ptr();
  args.indices = keeps_indices ? indices.data_ptr<int64_t>() : nullptr;
  if (values.numel() > 0) ops::kernels_of(source).pool.max_pool(args);
  if (!keeps_indices) {
    autograd::record_constant(op, {source}, values);
    return {values, indices};
  }
  return finish_max_pool(op, source, values, indices, shape);
}

struct AvgPoolAttributes {
  PoolShape shape;
  bool count_include_pad;
  int64_t divisor_override;
  Dims input_shape;
  MemoryFormat format;
};

Tensor avg_pool_forward(const Tensor& input, const AvgPoolAttributes& at);

// The forward is linear, so the derivative of its derivative is the forward itself.
void avg_pool_grad_backward(BackwardContext& context) {
  context.set(0, avg_pool_forward(context.grad(), context.attributes<AvgPoolAttributes>()));
}

void avg_pool_backward(BackwardContext& context) {
  const TraceScope scope(ScopeKind::op, "avg_pool_backward");
  const auto& at = context.attributes<AvgPoolAttributes>();
  const Tensor grad_output = contiguous(context.grad(), at.format);
  Tensor grad_input = allocate_images(at.input_shape, at.format, grad_output);
  kernels::AvgPoolBackwardArgs args;
  args.dtype = grad_output.dtype();
  args.planes = planes_of(grad_input, at.shape.input_size.rank());
  args.inner = inner_of(at.input_shape, at.format);
  args.shape = at.shape;
  args.count_include_pad = at.count_include_pad;
  args.divisor_override = at.divisor_override;
  args.grad_output = grad_output.data_ptr();
  args.grad_input = grad_input.data_ptr();
  if (grad_input.numel() > 0) ops::kernels_of(grad_output).pool.avg_pool_backward(args);
  context.set(
      0, record("avg_pool_backward", {grad_output}, grad_input, {}, avg_pool_grad_backward, at));
}

Tensor avg_pool_forward(const Tensor& input, const AvgPoolAttributes& at) {
  const TraceScope scope(ScopeKind::op, "avg_pool");
  const Tensor source = contiguous(input, at.format);
  Tensor output = allocate_images(with_size(source, at.shape.output_size), at.format, source);
  kernels::AvgPoolArgs args;
  args.dtype = source.dtype();
  args.planes = planes_of(source, at.shape.input_size.rank());
  args.inner = inner_of(source.shape(), at.format);
  args.shape = at.shape;
  args.count_include_pad = at.count_include_pad;
  args.divisor_override = at.divisor_override;
  args.input = source.data_ptr();
  args.output = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).pool.avg_pool(args);
  return record("avg_pool", {source}, output, {}, avg_pool_backward, at);
}

void check_floating(const char* op, const Tensor& input) {
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": input must be floating; got ",
             input.dtype());
}

Tensor avg_pool_nd(const char* op, int spatial, const Tensor& input, const Dims& kernel_size,
                   const std::optional<Dims>& stride, const Dims& padding, bool ceil_mode,
                   bool count_include_pad, std::optional<int64_t> divisor_override) {
  check_input(op, input, spatial);
  check_floating(op, input);
  TAUT_CHECK(divisor_override.value_or(1) != 0, ValueError, op, ": divisor_override cannot be 0");
  AvgPoolAttributes at;
  at.shape = pool_shape(op, input, spatial, kernel_size, stride, padding, {1}, ceil_mode);
  at.count_include_pad = count_include_pad;
  at.divisor_override = divisor_override.value_or(0);
  at.input_shape = input.shape();
  at.format = pool_format(input, spatial);
  return avg_pool_forward(input, at);
}

struct AdaptiveAttributes {
  Dims input_shape;
  Dims input_size;
  Dims output_size;
  MemoryFormat format;
};

Tensor adaptive_avg_pool_forward(const Tensor& input, const AdaptiveAttributes& at);

void adaptive_avg_pool_grad_backward(BackwardContext& context) {
  context.set(0,
              adaptive_avg_pool_forward(context.grad(), context.attributes<AdaptiveAttributes>()));
}

void adaptive_avg_pool_backward(BackwardContext& context) {
  const TraceScope scope(ScopeKind::op, "adaptive_avg_pool_backward");
  const auto& at = context.attributes<AdaptiveAttributes>();
  const Tensor grad_output = contiguous(context.grad(), at.format);
  Tensor grad_input = allocate_images(at.input_shape, at.format, grad_output);
  kernels::AdaptiveAvgPoolBackwardArgs args;
  args.dtype = grad_output.dtype();
  args.planes = planes_of(grad_input, at.input_size.rank());
  args.inner = inner_of(at.input_shape, at.format);
  args.input_size = at.input_size;
  args.output_size = at.output_size;
  args.grad_output = grad_output.data_ptr();
  args.grad_input = grad_input.data_ptr();
  if (grad_input.numel() > 0) ops::kernels_of(grad_output).pool.adaptive_avg_pool_backward(args);
  context.set(0, record("adaptive_avg_pool_backward", {grad_output}, grad_input, {},
                        adaptive_avg_pool_grad_backward, at));
}

Tensor adaptive_avg_pool_forward(const Tensor& input, const AdaptiveAttributes& at) {
  const TraceScope scope(ScopeKind::op, "adaptive_avg_pool");
  const Tensor source = contiguous(input, at.format);
  Tensor output = allocate_images(with_size(source, at.output_size), at.format, source);
  kernels::AdaptiveAvgPoolArgs args;
  args.dtype = source.dtype();
  args.planes = planes_of(source, at.input_size.rank());
  args.inner = inner_of(source.shape(), at.format);
  args.input_size = at.input_size;
  args.output_size = at.output_size;
  args.input = source.data_ptr();
  args.output = output.data_ptr();
  if (output.numel() > 0) ops::kernels_of(source).pool.adaptive_avg_pool(args);
  return record("adaptive_avg_pool", {source}, output, {}, adaptive_avg_pool_backward, at);
}

Dims adaptive_size(const char* op, const Tensor& input, int spatial,
                   const AdaptiveSize& output_size) {
  Dims size = for_each_dim(op, "output_size", output_size.values(), spatial, -1);
  const Dims input_size = spatial_size(input, spatial);
  for (int i = 0; i < spatial; ++i) {
    TAUT_CHECK(input_size[i] > 0, ShapeError, op, ": spatial dim ", i,
               " of the input is empty; "
               "got shape ",
               input.shape());
    if (size[i] == -1) size[i] = input_size[i];
  }
  return size;
}

Tensor adaptive_avg_pool_nd(const char* op, int spatial, const Tensor& input,
                            const AdaptiveSize& output_size) {
  check_input(op, input, spatial);
  check_floating(op, input);
  return adaptive_avg_pool_forward(
      input, AdaptiveAttributes{input.shape(), spatial_size(input, spatial),
                                adaptive_size(op, input, spatial, output_size),
                                pool_format(input, spatial)});
}

}  // namespace

Tensor max_pool1d(const Tensor& input, const Dims& kernel_size, const std::optional<Dims>& stride,
                  const Dims& padding, const Dims& dilation, bool ceil_mode) {
  return max_pool_nd("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode,
                     false)
      .first;
}
Tensor max_pool2d(const Tensor& input, const Dims& kernel_size, const std::optional<Dims>& stride,
                  const Dims& padding, const Dims& dilation, bool ceil_mode) {
  return max_pool_nd("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode,
                     false)
      .first;
}
Tensor max_pool3d(const Tensor& input, const Dims& kernel_size, const std::optional<Dims>& stride,
                  const Dims& padding, const Dims& dilation, bool ceil_mode) {
  return max_pool_nd("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode,
                     false)
      .first;
}
std::pair<Tensor, Tensor> max_pool_with_indices(int spatial_dims, const Tensor& input,
                                                const Dims& kernel_size,
                                                const std::optional<Dims>& stride,
                                                const Dims& padding, const Dims& dilation,
                                                bool ceil_mode) {
  TAUT_CHECK(spatial_dims >= 1 && spatial_dims <= 3, ValueError,
             "max_pool: expected 1 to 3 spatial dims; got ", spatial_dims);
  return max_pool_nd("max_pool", spatial_dims, input, kernel_size, stride, padding, dilation,
                     ceil_mode, true);
}

Tensor avg_pool1d(const Tensor& input, const Dims& kernel_size, const std::optional<Dims>& stride,
                  const Dims& padding, bool ceil_mode, bool count_include_pad) {
  return avg_pool_nd("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode,
                     count_include_pad, std::nullopt);
}
Tensor avg_pool2d(const Tensor& input, const Dims& kernel_size, const std::optional<Dims>& stride,
                  const Dims& padding, bool ceil_mode, bool count_include_pad,
                  std::optional<int64_t> divisor_override) {
  return avg_pool_nd("avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode,
                     count_include_pad, divisor_override);
}
Tensor avg_pool3d(const Tensor& input, const Dims& kernel_size, const std::optional<Dims>& stride,
                  const Dims& padding, bool ceil_mode, bool count_include_pad,
                  std::optional<int64_t> divisor_override) {
  return avg_pool_nd("avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode,
                     count_include_pad, divisor_override);
}

void append(std::string& message, const AdaptiveSize& size) {
  const auto append_one = [&](int64_t number) {
    if (number < 0) {
      taut::append(message, "None");
    } else {
      taut::append(message, number);
    }
  };
  const Dims& sizes = size.values();
  if (!size.is_list()) return append_one(sizes[0]);
  message.push_back('(');
  for (int i = 0; i < sizes.rank(); ++i) {
    if (i > 0) message.append(", ");
    append_one(sizes[i]);
  }
  message.push_back(')');
}

Tensor adaptive_avg_pool1d(const Tensor& input, const AdaptiveSize& output_size) {
  return adaptive_avg_pool_nd("adaptive_avg_pool1d", 1, input, output_size);
}
Tensor adaptive_avg_pool2d(const Tensor& input, const AdaptiveSize& output_size) {
  return adaptive_avg_pool_nd("adaptive_avg_pool2d", 2, input, output_size);
}
Tensor adaptive_avg_pool3d(const Tensor& input, const AdaptiveSize& output_size) {
  return adaptive_avg_pool_nd("adaptive_avg_pool3d", 3, input, output_size);
}

std::pair<Tensor, Tensor> adaptive_max_pool_with_indices(int spatial_dims, const Tensor& input,
                                                         const AdaptiveSize& output_size) {
  const char* op = "adaptive_max_pool";
  const TraceScope scope(ScopeKind::op, op);
  TAUT_CHECK(spatial_dims >= 1 && spatial_dims <= 3, ValueError,
             "adaptive_max_pool: expected 1 to 3 spatial dims; got ", spatial_dims);
  check_input(op, input, spatial_dims);
  const MemoryFormat format = pool_format(input, spatial_dims);
  const Tensor source = contiguous(input, format);
  const Dims size = adaptive_size(op, source, spatial_dims, output_size);
  const Dims output_shape = with_size(source, size);
  Tensor values = allocate_images(output_shape, format, source);
  Tensor indices = allocate_places(output_shape, format, source);
  kernels::AdaptiveMaxPoolArgs args;
  args.dtype = source.dtype();
  args.planes = planes_of(source, spatial_dims);
  args.inner = inner_of(source.shape(), format);
  args.input_size = spatial_size(source, spatial_dims);
  args.output_size = size;
  args.input = source.data_ptr();
  args.output = values.data_ptr();
  args.indices = indices.data_ptr<int64_t>();
  if (values.numel() > 0) ops::kernels_of(source).pool.adaptive_max_pool(args);
  PoolShape shape;
  shape.input_size = args.input_size;
  shape.output_size = args.output_size;
  return finish_max_pool(op, source, values, indices, shape);
}

Tensor adaptive_max_pool1d(const Tensor& input, const AdaptiveSize& output_size) {
  return adaptive_max_pool_with_indices(1, input, output_size).first;
}
Tensor adaptive_max_pool2d(const Tensor& input, const AdaptiveSize& output_size) {
  return adaptive_max_pool_with_indices(2, input, output_size).first;
}
Tensor adaptive_max_pool3d(const Tensor& input, const AdaptiveSize& output_size) {
  return adaptive_max_pool_with_indices(3, input, output_size).first;
}

}  // namespace taut::nn::functional
