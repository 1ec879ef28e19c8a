#pragma once
// Where convolutions read and write. See Note [Frames].
//
// Note [Frames]
// A frame is a copy of an image in which the reads of a convolution are shifts. Each spatial axis
// is padded with zeros and, for a stride s, split into s phases, so that output x at kernel offset
// t reads phase (t * dilation) % s at x + (t * dilation) / s: a place that depends on x by addition
// alone. Then the positions of a whole row of outputs, and of row after row, follow one another
// with a fixed pitch, and the value that they all read at one kernel offset is a contiguous run of
// the frame. The price is a few positions between the rows that no output has (pitch minus output);
// they are computed and dropped.
//
// The gradient with respect to the input is made of such reads too: the inputs of one phase of the
// stride gather from shifts of grad_output.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "kernels/api/conv.h"
#include "kernels/api/thread_memory.h"
#include "kernels/api/visit_dtype.h"
#include "kernels/conv/channel_planes.h"

namespace taut::kernels::conv_cpu {

/// One spatial axis of a convolution.
struct ConvAxis {
  int64_t input = 1;
  int64_t output = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;

  int64_t reach() const { return (kernel - 1) * dilation; }
  int64_t shift(int64_t tap) const { return tap * dilation / stride; }
  int64_t phase(int64_t tap) const { return tap * dilation % stride; }
  int64_t phases() const { return std::min(stride, reach() + 1); }
};

/// Three axes; fewer spatial dims are padded with ones in front.
struct ConvAxes {
  ConvAxis axis[3];

  int64_t taps() const { return axis[0].kernel * axis[1].kernel * axis[2].kernel; }
  int64_t input_plane() const { return axis[0].input * axis[1].input * axis[2].input; }
  int64_t output_plane() const { return axis[0].output * axis[1].output * axis[2].output; }
};

inline ConvAxes axes_of(const ConvShape& shape) {
  ConvAxes axes;
  const int rank = shape.input_size.rank();
  for (int d = 0; d < rank; ++d) {
    axes.axis[3 - rank + d] = {shape.input_size[d], shape.output_size[d], shape.kernel_size[d],
                               shape.stride[d],     shape.padding[d],     shape.dilation[d]};
  }
  return axes;
}

/// How one axis of an image is laid out in a frame: element i of phase f is the image's element
/// i * stride + f - padding, or zero outside of the image.
struct FrameAxis {
  int64_t image = 1;
  int64_t length = 1;  // of each phase
  int64_t phases = 1;
  int64_t stride = 1;
  int64_t padding = 0;

  int64_t source(int64_t i, int64_t phase) const { return i * stride + phase - padding; }
  // The elements [first, last) that lie inside of the image.
  int64_t first(int64_t phase) const {
    const int64_t missing = padding - phase;
    return missing <= 0 ? 0 : std::min(length, (missing + stride - 1) / stride);
  }
  int64_t last(int64_t phase) const {
    const int64_t room = image - 1 + padding - phase;
    return room < 0 ? 0 : std::min(length, room / stride + 1);
  }
};

struct Frame {
  FrameAxis axis[3];
  int64_t gang = 1;  // images that lie side by side in each phase of each channel

