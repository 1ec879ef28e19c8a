#pragma once
// Convolutions that take each channel by itself, of images with channels last: vectors lie along
// the channels, and nothing is copied.

#include <cstdint>
#include <vector>

#include "kernels/conv/frame.h"

namespace taut::kernels::conv_cpu {

inline bool is_depthwise(const ConvShape& s) {
  return s.groups == s.in_channels && s.groups == s.out_channels;
}

/// Which taps of an axis reach each place of a result, and what they read of the source: the taps
/// of place i are reads[first[i]] up to reads[first[i + 1]], in their order.
struct AxisReads {
  struct Read {
    int64_t tap;
    int64_t source;
  };
  std::vector<Read> reads;
  std::vector<int64_t> first;

  int64_t places() const { return static_cast<int64_t>(first.size()) - 1; }
};

/// A row of the result: at place x the sum over k, and over the reads of x, of rows[k].source times
/// rows[k].weight, both at what is read.
template <class T>
struct DepthwiseRow {
  struct Source {
    const T* source;
    const T* weight;
  };
  int64_t channels = 0;
  const Source* rows = nullptr;
  int64_t row_count = 0;
  const AxisReads* reads = nullptr;
  const T* bias = nullptr;  // or null
  T* result = nullptr;
};

/// sums[c] += the sum over i < count of grad[i][c] * source[i * step][c]
template <class T>
struct DepthwiseProducts {
  int64_t channels = 0;
  int64_t count = 0;
  int64_t step = 1;
  const T* grad = nullptr;
  const T* source = nullptr;
  T* sums = nullptr;
};

struct DepthwiseKernels {
  void (*row_f32)(const DepthwiseRow<float>&) = nullptr;
  void (*row_f64)(const DepthwiseRow<double>&) = nullptr;
  void (*products_f32)(const DepthwiseProducts<float>&) = nullptr;
  void (*products_f64)(const DepthwiseProducts<double>&) = nullptr;
};
const DepthwiseKernels& depthwise_kernels();

inline void run(const DepthwiseRow<float>& row) { depthwise_kernels().row_f32(row); }
inline void run(const DepthwiseRow<double>& row) { depthwise_kernels().row_f64(row); }
inline void run(const DepthwiseProducts<float>& p) { depthwise_kernels().products_f32(p); }
inline void run(const DepthwiseProducts<double>& p) { depthwise_kernels().products_f64(p); }

// The three directions, for float and double and all tensors with channels last.
void depthwise_forward(const ConvForwardArgs& args);
void depthwise_backward_input(const ConvBackwardInputArgs& args);
void depthwise_backward_weight(const ConvBackwardWeightArgs& args);

}  // namespace taut::kernels::conv_cpu
