// The gradient with respect to the weight, transposed: for row k = (channel, tap) and output
// channel o the sum over positions of the k-th shifted run of the input's frame times grad_output,
// whose channels are brought side by side. Images are summed in a fixed number of stretches, each
// in order, and the stretches in order: threads do not change the result.

#include "kernels/api/block_gemm.h"
#include "kernels/conv/conv_kernels.h"
#include "kernels/conv/depthwise.h"
#include "kernels/conv/regions.h"
#include "kernels/conv/turned_images.h"

namespace taut::kernels::conv_cpu {
namespace {

constexpr int64_t kMostStretches = 16;
// Elements that all partial sums together may take.
constexpr int64_t kMostPartial = 16 * 1024 * 1024;
// Positions of grad_output that are brought side by side at a time.
constexpr int64_t kPositions = 1024;
// Output channels up to which one dot product for each weight beats tiles with idle columns.
constexpr int64_t kDotChannels = 8;

// What a kernel reads of the call.
template <class T>
struct Operands {
  Images<const T> input;
  Images<const T> grad_output;

  Operands(const ConvBackwardWeightArgs& args, const ConvAxes& axes)
      : input{static_cast<const T*>(args.input), args.shape.in_channels, axes.input_plane(),
              args.channels_last},
        grad_output{static_cast<const T*>(args.grad_output), args.shape.out_channels,
                    axes.output_plane(), args.channels_last} {}
};

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// What the images of a call share.
struct WeightPlan {
  ConvAxes axes;
  Frame frame;
  int64_t in;  // channels of a group
  int64_t out;
  int64_t rows;    // in * taps
  int64_t stride;  // of the sums: out, rounded up for tiles
  bool by_dots;
  bool is_pointwise;  // then the sums are (out, in)
  std::unique_ptr<int64_t[]> offsets;

