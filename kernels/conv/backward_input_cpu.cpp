// The gradient with respect to the input, which is also the transposed convolution. The inputs of
// one phase of the stride gather, through the taps that reach them, from shifts of grad_output:
//   grad_input[i * s + f - padding] = sum of weight[t] * grad_output[i - t * dilation / s]
// over the taps with t * dilation % s == f.

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
  Images<const T> grad_output;
  Filters<T> weight;
  Images<T> grad_input;

  Operands(const ConvBackwardInputArgs& args, const ConvAxes& axes)
      : grad_output{static_cast<const T*>(args.grad_output), args.shape.out_channels,
                    axes.output_plane(), args.channels_last},
        weight{static_cast<const T*>(args.weight), args.shape.in_channels / args.shape.groups,
               axes.taps(), args.channels_last},
        grad_input{static_cast<T*>(args.grad_input), args.shape.in_channels, axes.input_plane(),
                   args.channels_last} {}
};

template <class T>
void run_pointwise(const ConvBackwardInputArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const int64_t plane = axes.input_plane();
  const Operands<T> operands(args, axes);
  for_items(s.batch * s.groups, in * out * plane, [&](int64_t item) {
    const int64_t group = item % s.groups;
    const T* weight = operands.weight.data + group * out * in;
    const T* grad = operands.grad_output.at(item / s.groups, group * out);
    T* result = operands.grad_input.at(item / s.groups, group * in);
    parallel_for(plane, pointwise_grain(in, out), [&](int64_t begin, int64_t end) {
      BlockGemm<T> product;
      product.m = in;
      product.n = end - begin;
      product.k = out;
      product.a = weight;
      product.a_row_stride = 1;
      product.a_col_stride = in;
      product.b = grad + begin;
      product.b_row_stride = plane;
      product.b_col_stride = 1;
      product.c = result + begin;
      product.c_row_stride = plane;
      block_gemm(product);
      if (args.bias == nullptr) return;
      const RegionTarget<T> target{result, plane, 1, bias_of<T>(args, group * in),
                                   Activation::none};
      for (int64_t c = 0; c < in; ++c) {
        target.write_row(result + c * plane + begin, c, begin, 1, end - begin);
      }
    });
  });
}

// The same with channels last: the positions of all images are rows of one matrix.
template <class T>
void run_pointwise_channels_last(const ConvBackwardInputArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const Operands<T> operands(args, axes);
  const int64_t positions = s.batch * axes.input_plane();
  parallel_for(positions, pointwise_grain(s.in_channels, out), [&](int64_t begin, int64_t end) {
    for (int64_t group = 0; group < s.groups; ++group) {
      BlockGemm<T> product;
      product.m = end - begin;
      product.n = in;
      product.k = out;
      product.a = operands.grad_output.data + begin * s.out_channels + group * out;
      product.a_row_stride = s.out_channels;
      product.a_col_stride = 1;
      product.b = operands.weight.data + group * out * in;
      product.b_row_stride = in;
      product.b_col_stride = 1;
      product.c = operands.grad_input.data + begin * s.in_channels + group * in;
      product.c_row_stride = s.in_channels;
      block_gemm(product);
      if (args.bias == nullptr) continue;
      finish_gemm(GemmFinish<T>{product.m, product.n, product.c, product.c_row_stride,
                                bias_of<T>(args, group * in), 1, Activation::none});
    }
  });
}

// The inputs along one axis that lie in one phase, and the taps that reach them.
struct AxisPhase {
  int64_t first = 0;  // the inputs i * stride + phase - padding, first <= i < last
  int64_t last = 0;
  int64_t target = 0;  // the first of them
  int64_t taps = 0;
};

AxisPhase phase_of(const ConvAxis& axis, int64_t phase) {
  const FrameAxis inputs = gathered_inputs(axis);
  AxisPhase result;
  result.first = inputs.first(phase);
  result.last = std::max(result.first, inputs.last(phase));
  result.target = inputs.source(result.first, phase);
  for (int64_t t = 0; t < axis.kernel; ++t) result.taps += axis.phase(t) == phase;
  return result;
}

// What all images share of one phase: its region and, for each group, the weights of its taps.
template <class C>
struct PhasePlan {
  Region region;
  std::unique_ptr<PackedWeight<C>> weight;
};

