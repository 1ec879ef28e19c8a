#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/conv/depthwise.h"
#include "taut/base/parallel.h"

namespace taut::kernels::conv_cpu {
namespace {

// Multiply-adds that a thread takes at least.
constexpr int64_t kGrain = 128 * 1024;
// Stretches of rows that are summed by themselves for the gradient of a weight, so that threads do
// not change the result.
constexpr int64_t kStretches = 16;

// What each output reads of the input.
AxisReads input_reads(const ConvAxis& a) {
  AxisReads result;
  for (int64_t o = 0; o < a.output; ++o) {
    result.first.push_back(static_cast<int64_t>(result.reads.size()));
    for (int64_t t = 0; t < a.kernel; ++t) {
      const int64_t at = o * a.stride + t * a.dilation - a.padding;
      if (at >= 0 && at < a.input) result.reads.push_back({t, at});
    }
  }
  result.first.push_back(static_cast<int64_t>(result.reads.size()));
  return result;
}

// Which outputs read each input.
AxisReads output_reads(const ConvAxis& a) {
  AxisReads result;
  for (int64_t i = 0; i < a.input; ++i) {
    result.first.push_back(static_cast<int64_t>(result.reads.size()));
    for (int64_t t = 0; t < a.kernel; ++t) {
      const int64_t place = i + a.padding - t * a.dilation;
      if (place < 0 || place % a.stride != 0 || place / a.stride >= a.output) continue;
      result.reads.push_back({t, place / a.stride});
    }
  }
  result.first.push_back(static_cast<int64_t>(result.reads.size()));
  return result;
}

// The weight with the channels last: (taps, channels).
template <class T>
std::unique_ptr<T[]> taps_of_channels(const T* weight, int64_t channels, int64_t taps) {
  std::unique_ptr<T[]> result(new T[static_cast<size_t>(channels * taps)]);
  block_transpose(weight, taps, channels, taps, result.get(), channels);
  return result;
}

// Calls visit(index of the tap along the first two axes, row of the source) for what a row of
// places reads.
template <class Visit>
void visit_rows(const ConvAxes& axes, const AxisReads& z_reads, const AxisReads& y_reads,
                int64_t source_rows, int64_t z, int64_t y, const Visit& visit) {
  for (int64_t i = z_reads.first[static_cast<size_t>(z)];
       i < z_reads.first[static_cast<size_t>(z) + 1]; ++i) {
    const AxisReads::Read& at_z = z_reads.reads[static_cast<size_t>(i)];
    for (int64_t k = y_reads.first[static_cast<size_t>(y)];
         k < y_reads.first[static_cast<size_t>(y) + 1]; ++k) {
      const AxisReads::Read& at_y = y_reads.reads[static_cast<size_t>(k)];
      visit(at_z.tap * axes.axis[1].kernel + at_y.tap, at_z.source * source_rows + at_y.source);
    }
  }
}

// Sums over taps: the outputs of a convolution, or its gradient by the input.
template <class T>
struct TapSums {
  const ConvAxes& axes;
  int64_t batch;
  int64_t channels;
  AxisReads reads[3];
  int64_t source_size[3];
  const T* source;
  const T* weight;
  const T* bias;
  T* result;

