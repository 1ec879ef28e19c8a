#include "kernels/api/cuda_launch.cuh"
#include "kernels/conv/frame.h"
#include "kernels/conv/unfold.h"

namespace taut::kernels::cuda {
namespace {

using conv_cpu::axes_of;
using conv_cpu::ConvAxes;
using conv_cpu::ConvAxis;

// Three indices from one, the last running fastest.
struct Place {
  int64_t at[3];
};

__device__ Place place_of(int64_t index, int64_t second, int64_t third) {
  return {{index / third / second, index / third % second, index % third}};
}

// columns[plane * taps + t][p]: one thread for each element.
template <class E>
__global__ void unfold_kernel(const E* input, E* columns, const ConvAxes axes, int64_t n) {
  wait_for_stream();
  const ConvAxis* a = axes.axis;
  const int64_t taps = a[0].kernel * a[1].kernel * a[2].kernel;
  const int64_t outputs = a[0].output * a[1].output * a[2].output;
  const int64_t inputs = a[0].input * a[1].input * a[2].input;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t row = i / outputs;
    const Place output = place_of(i % outputs, a[1].output, a[2].output);
    const Place tap = place_of(row % taps, a[1].kernel, a[2].kernel);
    int64_t at = 0;
    bool is_inside = true;
    for (int d = 0; d < 3; ++d) {
      const int64_t x = output.at[d] * a[d].stride + tap.at[d] * a[d].dilation - a[d].padding;
      is_inside = is_inside && x >= 0 && x < a[d].input;
      at = at * a[d].input + x;
    }
    columns[i] = is_inside ? input[row / taps * inputs + at] : E(0);
  }
}

// Each input gathers from the columns that it was copied to, in the order of the taps.
template <class T>
__global__ void fold_kernel(const T* columns, T* result, const ConvAxes axes, int64_t n) {
  wait_for_stream();
  using C = Compute<T>;
  const ConvAxis* a = axes.axis;
  const int64_t taps = a[0].kernel * a[1].kernel * a[2].kernel;
  const int64_t outputs = a[0].output * a[1].output * a[2].output;
  const int64_t inputs = a[0].input * a[1].input * a[2].input;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t plane = i / inputs;
    const Place input = place_of(i % inputs, a[1].input, a[2].input);
    C sum = C(0);
    for (int64_t t = 0; t < taps; ++t) {
      const Place tap = place_of(t, a[1].kernel, a[2].kernel);
      int64_t at = 0;
      bool is_read = true;
      for (int d = 0; d < 3; ++d) {
        const int64_t x = input.at[d] + a[d].padding - tap.at[d] * a[d].dilation;
        const int64_t out = x / a[d].stride;
        is_read = is_read && x >= 0 && out * a[d].stride == x && out < a[d].output;
        at = at * a[d].output + out;
      }
      if (is_read) sum += widen(columns[(plane * taps + t) * outputs + at]);
    }
    result[i] = narrow<T>(sum);
  }
}

template <class C>
__device__ C activate(C x, Activation activation) {
  switch (activation) {
    case Activation::relu: return x > C(0) || x != x ? x : C(0);
    case Activation::gelu: return x * C(0.5) * (C(1) + erf(x * C(0.70710678118654752440)));
    case Activation::gelu_tanh: {
      const C inner = C(0.79788456080286535588) * (x + C(0.044715) * x * x * x);
      return x * C(0.5) * (C(1) + tanh(inner));
    }
    default: return x;
  }
}

template <class T>
__global__ void channel_bias_kernel(T* output, const T* bias, int64_t channels, int64_t plane,
                                    bool channels_last, Activation activation, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t channel = channels_last ? i % channels : i / plane % channels;
    Compute<T> value = widen(output[i]);
    if (bias != nullptr) value += widen(bias[channel]);
    output[i] = narrow<T>(activate(value, activation));
  }
}

}  // namespace

void unfold(const UnfoldArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  const int64_t n = args.shape.batch * args.shape.in_channels * axes.taps() * axes.output_plane();
  if (n == 0) return;
  visit_width(args.dtype, [&](auto tag) {
    using E = typename decltype(tag)::type;
    launch_kernel(unfold_kernel<E>, {blocks_for(n), kThreads}, static_cast<const E*>(args.input),
                  static_cast<E*>(args.columns), axes, n);
  });
  check_launch("unfold");
}

void fold(const FoldArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  const int64_t n = args.shape.batch * args.shape.in_channels * axes.input_plane();
  if (n == 0) return;
  visit_floating("fold", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_kernel(fold_kernel<T>, {blocks_for(n), kThreads}, static_cast<const T*>(args.columns),
                  static_cast<T*>(args.output), axes, n);
  });
  check_launch("fold");
}

void add_channel_bias(const ChannelBiasArgs& args) {
  const int64_t n = args.batch * args.channels * args.plane;
  if (n == 0 || (args.bias == nullptr && args.activation == Activation::none)) return;
  visit_floating("convolution", args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_kernel(channel_bias_kernel<T>, {blocks_for(n), kThreads}, static_cast<T*>(args.output),
                  static_cast<const T*>(args.bias), args.channels, args.plane, args.channels_last,
                  args.activation, n);
  });
  check_launch("convolution");
}

}  // namespace taut::kernels::cuda
