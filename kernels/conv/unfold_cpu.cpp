// Unfold writes the column matrix of a convolution; fold is its transpose.

#include "kernels/conv/conv_kernels.h"
#include "taut/base/parallel.h"

namespace taut::kernels::conv_cpu {
namespace {

// Calls visit(output position, input position, or -1 in the padding) for each output at one tap.
template <class Visit>
void visit_outputs(const ConvAxes& axes, int64_t tap, const Visit& visit) {
  const ConvAxis* a = axes.axis;
  const int64_t taps[] = {tap / (a[1].kernel * a[2].kernel), tap / a[2].kernel % a[1].kernel,
                          tap % a[2].kernel};
  int64_t at[3];
  const auto inside = [&](int d, int64_t out) {
    at[d] = out * a[d].stride + taps[d] * a[d].dilation - a[d].padding;
    return at[d] >= 0 && at[d] < a[d].input;
  };
  int64_t output = 0;
  for (int64_t z = 0; z < a[0].output; ++z) {
    const bool z_inside = inside(0, z);
    for (int64_t y = 0; y < a[1].output; ++y) {
      const bool y_inside = inside(1, y) && z_inside;
      for (int64_t x = 0; x < a[2].output; ++x, ++output) {
        const bool reads = inside(2, x) && y_inside;
        visit(output, reads ? (at[0] * a[1].input + at[1]) * a[2].input + at[2] : int64_t{-1});
      }
    }
  }
}

int64_t plane_grain(int64_t work) {
  return std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, work));
}

template <class E>
void unfold_elements(const UnfoldArgs& args, const ConvAxes& axes) {
  const int64_t taps = axes.taps();
  const int64_t outputs = axes.output_plane();
  const int64_t rows = args.shape.batch * args.shape.in_channels * taps;
  parallel_for(rows, plane_grain(outputs), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const E* input = static_cast<const E*>(args.input) + row / taps * axes.input_plane();
      E* column = static_cast<E*>(args.columns) + row * outputs;
      visit_outputs(axes, row % taps, [&](int64_t output, int64_t at) {
        column[output] = at < 0 ? E(0) : input[at];
      });
    }
  });
}

template <class T>
void fold_plane(const FoldArgs& args, const ConvAxes& axes, int64_t plane, compute_t<T>* sums) {
  using C = compute_t<T>;
  const int64_t taps = axes.taps();
  std::fill(sums, sums + axes.input_plane(), C(0));
  for (int64_t tap = 0; tap < taps; ++tap) {
    const T* column =
        static_cast<const T*>(args.columns) + (plane * taps + tap) * axes.output_plane();
    visit_outputs(axes, tap, [&](int64_t output, int64_t at) {
      if (at >= 0) sums[at] += static_cast<C>(column[output]);
    });
  }
  T* result = static_cast<T*>(args.output) + plane * axes.input_plane();
  for (int64_t i = 0; i < axes.input_plane(); ++i) result[i] = static_cast<T>(sums[i]);
}

}  // namespace

void unfold(const UnfoldArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  switch (item_size(args.dtype)) {
    case 2: return unfold_elements<uint16_t>(args, axes);
    case 4: return unfold_elements<uint32_t>(args, axes);
    default: return unfold_elements<uint64_t>(args, axes);
  }
}

void fold(const FoldArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  visit_dtype(Floating{}, args.dtype, "fold", [&]<class T>(Tag<T>) {
    const int64_t planes = args.shape.batch * args.shape.in_channels;
    parallel_for(planes, plane_grain(axes.output_plane() * axes.taps()),
                 [&](int64_t begin, int64_t end) {
                   ThreadScratch<compute_t<T>> scratch(ThreadMemory::conv_fold);
                   for (int64_t plane = begin; plane < end; ++plane) {
                     fold_plane<T>(args, axes, plane, scratch.get(axes.input_plane()));
                   }
                 });
  });
}

}  // namespace taut::kernels::conv_cpu
