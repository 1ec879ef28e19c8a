// The loops of depthwise convolutions over channels; see depthwise.h. Each element is one chain of
// multiply-adds in the order of the sum.

#include <cstdint>
#include <type_traits>

#include "kernels/api/simd_targets.h"
#include "kernels/conv/depthwise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/conv/depthwise_rows_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::conv_cpu {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

// Vectors of channels at a time.
constexpr int kVectors = 4;

// Calls body(kind of vector, number of vectors, first channel) for blocks of channels.
template <class T, class Body>
void for_channels(int64_t channels, const Body& body) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + kVectors * lanes <= channels; c += kVectors * lanes) {
    body(d, std::integral_constant<int, kVectors>(), c);
  }
  for (; c + lanes <= channels; c += lanes) body(d, std::integral_constant<int, 1>(), c);
  for (; c < channels; ++c) body(hn::CappedTag<T, 1>(), std::integral_constant<int, 1>(), c);
}

template <class T>
void run_row(const DepthwiseRow<T>& row) {
  const AxisReads& reads = *row.reads;
  T* result = row.result;
  for (int64_t x = 0; x < reads.places(); ++x, result += row.channels) {
    const AxisReads::Read* const begin = reads.reads.data() + reads.first[static_cast<size_t>(x)];
    const AxisReads::Read* const end = reads.reads.data() + reads.first[static_cast<size_t>(x) + 1];
    for_channels<T>(row.channels, [&]<int V>(auto d, std::integral_constant<int, V>, int64_t c) {
      const auto lanes = static_cast<int64_t>(hn::Lanes(d));
      hn::Vec<decltype(d)> sum[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sum[v] = hn::Zero(d);
      for (int64_t k = 0; k < row.row_count; ++k) {
        for (const AxisReads::Read* read = begin; read != end; ++read) {
          const T* source = row.rows[k].source + read->source * row.channels + c;
          const T* weight = row.rows[k].weight + read->tap * row.channels + c;
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) {
            sum[v] = hn::MulAdd(hn::LoadU(d, weight + v * lanes), hn::LoadU(d, source + v * lanes),
                                sum[v]);
          }
        }
      }
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        if (row.bias != nullptr) sum[v] = hn::Add(sum[v], hn::LoadU(d, row.bias + c + v * lanes));
        hn::StoreU(sum[v], d, result + c + v * lanes);
      }
    });
  }
}

template <class T>
void run_products(const DepthwiseProducts<T>& p) {
  for_channels<T>(p.channels, [&]<int V>(auto d, std::integral_constant<int, V>, int64_t c) {
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    hn::Vec<decltype(d)> sum[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) sum[v] = hn::LoadU(d, p.sums + c + v * lanes);
    const T* grad = p.grad + c;
    const T* source = p.source + c;
    for (int64_t i = 0; i < p.count; ++i, grad += p.channels, source += p.step * p.channels) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        sum[v] =
            hn::MulAdd(hn::LoadU(d, source + v * lanes), hn::LoadU(d, grad + v * lanes), sum[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) hn::StoreU(sum[v], d, p.sums + c + v * lanes);
  });
}

}  // namespace

DepthwiseKernels depthwise_table() {
  DepthwiseKernels result;
  result.row_f32 = run_row<float>;
  result.row_f64 = run_row<double>;
  result.products_f32 = run_products<float>;
  result.products_f64 = run_products<double>;
  return result;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels::conv_cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels::conv_cpu {

HWY_EXPORT(depthwise_table);

const DepthwiseKernels& depthwise_kernels() {
  static const DepthwiseKernels kernels = HWY_DYNAMIC_DISPATCH(depthwise_table)();
  return kernels;
}

}  // namespace taut::kernels::conv_cpu
#endif