template <class T>
PhasePlan<compute_t<T>> plan_phase(const ConvBackwardInputArgs& args, const ConvAxes& axes,
                                   const Frame& frame, int64_t group, const int64_t (&phase)[3]) {
  using C = compute_t<T>;
  const ConvAxis* a = axes.axis;
  const int64_t in = args.shape.in_channels / args.shape.groups;
  const int64_t out = args.shape.out_channels / args.shape.groups;
  const AxisPhase z = phase_of(a[0], phase[0]);
  const AxisPhase y = phase_of(a[1], phase[1]);
  const AxisPhase x = phase_of(a[2], phase[2]);
  PhasePlan<C> plan;
  const int64_t row = a[2].input;
  const int64_t slice = a[1].input * row;
  plan.region = {
      {z.last - z.first, y.last - y.first, x.last - x.first},
      {frame.axis[1].length, frame.axis[2].length},
      frame.offset({0, 0, 0}, {z.first - first_gathered(a[0]), y.first - first_gathered(a[1]),
                               x.first - first_gathered(a[2])}),
      {slice * a[0].stride, row * a[1].stride, a[2].stride},
      z.target * slice + y.target * row + x.target};
  plan.weight = std::make_unique<PackedWeight<C>>(in, out * z.taps * y.taps * x.taps);
  const Filters<T> weight = Operands<T>(args, axes).weight;
  int64_t column = 0;
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t t = 0; t < axes.taps(); ++t) {
      const int64_t tap[] = {t / (a[1].kernel * a[2].kernel), t / a[2].kernel % a[1].kernel,
                             t % a[2].kernel};
      int64_t shift[3];
      bool reaches = true;
      for (int d = 0; d < 3; ++d) {
        reaches = reaches && a[d].phase(tap[d]) == phase[d];
        shift[d] = a[d].reach() / a[d].stride - a[d].shift(tap[d]);
      }
      if (!reaches) continue;
      plan.weight->offsets[static_cast<size_t>(column)] =
          o * frame.channel_size() + frame.offset({0, 0, 0}, shift);
      const T* from =
          weight.data + (group * out + o) * weight.filter_size() + t * weight.tap_stride();
      for (int64_t c = 0; c < in; ++c) {
        plan.weight->at(c, column) = static_cast<C>(from[c * weight.channel_stride()]);
      }
      ++column;
    }
  }
  return plan;
}

template <class T>
void run_group(const ConvBackwardInputArgs& args, const ConvAxes& axes, int64_t group) {
  using C = compute_t<T>;
  const ConvShape& s = args.shape;
  const ConvAxis* a = axes.axis;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const Operands<T> operands(args, axes);
  const Frame frame = output_frame(axes);
  const int64_t count = a[0].stride * a[1].stride * a[2].stride;
  const std::unique_ptr<PhasePlan<C>[]> plans(new PhasePlan<C>[static_cast<size_t>(count)]);
  for (int64_t f = 0; f < count; ++f) {
    plans[static_cast<size_t>(f)] = plan_phase<T>(
        args, axes, frame, group,
        {f / (a[1].stride * a[2].stride), f / a[2].stride % a[1].stride, f % a[2].stride});
  }
  for_items(s.batch, in * out * axes.output_plane() * axes.taps(), [&](int64_t image) {
    ThreadScratch<C> scratch(ThreadMemory::conv_backward_input);
    C* source = scratch.get(out * frame.channel_size() + kSlack);
    fill_frames(frame, operands.grad_output, image, group * out, out, source);
    const RegionTarget<T> target{
        operands.grad_input.at(image, group * in), operands.grad_input.channel_stride(),
        operands.grad_input.position_stride(), bias_of<T>(args, group * in), Activation::none};
    for (int64_t f = 0; f < count; ++f) {
      const PhasePlan<C>& plan = plans[static_cast<size_t>(f)];
      run_region<T>(*plan.weight, source, plan.region, target);
    }
  });
}

template <class T>
void run_groups(const ConvBackwardInputArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const int64_t work = s.batch * s.in_channels / s.groups * (s.out_channels / s.groups) *
                       axes.output_plane() * axes.taps();
  for_items(s.groups, work, [&](int64_t group) { run_group<T>(args, axes, group); });
}

}  // namespace

void backward_input(const ConvBackwardInputArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  const ConvShape& s = args.shape;
  if (s.batch == 0 || s.in_channels == 0 || axes.input_plane() == 0) return;
  visit_dtype(Floating{}, args.dtype, "conv_backward_input", [&]<class T>(Tag<T>) {
    if constexpr (kComputesInPlace<T>) {
      if (args.channels_last && is_depthwise(s)) return depthwise_backward_input(args);
      if (is_pointwise(axes) && args.channels_last) {
        return run_pointwise_channels_last<T>(args, axes);
      }
      if (is_pointwise(axes)) return run_pointwise<T>(args, axes);
    }
    if (!args.channels_last || !has_small_groups(s)) return run_groups<T>(args, axes);
    using C = compute_t<T>;
    const Operands<T> operands(args, axes);
    run_on_planes(args, axes, operands.grad_output, operands.weight, operands.grad_input,
                  [&](ConvBackwardInputArgs image, const C* from, C* to) {
                    image.grad_output = from;
                    image.grad_input = to;
                    run_groups<C>(image, axes);
                  });
  });
}

}  // namespace taut::kernels::conv_cpu
