// The gradient with respect to the weight, transposed: for row k = (channel, tap) and output
// channel o the sum over positions of the k-th shifted run of the input's frame times grad_output,
// whose channels are brought side by side. Images are summed in a fixed number of stretches, each
// in order, and the stretches in order: threads do not change the result.

#include "kernels/conv/conv_kernels.h"
#include "kernels/conv/regions.h"

namespace taut::kernels::conv_cpu {
namespace {

constexpr int64_t kMostStretches = 16;
// Elements that all partial sums together may take.
constexpr int64_t kMostPartial = 16 * 1024 * 1024;
// Positions of grad_output that are brought side by side at a time.
constexpr int64_t kPositions = 1024;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// grad_output at positions [first, last) of the frame: to[p][o], zero where no output stands.
template <class T>
void gather_outputs(const ConvAxes& axes,
                    const Frame& frame,
                    const T* grad,
                    int64_t channels,
                    int64_t first,
                    int64_t last,
                    compute_t<T>* to,
                    int64_t stride) {
  using C = compute_t<T>;
  const ConvAxis* a = axes.axis;
  const int64_t pitch = frame.axis[2].length;
  const int64_t plane = axes.output_plane();
  std::fill(to, to + (last - first) * stride, C(0));
  for (int64_t row = first / pitch; row * pitch < last; ++row) {
    const int64_t z = row / frame.axis[1].length;
    const int64_t y = row % frame.axis[1].length;
    if (y >= a[1].output || z >= a[0].output) continue;
    const int64_t begin = std::max<int64_t>(0, first - row * pitch);
    const int64_t end = std::min(a[2].output, last - row * pitch);
    const T* from = grad + (z * a[1].output + y) * a[2].output;
    C* rows = to + (row * pitch - first) * stride;
    for (int64_t o = 0; o < channels; ++o) {
      for (int64_t x = begin; x < end; ++x)
        rows[x * stride + o] = static_cast<C>(from[o * plane + x]);
    }
  }
}

// Adds the gradient of one image and group to `sums`, (in * taps, stride).
template <class T>
void add_image(const ConvBackwardWeightArgs& args,
               const ConvAxes& axes,
               const Frame& frame,
               const int64_t* offsets,
               int64_t item,
               compute_t<T>* sums,
               int64_t stride) {
  using C = compute_t<T>;
  thread_local ThreadScratch<C> frame_scratch;
  thread_local ThreadScratch<C> output_scratch;
  const int64_t in = args.shape.in_channels / args.shape.groups;
  const int64_t out = args.shape.out_channels / args.shape.groups;
  C* source = frame_scratch.get(in * frame.channel_size() + kSlack);
  fill_frames(frame, static_cast<const T*>(args.input) + item * in * axes.input_plane(), in,
              source);
  const T* grad = static_cast<const T*>(args.grad_output) + item * out * axes.output_plane();
  const ConvAxis* a = axes.axis;
  const int64_t length =
      ((a[0].output - 1) * frame.axis[1].length + a[1].output - 1) * frame.axis[2].length +
      a[2].output;
  C* outputs = output_scratch.get(std::min(kPositions, length) * stride);
  for (int64_t first = 0; first < length; first += kPositions) {
    const int64_t last = std::min(length, first + kPositions);
    gather_outputs(axes, frame, grad, out, first, last, outputs, stride);
    const int64_t rows = in * axes.taps();
    const int64_t grain =
        std::max<int64_t>(56, 256 * 1024 / std::max<int64_t>(1, stride * (last - first)));
    parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
      ShiftedGradient<C> gradient;
      gradient.m = end - begin;
      gradient.n = stride;
      gradient.length = last - first;
      gradient.source = source + first;
      gradient.offsets = offsets + begin;
      gradient.g = outputs;
      gradient.g_row_stride = stride;
      gradient.c = sums + begin * stride;
      gradient.c_row_stride = stride;
      run(gradient);
    });
  }
}

template <class T>
void run_weight(const ConvBackwardWeightArgs& args, const ConvAxes& axes) {
  using C = compute_t<T>;
  const ConvShape& s = args.shape;
  const int64_t in = s.in_channels / s.groups;
  const int64_t out = s.out_channels / s.groups;
  const int64_t rows = in * axes.taps();
  const int64_t stride = divide_up(out, kColumnUnit) * kColumnUnit;
  const int64_t size = rows * stride;
  const Frame frame = input_frame(axes);
  const std::unique_ptr<int64_t[]> offsets(new int64_t[static_cast<size_t>(rows)]);
  set_offsets(axes, frame, in, offsets.get());
  const int64_t room = kMostPartial / std::max<int64_t>(1, size * s.groups);
  const int64_t stretches = std::max<int64_t>(1, std::min({s.batch, kMostStretches, room}));
  const std::unique_ptr<C[]> partial(new C[static_cast<size_t>(stretches * s.groups * size)]);
  const bool has_outputs = axes.output_plane() > 0;
  for_items(
      stretches * s.groups, rows * out * axes.output_plane() * divide_up(s.batch, stretches),
      [&](int64_t i) {
        const int64_t stretch = i / s.groups;
        const int64_t group = i % s.groups;
        C* sums = partial.get() + i * size;
        std::fill(sums, sums + size, C(0));
        const int64_t last = s.batch * (stretch + 1) / stretches;
        for (int64_t image = s.batch * stretch / stretches; has_outputs && image < last; ++image) {
          add_image<T>(args, axes, frame, offsets.get(), image * s.groups + group, sums, stride);
        }
      });
  T* result = static_cast<T*>(args.grad_weight);
  parallel_for(s.out_channels,
               std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, rows * stretches)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t channel = begin; channel < end; ++channel) {
                   const C* sums = partial.get() + channel / out * size + channel % out;
                   for (int64_t k = 0; k < rows; ++k) {
                     C total = sums[k * stride];
                     for (int64_t stretch = 1; stretch < stretches; ++stretch) {
                       total += sums[stretch * s.groups * size + k * stride];
                     }
                     result[channel * rows + k] = static_cast<T>(total);
                   }
                 }
               });
}

template <class T>
void run_bias(const ConvBackwardWeightArgs& args, const ConvAxes& axes) {
  using C = compute_t<T>;
  const ConvShape& s = args.shape;
  const int64_t plane = axes.output_plane();
  T* result = static_cast<T*>(args.grad_bias);
  const int64_t grain = std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, s.batch * plane));
  parallel_for(s.out_channels, grain, [&](int64_t begin, int64_t end) {
    thread_local ThreadScratch<C> scratch;
    for (int64_t channel = begin; channel < end; ++channel) {
      C total = C(0);
      for (int64_t image = 0; image < s.batch; ++image) {
        const T* grad =
            static_cast<const T*>(args.grad_output) + (image * s.out_channels + channel) * plane;
        if constexpr (kComputesInPlace<T>) {
          total += sum(grad, plane);
        } else {
          widen_row(grad, scratch.get(plane), plane);
          total += sum(scratch.get(plane), plane);
        }
      }
      result[channel] = static_cast<T>(total);
    }
  });
}

}  // namespace

void backward_weight(const ConvBackwardWeightArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  if (args.shape.out_channels == 0) return;
  visit_dtype(Floating{}, args.dtype, "conv_backward_weight", [&]<class T>(Tag<T>) {
    if (args.grad_weight != nullptr) run_weight<T>(args, axes);
    if (args.grad_bias != nullptr) run_bias<T>(args, axes);
  });
}

}  // namespace taut::kernels::conv_cpu
