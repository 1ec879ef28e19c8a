// Convolutions on CUDA: by cuDNN, and what it has no kernel for as products of column matrices.

#include <algorithm>

#include "kernels/api/copy.h"
#include "kernels/api/matmul.h"
#include "kernels/api/reduce.h"
#include "kernels/conv/cudnn_conv.h"
#include "kernels/conv/frame.h"
#include "kernels/conv/unfold.h"
#include "src/core/cuda/launch_context.h"

namespace taut::kernels {
namespace {

using conv_cpu::axes_of;
using cuda::ConvPass;
using taut::cuda::Scratch;

// Column matrices are made for as many images at a time as fit in this.
constexpr int64_t kColumnBytes = int64_t{256} << 20;

// The products of one convolution, group by group, over some images. Rows of columns are (channel,
// tap), its columns are output positions.
struct Geometry {
  int64_t inputs, outputs;  // elements of a plane
  int64_t rows;             // of the column matrix of one group
  int64_t out_channels;     // of one group
  int64_t item;             // bytes of an element
  int64_t images_at_a_time;

  Geometry(const ConvShape& shape, DType dtype) {
    const auto axes = axes_of(shape);
    inputs = axes.input_plane();
    outputs = axes.output_plane();
    rows = shape.in_channels / shape.groups * axes.taps();
    out_channels = shape.out_channels / shape.groups;
    item = static_cast<int64_t>(item_size(dtype));
    const int64_t bytes = std::max<int64_t>(shape.groups * rows * outputs * item, 1);
    images_at_a_time =
        std::clamp<int64_t>(kColumnBytes / bytes, 1, std::max<int64_t>(shape.batch, 1));
  }
};

const void* moved(const void* data, int64_t bytes) {
  return static_cast<const char*>(data) + bytes;
}
void* moved(void* data, int64_t bytes) { return static_cast<char*>(data) + bytes; }

ConvShape some_images(ConvShape shape, int64_t count) {
  shape.batch = count;
  return shape;
}

void fill_zeros(void* data, DType dtype, int64_t n) {
  if (n == 0) return;
  copy_kernels_cuda().fill(
      {.target = data, .dtype = dtype, .shape = {n}, .strides = {1}, .value = Scalar(0)});
}

GemmArgs product(DType dtype, int64_t m, int64_t n, int64_t k, Float32Precision precision) {
  GemmArgs args;
  args.dtype = dtype;
  args.m = m;
  args.n = n;
  args.k = k;
  args.precision = precision;
  return args;
}

// output[b, g] = weight[g] (out, rows) @ columns[b, g] (rows, outputs)
void forward_by_columns(const ConvForwardArgs& args) {
  const ConvShape& shape = args.shape;
  const Geometry at(shape, args.dtype);
  Scratch columns(
      static_cast<size_t>(at.images_at_a_time * shape.groups * at.rows * at.outputs * at.item));
  for (int64_t begin = 0; begin < shape.batch; begin += at.images_at_a_time) {
    const int64_t images = std::min(at.images_at_a_time, shape.batch - begin);
    cuda::unfold({.dtype = args.dtype,
                  .shape = some_images(shape, images),
                  .input = moved(args.input, begin * shape.in_channels * at.inputs * at.item),
                  .columns = columns.data()});
    GemmArgs gemm = product(args.dtype, at.out_channels, at.outputs, at.rows, args.precision);
    gemm.batch = {images, shape.groups};
    gemm.a = {args.weight, at.rows, 1, {0, at.out_channels * at.rows}};
    gemm.b = {
        columns.data(), at.outputs, 1, {shape.groups * at.rows * at.outputs, at.rows * at.outputs}};
    gemm.c = {moved(args.output, begin * shape.out_channels * at.outputs * at.item),
              at.outputs,
              1,
              {shape.out_channels * at.outputs, at.out_channels * at.outputs}};
    matmul_kernels_cuda().gemm(gemm);
  }
}

// columns[b, g] = weight[g]^T @ grad_output[b, g], folded.
void backward_input_by_columns(const ConvBackwardInputArgs& args) {
  const ConvShape& shape = args.shape;
  const Geometry at(shape, args.dtype);
  Scratch columns(
      static_cast<size_t>(at.images_at_a_time * shape.groups * at.rows * at.outputs * at.item));
  for (int64_t begin = 0; begin < shape.batch; begin += at.images_at_a_time) {
    const int64_t images = std::min(at.images_at_a_time, shape.batch - begin);
    GemmArgs gemm = product(args.dtype, at.rows, at.outputs, at.out_channels, args.precision);
    gemm.batch = {images, shape.groups};
    gemm.a = {args.weight, 1, at.rows, {0, at.out_channels * at.rows}};
    gemm.b = {moved(args.grad_output, begin * shape.out_channels * at.outputs * at.item),
              at.outputs,
              1,
              {shape.out_channels * at.outputs, at.out_channels * at.outputs}};
    gemm.c = {
        columns.data(), at.outputs, 1, {shape.groups * at.rows * at.outputs, at.rows * at.outputs}};
    matmul_kernels_cuda().gemm(gemm);
    cuda::fold({.dtype = args.dtype,
                .shape = some_images(shape, images),
                .columns = columns.data(),
                .output = moved(args.grad_input, begin * shape.in_channels * at.inputs * at.item)});
  }
}

// grad_weight[g] = sum over b of grad_output[b, g] @ columns[b, g]^T, image after image.
void backward_weight_by_columns(const ConvBackwardWeightArgs& args) {
  const ConvShape& shape = args.shape;
  const Geometry at(shape, args.dtype);
  if (shape.batch == 0) {
    fill_zeros(args.grad_weight, args.dtype, shape.out_channels * at.rows);
    return;
  }
  Scratch columns(static_cast<size_t>(shape.groups * at.rows * at.outputs * at.item));
  for (int64_t image = 0; image < shape.batch; ++image) {
    cuda::unfold({.dtype = args.dtype,
                  .shape = some_images(shape, 1),
                  .input = moved(args.input, image * shape.in_channels * at.inputs * at.item),
                  .columns = columns.data()});
    GemmArgs gemm = product(args.dtype, at.out_channels, at.rows, at.outputs, args.precision);
    gemm.batch = {shape.groups};
    gemm.a = {moved(args.grad_output, image * shape.out_channels * at.outputs * at.item),
              at.outputs,
              1,
              {at.out_channels * at.outputs}};
    gemm.b = {columns.data(), 1, at.outputs, {at.rows * at.outputs}};
    gemm.c = {args.grad_weight, at.rows, 1, {at.out_channels * at.rows}};
    gemm.beta = image == 0 ? 0.0 : 1.0;
    matmul_kernels_cuda().gemm(gemm);
  }
}

// (outer, channels, plane) and (outer, plane, channels) of the same elements.
struct Images {
  int64_t outer, channels, plane;

