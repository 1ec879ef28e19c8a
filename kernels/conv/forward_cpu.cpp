// Convolution forward: for each image and group, the outputs are weight (out x K) times the K
// shifted runs of the input's frame. A 1 x 1 convolution is a plain matrix product.

#include "kernels/api/block_gemm.h"
#include "kernels/conv/conv_kernels.h"
#include "kernels/conv/regions.h"

namespace taut::kernels::conv_cpu {
namespace {

template <class T>
void run_pointwise(const ConvForwardArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const int64_t plane = axes.output_plane();
  for_items(s.batch * s.groups, in * out * plane, [&](int64_t item) {
    const int64_t group = item % s.groups;
    const T* x = static_cast<const T*>(args.input) + item * in * plane;
    const T* weight = static_cast<const T*>(args.weight) + group * out * in;
    T* y = static_cast<T*>(args.output) + item * out * plane;
    const T* bias = args.bias == nullptr ? nullptr : static_cast<const T*>(args.bias) + group * out;
    const int64_t grain = std::max<int64_t>(64, 256 * 1024 / std::max<int64_t>(1, in * out));
    parallel_for(plane, grain, [&](int64_t begin, int64_t end) {
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
      const RegionTarget<T> target{y, plane, bias, args.activation};
      for (int64_t c = 0; c < out; ++c) {
        target.write_row(y + c * plane + begin, c, begin, 1, end - begin);
      }
    });
  });
}

template <class T>
PackedWeight<compute_t<T>> pack_weight(const ConvForwardArgs& args, const ConvAxes& axes,
                                       const Frame& frame, int64_t group) {
  using C = compute_t<T>;
  const int64_t in = args.shape.in_channels / args.shape.groups;
  const int64_t out = args.shape.out_channels / args.shape.groups;
  const int64_t columns = in * axes.taps();
  PackedWeight<C> packed(out, columns);
  set_offsets(axes, frame, in, packed.offsets.get());
  const T* weight = static_cast<const T*>(args.weight) + group * out * columns;
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t k = 0; k < columns; ++k) packed.at(o, k) = static_cast<C>(weight[o * columns + k]);
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
    const int64_t item = image * s.groups + group;
    fill_frames(frame, static_cast<const T*>(args.input) + item * in * axes.input_plane(), in,
                source);
    const T* bias = args.bias == nullptr ? nullptr : static_cast<const T*>(args.bias) + group * out;
    run_region<T>(
        weight, source, region,
        {static_cast<T*>(args.output) + item * out * plane, plane, bias, args.activation});
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
      if (is_pointwise(axes)) return run_pointwise<T>(args, axes);
    }
    run_frames<T>(args, axes);
  });
}

}  // namespace taut::kernels::conv_cpu