  void run() const {
    const std::unique_ptr<T[]> taps = taps_of_channels(weight, channels, axes.taps());
    const int64_t depth = reads[0].places();
    const int64_t height = reads[1].places();
    const int64_t width = reads[2].places();
    const int64_t image = source_size[0] * source_size[1] * source_size[2] * channels;
    const int64_t row_work = std::max<int64_t>(1, width * channels * axes.taps());
    const int64_t grain = std::max<int64_t>(1, kGrain / row_work);
    parallel_for(batch * depth * height, grain, [&](int64_t begin, int64_t end) {
      std::vector<typename DepthwiseRow<T>::Source> rows;
      for (int64_t i = begin; i < end; ++i) {
        const T* from = source + i / (depth * height) * image;
        rows.clear();
        visit_rows(axes, reads[0], reads[1], source_size[1], i / height % depth, i % height,
                   [&](int64_t tap, int64_t row) {
                     rows.push_back({from + row * source_size[2] * channels,
                                     taps.get() + tap * axes.axis[2].kernel * channels});
                   });
        conv_cpu::run(DepthwiseRow<T>{channels, rows.data(), static_cast<int64_t>(rows.size()),
                                      &reads[2], bias, result + i * width * channels});
      }
    });
  }
};

template <class T>
void run_forward(const ConvForwardArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  const ConvAxis* a = axes.axis;
  TapSums<T>{axes,
             args.shape.batch,
             args.shape.groups,
             {input_reads(a[0]), input_reads(a[1]), input_reads(a[2])},
             {a[0].input, a[1].input, a[2].input},
             static_cast<const T*>(args.input),
             static_cast<const T*>(args.weight),
             static_cast<const T*>(args.bias),
             static_cast<T*>(args.output)}
      .run();
}

template <class T>
void run_backward_input(const ConvBackwardInputArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  const ConvAxis* a = axes.axis;
  TapSums<T>{axes,
             args.shape.batch,
             args.shape.groups,
             {output_reads(a[0]), output_reads(a[1]), output_reads(a[2])},
             {a[0].output, a[1].output, a[2].output},
             static_cast<const T*>(args.grad_output),
             static_cast<const T*>(args.weight),
             static_cast<const T*>(args.bias),
             static_cast<T*>(args.grad_input)}
      .run();
}

// The outputs [first, last) of an axis that read inside of the input through a tap.
struct OutputRange {
  int64_t first;
  int64_t last;
};
OutputRange outputs_of(const ConvAxis& a, int64_t tap) {
  const int64_t shift = a.padding - tap * a.dilation;  // output o reads o * stride - shift
  const int64_t first = shift <= 0 ? 0 : (shift + a.stride - 1) / a.stride;
  const int64_t room = a.input - 1 + shift;
  const int64_t last = room < 0 ? 0 : std::min(a.output, room / a.stride + 1);
  return {first, std::max(first, last)};
}

// Adds the products of rows [first, last) of all images' outputs to sums (taps, channels).
template <class T>
void add_rows(const ConvBackwardWeightArgs& args, const ConvAxes& axes, int64_t first, int64_t last,
              T* sums) {
  const ConvAxis* a = axes.axis;
  const int64_t channels = args.shape.groups;
  const AxisReads z_reads = input_reads(a[0]);
  const AxisReads y_reads = input_reads(a[1]);
  const int64_t rows = a[0].output * a[1].output;
  for (int64_t i = first; i < last; ++i) {
    const T* grad = static_cast<const T*>(args.grad_output) + i * a[2].output * channels;
    const T* image = static_cast<const T*>(args.input) + i / rows * axes.input_plane() * channels;
    visit_rows(axes, z_reads, y_reads, a[1].input, i / a[1].output % a[0].output, i % a[1].output,
               [&](int64_t tap_row, int64_t row) {
                 for (int64_t tap = 0; tap < a[2].kernel; ++tap) {
                   const OutputRange range = outputs_of(a[2], tap);
                   const int64_t at =
                       range.first * a[2].stride + tap * a[2].dilation - a[2].padding;
                   run(DepthwiseProducts<T>{channels, range.last - range.first, a[2].stride,
                                            grad + range.first * channels,
                                            image + (row * a[2].input + at) * channels,
                                            sums + (tap_row * a[2].kernel + tap) * channels});
                 }
               });
  }
}

template <class T>
void run_backward_weight(const ConvBackwardWeightArgs& args) {
  const ConvAxes axes = axes_of(args.shape);
  const ConvAxis* a = axes.axis;
  const int64_t size = args.shape.groups * axes.taps();
  const int64_t rows = args.shape.batch * a[0].output * a[1].output;
  const std::unique_ptr<T[]> sums(new T[static_cast<size_t>(kStretches * size)]());
  const int64_t work = std::max<int64_t>(1, rows * a[2].output * size / kStretches);
  parallel_for(kStretches, std::max<int64_t>(1, kGrain / work), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      add_rows(args, axes, rows * i / kStretches, rows * (i + 1) / kStretches,
               sums.get() + i * size);
    }
  });
  for (int64_t i = 1; i < kStretches; ++i) {
    for (int64_t k = 0; k < size; ++k)
      sums[static_cast<size_t>(k)] += sums[static_cast<size_t>(i * size + k)];
  }
  block_transpose(sums.get(), args.shape.groups, axes.taps(), args.shape.groups,
                  static_cast<T*>(args.grad_weight), axes.taps());
}

}  // namespace

void depthwise_forward(const ConvForwardArgs& args) {
  if (args.dtype == DType::float32) return run_forward<float>(args);
  run_forward<double>(args);
}
void depthwise_backward_input(const ConvBackwardInputArgs& args) {
  if (args.dtype == DType::float32) return run_backward_input<float>(args);
  run_backward_input<double>(args);
}
void depthwise_backward_weight(const ConvBackwardWeightArgs& args) {
  if (args.dtype == DType::float32) return run_backward_weight<float>(args);
  run_backward_weight<double>(args);
}

}  // namespace taut::kernels::conv_cpu
