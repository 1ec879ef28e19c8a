#pragma once
// Computes a region of an image as sums of shifts of a frame: what forward and the input's gradient
// have in common. See Note [Frames].

#include <cmath>

#include "kernels/api/epilogue.h"
#include "kernels/api/half_rows.h"
#include "kernels/conv/frame.h"
#include "kernels/conv/shifted_products.h"
#include "taut/base/parallel.h"

namespace taut::kernels::conv_cpu {

/// The positions of a frame at which a region is computed, and where each goes in the result.
struct Region {
  int64_t count[3];   // positions along each axis
  int64_t pitch[2];   // of the frame: rows per slice, elements per row
  int64_t start;      // of the first position in the frame
  int64_t target[3];  // strides of the result for one position along each axis
  int64_t first;      // of the first position in the result
};

/// A matrix of weights, packed for ShiftedProduct, and the reads that its columns stand for.
template <class C>
struct PackedWeight {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t tall = 1;
  std::unique_ptr<C[]> values;
  std::unique_ptr<int64_t[]> offsets;

  PackedWeight(int64_t row_count, int64_t column_count)
      : rows(row_count),
        columns(column_count),
        tall(tile_height(std::max<int64_t>(1, row_count))),
        values(new C[static_cast<size_t>(row_count * column_count)]),
        offsets(new int64_t[static_cast<size_t>(column_count)]) {}

  C& at(int64_t row, int64_t column) {
    const int64_t tile = row / tall * tall;
    const int64_t height = std::min(tall, rows - tile);
    return values[static_cast<size_t>(tile * columns + column * height + row - tile)];
  }
};

template <class C>
C activate(C x, Activation activation) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return x < C(0) ? C(0) : x;
    case Activation::gelu: return C(0.5) * x * (C(1) + std::erf(x * C(0.70710678118654752)));
    case Activation::gelu_tanh:
      return C(0.5) * x *
             (C(1) + std::tanh(C(0.79788456080286536) * (x + C(0.044715) * x * x * x)));
  }
  return x;
}

/// to = activation(from + shift), from and to with their strides.
template <class T, class C>
void finish_row(const C* from, C shift, Activation activation, T* to, int64_t step, int64_t n) {
  if (activation == Activation::none && step == 1) {
    for (int64_t i = 0; i < n; ++i) to[i] = static_cast<T>(from[i] + shift);
  } else if (activation == Activation::relu && step == 1) {
    for (int64_t i = 0; i < n; ++i) {
      const C value = from[i] + shift;
      to[i] = static_cast<T>(value < C(0) ? C(0) : value);
    }
  } else {
    for (int64_t i = 0; i < n; ++i) {
      to[i * step] = static_cast<T>(activate(from[i] + shift, activation));
    }
  }
}

/// The result of a region: channels of a tensor, to which a bias and an activation are applied.
template <class T>
struct RegionTarget {
  using C = compute_t<T>;
  T* data;
  int64_t channel_stride;
  int64_t position_stride;
  const T* bias;
  Activation activation;

  C shift_of(int64_t channel) const {
    return bias == nullptr ? C(0) : static_cast<C>(bias[channel]);
  }
  void write_row(const C* from, int64_t channel, int64_t at, int64_t step, int64_t n) const {
    finish_row(from, shift_of(channel), activation, data + channel * channel_stride + at, step, n);
  }
  /// The same for all of `channels`, which lie side by side at each position. Overwrites `from`.
  void write_positions(C* from, int64_t from_stride, int64_t channels, int64_t at, int64_t step,
                       int64_t n) const {
    if (bias != nullptr || activation != Activation::none) {
      for (int64_t channel = 0; channel < channels; ++channel) {
        C* row = from + channel * from_stride;
        finish_row(row, shift_of(channel), activation, row, 1, n);
      }
    }
    from_planes(from, from_stride, channels, n, data + at * position_stride,
                step * position_stride);
  }
};

/// Rows of a region whose results stay in L2 until they are written.
template <class C>
int64_t band_rows(int64_t channels, int64_t pitch) {
  constexpr int64_t kBandBytes = 256 * 1024;
  const int64_t row = channels * pitch * static_cast<int64_t>(sizeof(C));
  return std::max<int64_t>(1 + 63 / pitch, kBandBytes / std::max<int64_t>(1, row));
}

