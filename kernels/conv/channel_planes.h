#pragma once
// Images with channels behind what is spatial. Convolutions compute on planes, one for each channel
// (see Note [Frames]); such images are turned as they are copied in and out.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "kernels/api/block_gemm.h"
#include "kernels/api/half_rows.h"

namespace taut::kernels::conv_cpu {

/// Images, by where their channels lie.
template <class T>
struct Images {
  T* data = nullptr;
  int64_t channels = 0;  // of all groups
  int64_t plane = 0;     // positions
  bool channels_last = false;

  int64_t channel_stride() const { return channels_last ? 1 : plane; }
  int64_t position_stride() const { return channels_last ? channels : 1; }
  int64_t image_size() const { return channels * plane; }
  /// Position 0 of a channel.
  T* at(int64_t image, int64_t channel) const {
    return data + image * image_size() + channel * channel_stride();
  }
  /// The same images from another image and channel on.
  Images from(int64_t image, int64_t channel) const {
    return {at(image, channel), channels, plane, channels_last};
  }
};

/// A weight (filter, channel of the group, tap), the channels behind the taps where they are last.
template <class T>
struct Filters {
  const T* data = nullptr;
  int64_t channels = 0;
  int64_t taps = 0;
  bool channels_last = false;

  int64_t filter_size() const { return channels * taps; }
  int64_t channel_stride() const { return channels_last ? 1 : taps; }
  int64_t tap_stride() const { return channels_last ? channels : 1; }
  /// The first `filters` of them with the taps last.
  template <class C>
  std::unique_ptr<C[]> with_taps_last(int64_t filters) const {
    std::unique_ptr<C[]> result(new C[static_cast<size_t>(filters * channels * taps)]);
    C* to = result.get();
    for (int64_t f = 0; f < filters; ++f) {
      for (int64_t c = 0; c < channels; ++c) {
        const T* from = data + f * filter_size() + c * channel_stride();
        for (int64_t t = 0; t < taps; ++t) *to++ = static_cast<C>(from[t * tap_stride()]);
      }
    }
    return result;
  }
};

// Positions and channels of 16-bit floats that are turned at a time, in the first-level cache.
inline constexpr int64_t kTurnPositions = 64;
inline constexpr int64_t kTurnChannels = 32;

/// to[c * to_stride + p] = from[p * from_stride + c]
template <class T, class C>
void to_planes(const T* from, int64_t from_stride, int64_t positions, int64_t channels, C* to,
               int64_t to_stride) {
  if constexpr (std::is_same_v<T, C>) {
    block_transpose(from, from_stride, positions, channels, to, to_stride);
  } else {
    C wide[kTurnPositions * kTurnChannels];
    for (int64_t c = 0; c < channels; c += kTurnChannels) {
      const int64_t width = std::min(kTurnChannels, channels - c);
      for (int64_t p = 0; p < positions; p += kTurnPositions) {
        const int64_t height = std::min(kTurnPositions, positions - p);
        for (int64_t i = 0; i < height; ++i) {
          widen_row(from + (p + i) * from_stride + c, wide + i * kTurnChannels, width);
        }
        block_transpose(wide, kTurnChannels, height, width, to + c * to_stride + p, to_stride);
      }
    }
  }
}

/// to[p * to_stride + c] = from[c * from_stride + p]
template <class C, class T>
void from_planes(const C* from, int64_t from_stride, int64_t channels, int64_t positions, T* to,
                 int64_t to_stride) {
  if constexpr (std::is_same_v<T, C>) {
    block_transpose(from, from_stride, channels, positions, to, to_stride);
  } else {
    C wide[kTurnPositions * kTurnChannels];
    for (int64_t p = 0; p < positions; p += kTurnPositions) {
      const int64_t height = std::min(kTurnPositions, positions - p);
      for (int64_t c = 0; c < channels; c += kTurnChannels) {
        const int64_t width = std::min(kTurnChannels, channels - c);
        block_transpose(from + c * from_stride + p, from_stride, width, height, wide,
                        kTurnChannels);
        for (int64_t i = 0; i < height; ++i) {
          narrow_row(wide + i * kTurnChannels, to + (p + i) * to_stride + c, width);
        }
      }
    }
  }
}

/// `count` images with channels last from `image` on, turned to planes in `room`.
template <class T, class C>
Images<const C> turned(const Images<const T>& images, int64_t image, int64_t count, C* room) {
  constexpr int64_t kLine = 16;  // channels, for writes to few planes at a time
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < images.channels; c += kLine) {
      to_planes(images.at(image + i, c), images.channels, images.plane,
                std::min(kLine, images.channels - c),
                room + i * images.image_size() + c * images.plane, images.plane);
    }
  }
  return {room, images.channels, images.plane, false};
}

}  // namespace taut::kernels::conv_cpu
