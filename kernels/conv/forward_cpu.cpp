// Convolution forward: for each image and group, the outputs are weight (out x K) times the K
// shifted runs of the input's frame. A 1 x 1 convolution is a plain matrix product.

#include "kernels/api/block_gemm.h"
#include "kernels/conv/conv_kernels.h"
#include "kernels/conv/depthwise.h"
#include "kernels/conv/regions.h"
#include "kernels/conv/turned_images.h"

namespace taut::kernels::conv_cpu {
namespace {

// What a kernel reads and writes of the call.
template <class T>
struct Operands {
  Images<const T> input;
  Filters<T> weight;
  Images<T> output;

  Operands(const ConvForwardArgs& args, const ConvAxes& axes)
      : input{static_cast<const T*>(args.input), args.shape.in_channels, axes.input_plane(),
              args.channels_last},
        weight{static_cast<const T*>(args.weight), args.shape.in_channels / args.shape.groups,
               axes.taps(), args.channels_last},
        output{static_cast<T*>(args.output), args.shape.out_channels, axes.output_plane(),
               args.channels_last} {}
};

template <class T>
void run_pointwise(const ConvForwardArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const int64_t plane = axes.output_plane();
  const Operands<T> operands(args, axes);
  for_items(s.batch * s.groups, in * out * plane, [&](int64_t item) {
    const int64_t group = item % s.groups;
    const T* x = operands.input.at(item / s.groups, group * in);
    const T* weight = operands.weight.data + group * out * in;
    T* y = operands.output.at(item / s.groups, group * out);
    const T* bias = bias_of<T>(args, group * out);
    parallel_for(plane, pointwise_grain(in, out), [&](int64_t begin, int64_t end) {
      BlockGemm<T> product;
      product.m = out;
      product.n = end - begin;
      product.k = in;
      product.a = weight;
      product.a_row_stride = in;
      product.a_col_stride = 1;
      product.b = x + begin;
      product.b_row_stride = plane;
      product.b_col_stride = 1;
      product.c = y + begin;
      product.c_row_stride = plane;
      block_gemm(product);
      if (bias == nullptr && args.activation == Activation::none) return;
      const RegionTarget<T> target{y, plane, 1, bias, args.activation};
      for (int64_t c = 0; c < out; ++c) {
        target.write_row(y + c * plane + begin, c, begin, 1, end - begin);
      }
    });
  });
}

// The same with channels last: the positions of all images are rows of one matrix.
template <class T>
void run_pointwise_channels_last(const ConvForwardArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const Operands<T> operands(args, axes);
  const int64_t positions = s.batch * axes.output_plane();
  parallel_for(positions, pointwise_grain(s.in_channels, out), [&](int64_t begin, int64_t end) {
    for (int64_t group = 0; group < s.groups; ++group) {
      BlockGemm<T> product;
      product.m = end - begin;
      product.n = out;
      product.k = in;
      product.a = operands.input.data + begin * s.in_channels + group * in;
      product.a_row_stride = s.in_channels;
      product.a_col_stride = 1;
      product.b = operands.weight.data + group * out * in;
      product.b_row_stride = 1;
      product.b_col_stride = in;
      product.c = operands.output.data + begin * s.out_channels + group * out;
      product.c_row_stride = s.out_channels;
      block_gemm(product);
      const T* bias = bias_of<T>(args, group * out);
      if (bias == nullptr && args.activation == Activation::none) continue;
      finish_gemm(GemmFinish<T>{product.m, product.n, product.c, product.c_row_stride, bias, 1,
                                args.activation});
    }
  });
}

template <class T>
PackedWeight<compute_t<T>> pack_weight(const ConvForwardArgs& args, const ConvAxes& axes,
                                       const Frame& frame, int64_t group) {
  using C = compute_t<T>;
  const int64_t in = args.shape.in_channels / args.shape.groups;
  const int64_t out = args.shape.out_channels / args.shape.groups;
  PackedWeight<C> packed(out, in * axes.taps());
  set_offsets(axes, frame, in, packed.offsets.get());
  const Filters<T> weight = Operands<T>(args, axes).weight;
  const int64_t tap_stride = weight.tap_stride();
  for (int64_t o = 0; o < out; ++o) {
    const T* from = weight.data + (group * out + o) * weight.filter_size();
    if (tap_stride == 1) {
      for (int64_t k = 0; k < packed.columns; ++k) packed.at(o, k) = static_cast<C>(from[k]);
      continue;
    }
    int64_t column = 0;
    for (int64_t c = 0; c < in; ++c) {
      for (int64_t t = 0; t < axes.taps(); ++t) {
        packed.at(o, column++) = static_cast<C>(from[c + t * tap_stride]);
      }
    }
  }
  return packed;
}

template <class T>
void run_frames(const ConvForwardArgs& args, const ConvAxes& axes) {
  using C = compute_t<T>;
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const int64_t plane = axes.output_plane();
  const Operands<T> operands(args, axes);
  const Frame frame = input_frame(axes);
  const ConvAxis* a = axes.axis;
  const Region region{{a[0].output, a[1].output, a[2].output},
                      {frame.axis[1].length, frame.axis[2].length},
                      0,
                      {a[1].output * a[2].output, a[2].output, 1},
                      0};
  // Groups one after the other, so that one packed weight serves the whole batch.
  const int64_t work = in * out * plane * axes.taps();
  const auto run_image = [&](const PackedWeight<C>& weight, int64_t image, int64_t group) {
    ThreadScratch<C> scratch(ThreadMemory::conv_forward);
    C* source = scratch.get(in * frame.channel_size() + kSlack);
    fill_frames(frame, operands.input, image, group * in, in, source);
    run_region<T>(
        weight, source, region,
        {operands.output.at(image, group * out), operands.output.channel_stride(),
         operands.output.position_stride(), bias_of<T>(args, group * out), args.activation});
  };
  if (s.groups == 1) {
    const PackedWeight<C> weight = pack_weight<T>(args, axes, frame, 0);
    return for_items(s.batch, work, [&](int64_t image) { run_image(weight, image, 0); });
  }
  for_items(s.groups, work * s.batch, [&](int64_t group) {
    const PackedWeight<C> weight = pack_weight<T>(args, axes, frame, group);
    for (int64_t image = 0; image < s.batch; ++image) run_image(weight, image, group);
  });
}

}  // namespace

void forward(const ConvForwardArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  if (args.shape.batch == 0 || args.shape.out_channels == 0) return;
  visit_dtype(Floating{}, args.dtype, "conv", [&]<class T>(Tag<T>) {
    if constexpr (kComputesInPlace<T>) {
      const bool is_plain = args.activation == Activation::none;
      if (args.channels_last && is_depthwise(args.shape) && is_plain) {
        return depthwise_forward(args);
      }
      if (is_pointwise(axes) && args.channels_last) {
        return run_pointwise_channels_last<T>(args, axes);
      }
      if (is_pointwise(axes)) return run_pointwise<T>(args, axes);
    }
    if (!args.channels_last || !has_small_groups(args.shape)) return run_frames<T>(args, axes);
    using C = compute_t<T>;
    const Operands<T> operands(args, axes);
    run_on_planes(args, axes, operands.input, operands.weight, operands.output,
                  [&](ConvForwardArgs image, const C* from, C* to) {
                    image.input = from;
                    image.output = to;
                    run_frames<C>(image, axes);
                  });
  });
}

}  // namespace taut::kernels::conv_cpu