  int64_t image_size() const { return axis[0].length * axis[1].length * axis[2].length; }
  int64_t phase_size() const { return gang * image_size(); }
  int64_t channel_size() const {
    return phase_size() * axis[0].phases * axis[1].phases * axis[2].phases;
  }
  int64_t image_plane() const { return axis[0].image * axis[1].image * axis[2].image; }
  /// Where phase and shift (one for each axis) begin within a channel.
  int64_t offset(const int64_t (&phase)[3], const int64_t (&shift)[3]) const {
    const int64_t index = (phase[0] * axis[1].phases + phase[1]) * axis[2].phases + phase[2];
    return index * phase_size() + (shift[0] * axis[1].length + shift[1]) * axis[2].length +
           shift[2];
  }
};

/// Lets rows share the zeros between them, at most `shared` of them.
inline void overlap_rows(FrameAxis& axis, int64_t shared) {
  for (int64_t f = 0; f < axis.phases; ++f) {
    shared = std::min({shared, axis.first(f), axis.length - std::max(axis.first(f), axis.last(f))});
  }
  axis.length -= shared;
}

/// The frame of the input that forward and the weight's gradient read.
inline Frame input_frame(const ConvAxes& axes) {
  Frame frame;
  for (int d = 0; d < 3; ++d) {
    const ConvAxis& a = axes.axis[d];
    frame.axis[d] = {a.input, a.output + a.reach() / a.stride, a.phases(), a.stride, a.padding};
  }
  overlap_rows(frame.axis[2], axes.axis[2].reach() / axes.axis[2].stride);
  return frame;
}

/// The inputs of an axis as the input's gradient computes them: element i of phase f of the stride.
inline FrameAxis gathered_inputs(const ConvAxis& a) {
  return {a.input, (a.input - 1 + a.padding) / a.stride + 1, a.stride, a.stride, a.padding};
}

/// The first i of gathered_inputs that lies inside of the input in any phase.
inline int64_t first_gathered(const ConvAxis& a) {
  const FrameAxis inputs = gathered_inputs(a);
  int64_t first = inputs.length;
  for (int64_t f = 0; f < inputs.phases; ++f) first = std::min(first, inputs.first(f));
  return first;
}

/// The frame of grad_output that the input's gradient reads: element 0 is what the first gathered
/// input reads through the farthest tap.
inline Frame output_frame(const ConvAxes& axes) {
  Frame frame;
  for (int d = 0; d < 3; ++d) {
    const ConvAxis& a = axes.axis[d];
    const int64_t farthest = a.reach() / a.stride;
    const int64_t base = first_gathered(a);
    frame.axis[d] = {a.output, gathered_inputs(a).length - base + farthest, 1, 1, farthest - base};
  }
  overlap_rows(frame.axis[2], axes.axis[2].reach() / axes.axis[2].stride);
  return frame;
}

template <class C, class T>
void copy_row(const T* from, int64_t stride, C* to, int64_t n) {
  if constexpr (std::is_same_v<C, T>) {
    if (stride == 1) {
      std::memcpy(to, from, static_cast<size_t>(n) * sizeof(C));
      return;
    }
  }
  for (int64_t i = 0; i < n; ++i) to[i] = static_cast<C>(from[i * stride]);
}

/// A row of a frame's channel and what is copied to it: elements [first, last) from row `image_row`
/// of the image, the first from its element `source`; zeros elsewhere.
struct FrameRow {
  int64_t at;
  int64_t image_row;
  int64_t first;
  int64_t last;
  int64_t source;
};

/// Calls visit for each row of a channel.
template <class Visit>
void visit_frame_rows(const Frame& frame, const Visit& visit) {
  const FrameAxis& z_axis = frame.axis[0];
  const FrameAxis& y_axis = frame.axis[1];
  const FrameAxis& x_axis = frame.axis[2];
  int64_t phase_at = 0;
  for (int64_t fz = 0; fz < z_axis.phases; ++fz) {
    for (int64_t fy = 0; fy < y_axis.phases; ++fy) {
      for (int64_t fx = 0; fx < x_axis.phases; ++fx, phase_at += frame.phase_size()) {
        const int64_t first = x_axis.first(fx);
        const int64_t last = std::max(first, x_axis.last(fx));
        int64_t at = phase_at;
        for (int64_t z = 0; z < z_axis.length; ++z) {
          const bool z_inside = z >= z_axis.first(fz) && z < z_axis.last(fz);
          for (int64_t y = 0; y < y_axis.length; ++y, at += x_axis.length) {
            const int64_t at_y = y_axis.source(y, fy);
            if (!z_inside || at_y < 0 || at_y >= y_axis.image) {
              visit(FrameRow{at, 0, 0, 0, 0});
            } else {
              visit(FrameRow{at, z_axis.source(z, fz) * y_axis.image + at_y, first, last,
                             x_axis.source(first, fx)});
            }
          }
        }
      }
    }
  }
}

/// Copies one channel of an image into its frame; `channel` is where it begins there.
template <class C, class T>
void fill_frame(const Frame& frame, const T* image, C* channel) {
  const int64_t width = frame.axis[2].image;
  const int64_t length = frame.axis[2].length;
  const int64_t stride = frame.axis[2].stride;
  visit_frame_rows(frame, [=](const FrameRow& row) {
    C* to = channel + row.at;
    std::fill(to, to + row.first, C(0));
    if (row.first < row.last) {
      copy_row(image + row.image_row * width + row.source, stride, to + row.first,
               row.last - row.first);
    }
    std::fill(to + row.last, to + length, C(0));
  });
}

/// The same for channels that lie side by side at each position of the image, `position_stride`
/// apart.
template <class C, class T>
void fill_frames_of_positions(const Frame& frame, const T* image, int64_t position_stride,
                              int64_t channels, C* to) {
  const FrameAxis& x_axis = frame.axis[2];
  const int64_t size = frame.channel_size();
  visit_frame_rows(frame, [&](const FrameRow& row) {
    for (int64_t c = 0; c < channels; ++c) {
      C* begin = to + c * size + row.at;
      std::fill(begin, begin + row.first, C(0));
      std::fill(begin + row.last, begin + x_axis.length, C(0));
    }
    if (row.first == row.last) return;
    const int64_t position = row.image_row * x_axis.image + row.source;
    to_planes(image + position * position_stride, x_axis.stride * position_stride,
              row.last - row.first, channels, to + row.at + row.first, size);
  });
}

/// Memory that a thread keeps from call to call.
template <class T>
class ThreadScratch {
 public:
  explicit ThreadScratch(ThreadMemory use) : use_(use) {}
  T* get(int64_t n) { return thread_memory_of<T>(use_, n); }

 private:
  ThreadMemory use_;
};

}  // namespace taut::kernels::conv_cpu