template <class T>
void run_region(const PackedWeight<compute_t<T>>& weight, const compute_t<T>* source,
                const Region& region, const RegionTarget<T>& target) {
  using C = compute_t<T>;
  const int64_t pitch = region.pitch[1];
  if (region.count[0] * region.count[1] * region.count[2] == 0) return;
  const int64_t rows = (region.count[0] - 1) * region.pitch[0] + region.count[1];
  const int64_t most = band_rows<C>(weight.rows, pitch);
  const int64_t bands = (rows + most - 1) / most;
  parallel_for(bands, 1, [&](int64_t begin, int64_t end) {
    ThreadScratch<C> scratch(ThreadMemory::conv_region);
    for (int64_t band = begin; band < end; ++band) {
      const int64_t first = rows * band / bands;
      const int64_t last = rows * (band + 1) / bands;
      const int64_t length = (last - first - 1) * pitch + region.count[2];
      const int64_t stride = (length + kSlack - 1) / kSlack * kSlack;
      C* sums = scratch.get(weight.rows * stride);
      if (weight.columns == 0) std::fill(sums, sums + weight.rows * stride, C(0));
      ShiftedProduct<C> product;
      product.m = weight.rows;
      product.n = length;
      product.k = weight.columns;
      product.tall = weight.tall;
      product.a = weight.values.get();
      product.source = source + region.start + first * pitch;
      product.offsets = weight.offsets.get();
      product.c = sums;
      product.c_row_stride = stride;
      run(product);
      // Calls write(position of the row among the sums, place of its first element in the result).
      const auto for_rows = [&region, first, last, pitch](const auto& write) {
        int64_t z = first / region.pitch[0];
        int64_t y = first % region.pitch[0];
        int64_t position = 0;
        for (int64_t row = first; row < last; ++row, position += pitch) {
          if (y < region.count[1]) {
            write(position, region.first + z * region.target[0] + y * region.target[1]);
          }
          if (++y == region.pitch[0]) {
            y = 0;
            ++z;
          }
        }
      };
      if (target.position_stride > 1) {
        for_rows([&](int64_t position, int64_t at) {
          target.write_positions(sums + position, stride, weight.rows, at, region.target[2],
                                 region.count[2]);
        });
        continue;
      }
      for (int64_t channel = 0; channel < weight.rows; ++channel) {
        for_rows([&](int64_t position, int64_t at) {
          target.write_row(sums + channel * stride + position, channel, at, region.target[2],
                           region.count[2]);
        });
      }
    }
  });
}

/// Fills the frames of `channels` successive channels of an image, the one of that place in the
/// gang, followed by kSlack zeros.
template <class T>
void fill_frames(const Frame& frame, const Images<const T>& images, int64_t image,
                 int64_t first_channel, int64_t channels, compute_t<T>* to, int64_t place = 0) {
  const int64_t size = frame.channel_size();
  const T* from = images.at(image, first_channel);
  compute_t<T>* const target = to + place * frame.image_size();
  // Channels that lie side by side are copied so, a cache line of them at least.
  const int64_t unit = images.channels_last ? 16 : 1;
  const int64_t grain = std::max<int64_t>(1, 32 * 1024 / std::max<int64_t>(1, unit * size));
  parallel_for((channels + unit - 1) / unit, grain, [&](int64_t begin, int64_t end) {
    const int64_t last = std::min(channels, end * unit);
    if (images.channels_last) {
      const int64_t c = begin * unit;
      fill_frames_of_positions(frame, from + c, images.channels, last - c, target + c * size);
      return;
    }
    for (int64_t c = begin; c < last; ++c) {
      fill_frame(frame, from + c * images.plane, target + c * size);
    }
  });
  std::fill(to + channels * size, to + channels * size + kSlack, compute_t<T>(0));
}

/// Calls body(item) for `count` items, of `work` multiply-adds each: threads share the items when
/// there are enough of them, or else the work within each.
template <class Body>
void for_items(int64_t count, int64_t work, const Body& body) {
  if (count < get_num_threads() && !in_parallel_region()) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  const int64_t grain = std::max<int64_t>(1, 256 * 1024 / std::max<int64_t>(1, work));
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace taut::kernels::conv_cpu