  int64_t numel() const { return outer * channels * plane; }
  Dims shape() const { return {outer, channels, plane}; }
  Dims strides(bool channels_last) const {
    return channels_last ? Dims{channels * plane, 1, channels} : Dims{channels * plane, plane, 1};
  }
};

void move_channels(const Images& images, DType dtype, void* target, const void* source,
                   bool to_last) {
  if (images.numel() == 0) return;
  copy_kernels_cuda().copy({.target = target,
                            .source = source,
                            .target_dtype = dtype,
                            .source_dtype = dtype,
                            .shape = images.shape(),
                            .target_strides = images.strides(to_last),
                            .source_strides = images.strides(!to_last)});
}

// Column matrices are of tensors with channels first: those with channels last are copied to such,
// and the result back. run(first, second, output) does the work in between.
template <class Run>
void with_channels_first(bool channels_last, DType dtype, const Images& first, const void* a,
                         const Images& second, const void* b, const Images& result, void* output,
                         const Run& run) {
  if (!channels_last) return run(a, b, output);
  const auto bytes = [&](const Images& images) {
    return static_cast<size_t>(images.numel()) * item_size(dtype);
  };
  const Scratch moved_a(bytes(first));
  const Scratch moved_b(bytes(second));
  const Scratch moved_output(bytes(result));
  move_channels(first, dtype, moved_a.data(), a, false);
  move_channels(second, dtype, moved_b.data(), b, false);
  run(moved_a.data(), moved_b.data(), moved_output.data());
  move_channels(result, dtype, output, moved_output.data(), true);
}

Images inputs_of(const ConvShape& shape) {
  return {shape.batch, shape.in_channels, axes_of(shape).input_plane()};
}
Images outputs_of(const ConvShape& shape) {
  return {shape.batch, shape.out_channels, axes_of(shape).output_plane()};
}
Images weights_of(const ConvShape& shape) {
  return {shape.out_channels, shape.in_channels / shape.groups, axes_of(shape).taps()};
}

bool has_no_terms(const ConvShape& shape) { return shape.in_channels == 0; }

void forward(const ConvForwardArgs& args) {
  const ConvShape& shape = args.shape;
  const int64_t outputs = axes_of(shape).output_plane();
  if (has_no_terms(shape)) {
    fill_zeros(args.output, args.dtype, shape.batch * shape.out_channels * outputs);
  } else if (!cuda::run_cudnn_conv({ConvPass::forward, args.dtype, &shape, args.channels_last,
                                    args.precision, args.input, args.weight, args.output})) {
    with_channels_first(args.channels_last, args.dtype, inputs_of(shape), args.input,
                        weights_of(shape), args.weight, outputs_of(shape), args.output,
                        [&](const void* input, const void* weight, void* output) {
                          ConvForwardArgs first = args;
                          first.input = input;
                          first.weight = weight;
                          first.output = output;
                          forward_by_columns(first);
                        });
  }
  cuda::add_channel_bias({.dtype = args.dtype,
                          .output = args.output,
                          .bias = args.bias,
                          .batch = shape.batch,
                          .channels = shape.out_channels,
                          .plane = outputs,
                          .channels_last = args.channels_last,
                          .activation = args.activation});
}

void backward_input(const ConvBackwardInputArgs& args) {
  const ConvShape& shape = args.shape;
  const auto axes = axes_of(shape);
  if (shape.out_channels == 0 || axes.output_plane() == 0) {
    fill_zeros(args.grad_input, args.dtype, shape.batch * shape.in_channels * axes.input_plane());
  } else if (!cuda::run_cudnn_conv({ConvPass::backward_input, args.dtype, &shape,
                                    args.channels_last, args.precision, args.grad_output,
                                    args.weight, args.grad_input})) {
    with_channels_first(args.channels_last, args.dtype, outputs_of(shape), args.grad_output,
                        weights_of(shape), args.weight, inputs_of(shape), args.grad_input,
                        [&](const void* grad_output, const void* weight, void* grad_input) {
                          ConvBackwardInputArgs first = args;
                          first.grad_output = grad_output;
                          first.weight = weight;
                          first.grad_input = grad_input;
                          backward_input_by_columns(first);
                        });
  }
  cuda::add_channel_bias({.dtype = args.dtype,
                          .output = args.grad_input,
                          .bias = args.bias,
                          .batch = shape.batch,
                          .channels = shape.in_channels,
                          .plane = axes.input_plane(),
                          .channels_last = args.channels_last});
}

// grad_bias = the sum of grad_output over all but the channels.
void sum_bias(const ConvBackwardWeightArgs& args) {
  const int64_t outputs = axes_of(args.shape).output_plane();
  ReduceArgs sum;
  sum.input = args.grad_output;
  sum.output = args.grad_bias;
  sum.input_dtype = args.dtype;
  sum.output_dtype = args.dtype;
  const int64_t channels = args.shape.out_channels;
  if (args.channels_last) {
    sum.shape = {args.shape.batch * outputs, channels};
    sum.strides = {channels, 1};
    sum.reduced_dims = 0b01;
  } else {
    sum.shape = {args.shape.batch, channels, outputs};
    sum.strides = {channels * outputs, outputs, 1};
    sum.reduced_dims = 0b101;
  }
  if (channels > 0) reduce_kernels_cuda().sum(sum);
}

void backward_weight(const ConvBackwardWeightArgs& args) {
  const ConvShape& shape = args.shape;
  if (args.grad_bias != nullptr) sum_bias(args);
  const Geometry at(shape, args.dtype);
  if (args.grad_weight == nullptr || shape.out_channels * at.rows == 0) return;
  if (shape.batch * at.outputs == 0) {
    fill_zeros(args.grad_weight, args.dtype, shape.out_channels * at.rows);
  } else if (!cuda::run_cudnn_conv({ConvPass::backward_weight, args.dtype, &shape,
                                    args.channels_last, args.precision, args.input,
                                    args.grad_output, args.grad_weight})) {
    with_channels_first(args.channels_last, args.dtype, inputs_of(shape), args.input,
                        outputs_of(shape), args.grad_output, weights_of(shape), args.grad_weight,
                        [&](const void* input, const void* grad_output, void* grad_weight) {
                          ConvBackwardWeightArgs first = args;
                          first.input = input;
                          first.grad_output = grad_output;
                          first.grad_weight = grad_weight;
                          backward_weight_by_columns(first);
                        });
  }
}

}  // namespace

ConvKernels conv_kernels_cuda() {
  return {.forward = forward,
          .backward_input = backward_input,
          .backward_weight = backward_weight,
          .unfold = cuda::unfold,
          .fold = cuda::fold};
}

}  // namespace taut::kernels
