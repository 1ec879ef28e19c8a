#pragma once
// Pooling windows over three spatial dims; fewer are padded with dims of size 1 in front.

#include <algorithm>
#include <cstdint>
#include <memory>

#include "kernels/api/pool.h"

namespace taut::kernels::pool_cpu {

/// One spatial dim of a pooling.
struct Axis {
  int64_t input = 1;
  int64_t output = 1;
  int64_t kernel = 1;
  int64_t stride = 1;
  int64_t padding = 0;
  int64_t dilation = 1;

  /// The outputs [first, last) whose tap t lies inside of the input.
  int64_t first_output(int64_t tap) const {
    const int64_t missing = padding - tap * dilation;
    return missing <= 0 ? 0 : std::min(output, (missing + stride - 1) / stride);
  }
  int64_t last_output(int64_t tap) const {
    const int64_t room = input - 1 + padding - tap * dilation;
    return room < 0 ? 0 : std::min(output, room / stride + 1);
  }
  int64_t position(int64_t out, int64_t tap) const {
    return out * stride - padding + tap * dilation;
  }
  /// The elements of a window, those in the padding included on demand; dilation 1.
  int64_t window_size(int64_t out, bool include_padding) const {
    const int64_t begin = out * stride - padding;
    const int64_t end = std::min(begin + kernel, input + padding);
    if (include_padding) return end - begin;
    return std::max<int64_t>(0, std::min(end, input) - std::max<int64_t>(begin, 0));
  }
  /// Adaptive windows.
  int64_t adaptive_begin(int64_t out) const { return out * input / output; }
  int64_t adaptive_end(int64_t out) const { return ((out + 1) * input + output - 1) / output; }
};

struct Windows {
  Axis depth;
  Axis height;
  Axis width;

  int64_t input_plane() const { return depth.input * height.input * width.input; }
  int64_t output_plane() const { return depth.output * height.output * width.output; }
  int64_t taps() const { return depth.kernel * height.kernel * width.kernel; }
};

inline Windows windows_of(const PoolShape& shape) {
  Windows windows;
  Axis* axes[] = {&windows.depth, &windows.height, &windows.width};
  const int rank = shape.input_size.rank();
  for (int d = 0; d < rank; ++d) {
    *axes[3 - rank + d] = {shape.input_size[d], shape.output_size[d], shape.kernel_size[d],
                           shape.stride[d],     shape.padding[d],     shape.dilation[d]};
  }
  return windows;
}

inline Windows adaptive_windows_of(const Dims& input_size, const Dims& output_size) {
  Windows windows;
  Axis* axes[] = {&windows.depth, &windows.height, &windows.width};
  const int rank = input_size.rank();
  for (int d = 0; d < rank; ++d) {
    axes[3 - rank + d]->input = input_size[d];
    axes[3 - rank + d]->output = output_size[d];
  }
  return windows;
}

/// The outputs that each tap of an axis serves, worked out once for all planes.
class TapRanges {
 public:
  explicit TapRanges(const Axis& axis) : ranges_(new Range[static_cast<size_t>(axis.kernel)]) {
    for (int64_t t = 0; t < axis.kernel; ++t) {
      ranges_[static_cast<size_t>(t)] = {axis.first_output(t), axis.last_output(t)};
    }
  }
  int64_t first(int64_t tap) const { return ranges_[static_cast<size_t>(tap)].first; }
  int64_t last(int64_t tap) const { return ranges_[static_cast<size_t>(tap)].last; }
  bool serves(int64_t tap, int64_t out) const { return first(tap) <= out && out < last(tap); }

 private:
  struct Range {
    int64_t first;
    int64_t last;
  };
  std::unique_ptr<Range[]> ranges_;
};

/// Windows with the ranges of their taps.
struct TappedWindows : Windows {
  explicit TappedWindows(const PoolShape& shape)
      : Windows(windows_of(shape)), depth_taps(depth), height_taps(height), width_taps(width) {}

  /// Calls visit(first output, number, position in the plane of the first input) for each tap of
  /// the windows of row (z, y) of the outputs, in order.
  template <class Visit>
  void visit_taps(int64_t z, int64_t y, const Visit& visit) const {
    for (int64_t i = 0; i < depth.kernel; ++i) {
      if (!depth_taps.serves(i, z)) continue;
      for (int64_t j = 0; j < height.kernel; ++j) {
        if (!height_taps.serves(j, y)) continue;
        const int64_t row =
            (depth.position(z, i) * height.input + height.position(y, j)) * width.input;
        for (int64_t k = 0; k < width.kernel; ++k) {
          const int64_t first = width_taps.first(k);
          const int64_t count = width_taps.last(k) - first;
          if (count > 0) visit(first, count, row + width.position(first, k));
        }
      }
    }
  }

  TapRanges depth_taps;
  TapRanges height_taps;
  TapRanges width_taps;
};

}  // namespace taut::kernels::pool_cpu