  int64_t size() const { return rows * stride; }
  // From the first to the last position of the outputs in an image's frame.
  int64_t length() const {
    const ConvAxis* a = axes.axis;
    return ((a[0].output - 1) * frame.axis[1].length + a[1].output - 1) * frame.axis[2].length +
           a[2].output;
  }
};

WeightPlan plan_of(const ConvShape& s, const ConvAxes& axes, bool pointwise) {
  WeightPlan plan;
  plan.axes = axes;
  plan.in = s.in_channels / s.groups;
  plan.out = s.out_channels / s.groups;
  plan.rows = plan.in * axes.taps();
  plan.by_dots = plan.out <= kDotChannels;
  plan.is_pointwise = pointwise;
  plan.stride = plan.by_dots ? plan.out : divide_up(plan.out, kColumnUnit) * kColumnUnit;
  plan.frame = input_frame(axes);
  // Small images are summed several at a time: each pass reads and writes all of the sums.
  const int64_t most = plan.size() > 256 * 1024 ? s.batch : s.batch / 4;
  plan.frame.gang =
      std::clamp<int64_t>(kPositions / 2 / plan.frame.image_size(), 1, std::max<int64_t>(1, most));
  plan.offsets.reset(new int64_t[static_cast<size_t>(plan.rows)]);
  set_offsets(axes, plan.frame, plan.in, plan.offsets.get());
  return plan;
}

// A run of the outputs of one row of an image.
struct OutputRun {
  int64_t position;  // in the frame
  int64_t output;    // in the plane of grad_output
  int64_t count;
};

// Calls visit for the runs of outputs at the positions [first, last) of the frame of an image.
template <class Visit>
void visit_outputs(const WeightPlan& plan, int64_t first, int64_t last, const Visit& visit) {
  const ConvAxis* a = plan.axes.axis;
  const int64_t pitch = plan.frame.axis[2].length;
  for (int64_t row = first / pitch; row * pitch < last; ++row) {
    const int64_t z = row / plan.frame.axis[1].length;
    const int64_t y = row % plan.frame.axis[1].length;
    if (y >= a[1].output || z >= a[0].output) continue;
    const int64_t begin = std::max<int64_t>(0, first - row * pitch);
    const int64_t end = std::min(a[2].output, last - row * pitch);
    if (begin >= end) continue;
    visit(OutputRun{row * pitch + begin, (z * a[1].output + y) * a[2].output + begin, end - begin});
  }
}

// Brings the outputs at [first, last) side by side, in blocks of channels (see ShiftedGradient) of
// `positions` rows: output channel o at position p goes to row `row` + p - first, column o. What is
// between the outputs is left alone. `grad` begins at the group's first channel of an image.
template <class T>
void gather_side_by_side(const WeightPlan& plan, const Images<const T>& grad, int64_t first,
                         int64_t last, int64_t row, int64_t positions, compute_t<T>* to) {
  using C = compute_t<T>;
  const int64_t channel_stride = grad.channel_stride();
  const int64_t position_stride = grad.position_stride();
  for (int64_t o = 0; o < plan.out; o += kColumnBlock) {
    const BlockColumn column = block_of_column(o, plan.stride, positions);
    const int64_t channels = std::min(kColumnBlock, plan.out - o);
    visit_outputs(plan, first, last, [&](const OutputRun& run) {
      const T* from = grad.data + o * channel_stride + run.output * position_stride;
      C* rows = to + column.start + (row + run.position - first) * column.row_stride;
      if (grad.channels_last) {
        for (int64_t x = 0; x < run.count; ++x) {
          copy_row(from + x * position_stride, int64_t{1}, rows + x * column.row_stride, channels);
        }
        return;
      }
      if constexpr (kComputesInPlace<T>) {
        block_transpose(from, channel_stride, channels, run.count, rows, column.row_stride);
      } else {
        for (int64_t i = 0; i < channels; ++i) {
          for (int64_t x = 0; x < run.count; ++x) {
            rows[x * column.row_stride + i] = static_cast<C>(from[i * channel_stride + x]);
          }
        }
      }
    });
  }
}

template <class C>
void add_products(const WeightPlan& plan, const C* source, const C* outputs, int64_t positions,
                  int64_t length, C* sums) {
  const int64_t grain =
      std::max<int64_t>(56, 256 * 1024 / std::max<int64_t>(1, plan.stride * length));
  parallel_for(plan.rows, grain, [&](int64_t begin, int64_t end) {
    ShiftedGradient<C> gradient;
    gradient.m = end - begin;
    gradient.n = plan.stride;
    gradient.length = length;
    gradient.source = source;
    gradient.offsets = plan.offsets.get() + begin;
    gradient.g = outputs;
    gradient.g_positions = positions;
    gradient.c = sums + begin * plan.stride;
    gradient.c_row_stride = plan.stride;
    run(gradient);
  });
}

// Adds the gradients of `count` images, whose frames lie in `source` as a gang. `grad` begins at
// the group's first channel of the first of them.
template <class T>
void add_by_tiles(const WeightPlan& plan, const compute_t<T>* source, const Images<const T>& grad,
                  int64_t count, compute_t<T>* sums) {
  using C = compute_t<T>;
  ThreadScratch<C> scratch(ThreadMemory::conv_weight_tiles);
  const int64_t size = plan.frame.image_size();
  const int64_t length = plan.length();
  if (plan.frame.gang > 1) {
    const int64_t positions = count * size;
    C* outputs = scratch.get(positions * plan.stride);
    std::fill(outputs, outputs + positions * plan.stride, C(0));
    for (int64_t i = 0; i < count; ++i) {
      gather_side_by_side(plan, grad.from(i, 0), 0, length, i * size, positions, outputs);
    }
    return add_products(plan, source, outputs, positions, positions - size + length, sums);
  }
  C* outputs = scratch.get(std::min(kPositions, length) * plan.stride);
  for (int64_t first = 0; first < length; first += kPositions) {
    const int64_t last = std::min(length, first + kPositions);
    std::fill(outputs, outputs + (last - first) * plan.stride, C(0));
    gather_side_by_side(plan, grad, first, last, 0, last - first, outputs);
    add_products(plan, source + first, outputs, last - first, last - first, sums);
  }
}

// One dot product for each weight, over the frame's positions.
template <class T>
void add_by_dots(const WeightPlan& plan, const compute_t<T>* source, const Images<const T>& grad,
                 int64_t count, compute_t<T>* sums) {
  using C = compute_t<T>;
  ThreadScratch<C> scratch(ThreadMemory::conv_weight_dots);
  const int64_t size = plan.frame.image_size();
  const int64_t length = (count - 1) * size + plan.length();
  C* outputs = scratch.get(plan.frame.gang * size);
  for (int64_t o = 0; o < plan.out; ++o) {
    std::fill(outputs, outputs + count * size, C(0));
    for (int64_t i = 0; i < count; ++i) {
      const T* from = grad.at(i, o);
      const int64_t step = grad.position_stride();
      visit_outputs(plan, 0, plan.length(), [&](const OutputRun& run) {
        copy_row(from + run.output * step, step, outputs + i * size + run.position, run.count);
      });
    }
    for (int64_t k = 0; k < plan.rows; ++k) {
      sums[k * plan.stride + o] +=
          block_dot(source + plan.offsets[static_cast<size_t>(k)], outputs, length);
    }
  }
}

// A 1 x 1 convolution: sums[o][c] += grad_output[o][p] * input[c][p].
template <class T>
void sum_images_pointwise(const ConvBackwardWeightArgs& args, const WeightPlan& plan, int64_t group,
                          int64_t first, int64_t last, T* sums) {
  const Operands<T> operands(args, plan.axes);
  const auto& [input, grad_output] = operands;
  for (int64_t image = first; image < last; ++image) {
    BlockGemm<T> product;
    product.m = plan.out;
    product.n = plan.in;
    product.k = input.plane;
    product.a = grad_output.at(image, group * plan.out);
    product.a_row_stride = grad_output.channel_stride();
    product.a_col_stride = grad_output.position_stride();
    product.b = input.at(image, group * plan.in);
    product.b_row_stride = input.position_stride();
    product.b_col_stride = input.channel_stride();
    product.c = sums;
    product.c_row_stride = plan.in;
    product.beta = image == first ? T(0) : T(1);
    block_gemm(product);
  }
}

// Adds the gradients of `count` images to a group's sums.
template <class T>
void add_gang(const WeightPlan& plan, const Images<const T>& input,
              const Images<const T>& grad_output, int64_t image, int64_t count, int64_t group,
              compute_t<T>* sums) {
  using C = compute_t<T>;
  ThreadScratch<C> scratch(ThreadMemory::conv_weight_images);
  C* source = scratch.get(plan.in * plan.frame.channel_size() + kSlack);
  for (int64_t i = 0; i < count; ++i) {
    fill_frames(plan.frame, input, image + i, group * plan.in, plan.in, source, i);
  }
  const Images<const T> grad = grad_output.from(image, group * plan.out);
  if (plan.by_dots) {
    add_by_dots(plan, source, grad, count, sums);
  } else {
    add_by_tiles(plan, source, grad, count, sums);
  }
}

// The sums of images [first, last) of a group.
template <class T>
void sum_images(const ConvBackwardWeightArgs& args, const WeightPlan& plan, int64_t group,
                int64_t first, int64_t last, compute_t<T>* sums) {
  const Operands<T> operands(args, plan.axes);
  std::fill(sums, sums + plan.size(), compute_t<T>(0));
  for (int64_t image = first; image < last; image += plan.frame.gang) {
    const int64_t count = std::min(plan.frame.gang, last - image);
    add_gang(plan, operands.input, operands.grad_output, image, count, group, sums);
  }
}

// The same for all groups, of few channels and with channels last: images are turned to planes.
template <class T>
void sum_images_on_planes(const ConvBackwardWeightArgs& args, const WeightPlan& plan, int64_t first,
                          int64_t last, compute_t<T>* sums) {
  using C = compute_t<T>;
  const int64_t groups = args.shape.groups;
  const Operands<T> operands(args, plan.axes);
  ThreadScratch<C> inputs(ThreadMemory::conv_planes_read);
  ThreadScratch<C> grads(ThreadMemory::conv_planes_written);
  std::fill(sums, sums + groups * plan.size(), C(0));
  for (int64_t image = first; image < last; image += plan.frame.gang) {
    const int64_t count = std::min(plan.frame.gang, last - image);
    const Images<const C> input = turned(operands.input, image, count,
                                         inputs.get(plan.frame.gang * operands.input.image_size()));
    const Images<const C> grad_output =
        turned(operands.grad_output, image, count,
               grads.get(plan.frame.gang * operands.grad_output.image_size()));
    for (int64_t group = 0; group < groups; ++group) {
      add_gang(plan, input, grad_output, 0, count, group, sums + group * plan.size());
    }
  }
}

template <class T>
void run_weight(const ConvBackwardWeightArgs& args, const ConvAxes& axes) {
  using C = compute_t<T>;
  const ConvShape& s = args.shape;
  if constexpr (kComputesInPlace<T>) {
    if (args.channels_last && is_depthwise(s)) return depthwise_backward_weight(args);
  }
  const WeightPlan plan = plan_of(s, axes, kComputesInPlace<T> && is_pointwise(axes));
  const int64_t size = plan.size();
  T* result = static_cast<T*>(args.grad_weight);
  if (s.batch == 0 || axes.output_plane() == 0 || plan.rows == 0) {
    std::fill(result, result + s.out_channels * plan.rows, T(0.0f));
    return;
  }
  const int64_t room = kMostPartial / std::max<int64_t>(1, size * s.groups);
  const int64_t gangs = divide_up(s.batch, plan.frame.gang);
  const int64_t stretches = std::max<int64_t>(1, std::min({gangs, kMostStretches, room}));
  const std::unique_ptr<C[]> partial(new C[static_cast<size_t>(stretches * s.groups * size)]);
  const int64_t work = plan.rows * plan.out * axes.output_plane() * divide_up(s.batch, stretches);
  const auto first_of = [&](int64_t stretch) {
    return std::min(s.batch, gangs * stretch / stretches * plan.frame.gang);
  };
  if (args.channels_last && has_small_groups(s) && !plan.is_pointwise) {
    for_items(stretches, work * s.groups, [&](int64_t stretch) {
      sum_images_on_planes<T>(args, plan, first_of(stretch), first_of(stretch + 1),
                              partial.get() + stretch * s.groups * size);
    });
  } else {
    for_items(stretches * s.groups, work, [&](int64_t i) {
      const int64_t first = first_of(i / s.groups);
      const int64_t last = first_of(i / s.groups + 1);
      C* const sums = partial.get() + i * size;
      if constexpr (kComputesInPlace<T>) {
        if (plan.is_pointwise) {
          return sum_images_pointwise<T>(args, plan, i % s.groups, first, last, sums);
        }
      }
      sum_images<T>(args, plan, i % s.groups, first, last, sums);
    });
  }
  const Filters<T> places{nullptr, plan.in, axes.taps(), args.channels_last};
  const int64_t grain = std::max<int64_t>(1, 32 * 1024 / (plan.rows * stretches));
  parallel_for(s.out_channels, grain, [&](int64_t begin, int64_t end) {
    for (int64_t channel = begin; channel < end; ++channel) {
      const int64_t o = channel % plan.out;
      const int64_t step = plan.is_pointwise ? 1 : plan.stride;
      const C* sums =
          partial.get() + channel / plan.out * size + (plan.is_pointwise ? o * plan.rows : o);
      T* const to = result + channel * plan.rows;
      int64_t k = 0;
      for (int64_t c = 0; c < plan.in; ++c) {
        for (int64_t t = 0; t < places.taps; ++t, ++k) {
          C total = sums[k * step];
          for (int64_t stretch = 1; stretch < stretches; ++stretch) {
            total += sums[stretch * s.groups * size + k * step];
          }
          to[c * places.channel_stride() + t * places.tap_stride()] = static_cast<T>(total);
        }
      }
    }
  });
}

// A cache line of channels that lie side by side.
constexpr int64_t kBiasChannels = 16;

// Adds to the totals of `count` channels from `first` on the sums over their planes in an image.
template <class T>
void add_planes(const Images<const T>& grad, int64_t image, int64_t first, int64_t count,
                compute_t<T>* totals) {
  using C = compute_t<T>;
  ThreadScratch<C> scratch(ThreadMemory::conv_bias);
  C* room = scratch.get(count * grad.plane);
  if (grad.channels_last) {
    to_planes(grad.at(image, first), grad.channels, grad.plane, count, room, grad.plane);
    for (int64_t i = 0; i < count; ++i) totals[i] += sum(room + i * grad.plane, grad.plane);
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    if constexpr (kComputesInPlace<T>) {
      totals[i] += sum(grad.at(image, first + i), grad.plane);
    } else {
      widen_row(grad.at(image, first + i), room, grad.plane);
      totals[i] += sum(room, grad.plane);
    }
  }
}

template <class T>
void run_bias(const ConvBackwardWeightArgs& args, const ConvAxes& axes) {
  const ConvShape& s = args.shape;
  const Images<const T> grad = Operands<T>(args, axes).grad_output;
  T* result = static_cast<T*>(args.grad_bias);
  const int64_t unit = args.channels_last ? kBiasChannels : 1;
  const int64_t grain =
      std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, unit * s.batch * grad.plane));
  parallel_for(divide_up(s.out_channels, unit), grain, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(s.out_channels, end * unit);
    for (int64_t first = begin * unit; first < last; first += unit) {
      const int64_t count = std::min(unit, last - first);
      compute_t<T> totals[kBiasChannels] = {};
      for (int64_t image = 0; image < s.batch; ++image) {
        add_planes(grad, image, first, count, totals);
      }
      for (int64_t i = 0; i < count; ++i) result[first + i] = static_cast<T>(totals[i]);
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
