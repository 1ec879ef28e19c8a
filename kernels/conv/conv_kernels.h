#pragma once
// The kernels of the conv family, one file each; conv_cpu.cpp puts them into the table.

#include <algorithm>

#include "kernels/api/conv.h"
#include "kernels/conv/frame.h"

namespace taut::kernels::conv_cpu {

void forward(const ConvForwardArgs& args);
void backward_input(const ConvBackwardInputArgs& args);
void backward_weight(const ConvBackwardWeightArgs& args);
void unfold(const UnfoldArgs& args);
void fold(const FoldArgs& args);

/// Whether each output reads one input, at its own place: a matrix product, without frames.
inline bool is_pointwise(const ConvAxes& axes) {
  for (const ConvAxis& a : axes.axis) {
    if (a.kernel != 1 || a.stride != 1 || a.padding != 0 || a.input != a.output) return false;
  }
  return true;
}

template <class T>
constexpr bool kComputesInPlace = std::is_same_v<compute_t<T>, T>;

/// Positions of a pointwise convolution that a thread takes at least, of so many channels.
inline int64_t pointwise_grain(int64_t in, int64_t out) {
  return std::max<int64_t>(64, 256 * 1024 / std::max<int64_t>(1, in * out));
}

/// The bias of the channels from `first` on, of the arguments of a kernel; null where there is
/// none.
template <class T, class Args>
const T* bias_of(const Args& args, int64_t first) {
  return args.bias == nullptr ? nullptr : static_cast<const T*>(args.bias) + first;
}

/// The reads of a convolution's K = channels * taps rows: for channel c and tap t, where in the
/// frame of all channels the run of outputs begins.
inline void set_offsets(const ConvAxes& axes, const Frame& frame, int64_t channels,
                        int64_t* offsets) {
  const ConvAxis* a = axes.axis;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t z = 0; z < a[0].kernel; ++z) {
      for (int64_t y = 0; y < a[1].kernel; ++y) {
        for (int64_t x = 0; x < a[2].kernel; ++x) {
          *offsets++ = c * frame.channel_size() +
                       frame.offset({a[0].phase(z), a[1].phase(y), a[2].phase(x)},
                                    {a[0].shift(z), a[1].shift(y), a[2].shift(x)});
        }
      }
    }
  }
}

}  // namespace taut::kernels::conv_cpu
