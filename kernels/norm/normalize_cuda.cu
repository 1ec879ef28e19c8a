// The elementwise steps of norms; see Note [Norms by steps].

#include "kernels/api/fast_index.cuh"
#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/parameter_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

// From an element to its channel and its statistics.
struct Places {
  int64_t numel, channels, per_group;
  Divider by_spatial, by_channels, by_group;

  explicit Places(const NormShape& shape)
      : numel(shape.numel()),
        channels(shape.channels),
        per_group(shape.per_group),
        by_spatial(shape.spatial, numel),
        by_channels(shape.channels, numel),
        by_group(shape.per_group == 0 ? 1 : shape.per_group, numel) {}

  __device__ void locate(int64_t i, int64_t& channel, int64_t& statistic) const {
    const int64_t run = by_spatial.quotient(i);
    channel = run - by_channels.quotient(run) * channels;
    statistic = per_group == 0 ? channel : by_group.quotient(run);
  }
};

// How the elements of a pack go with channels.
enum class Along : uint8_t {
  spatial,   // one channel for all
  channels,  // a channel each, one group's statistics or the channels' own
};

struct Layout {
  Places places;
  Along along;
  bool packs;

  // `addresses`: whether all pointers are aligned.
  Layout(const NormShape& shape, int64_t pack, bool aligned)
      : places(shape), along(shape.spatial == 1 ? Along::channels : Along::spatial) {
    const bool whole_groups = shape.per_group == 0 || shape.per_group % pack == 0;
    packs = aligned && (along == Along::spatial ? shape.spatial % pack == 0
                                                : shape.channels % pack == 0 && whole_groups);
  }
};

template <class A>
__device__ inline A value_or(const A* list, int64_t i, A missing) {
  return list == nullptr ? missing : list[i];
}

// One value for each element of a pack, of a list by statistics.
template <int kPack, class A>
__device__ inline void load_statistics(const A* list, int64_t statistic, bool is_own, A missing,
                                       A (&values)[kPack]) {
  if (list != nullptr && is_own) {
    load_widened<kPack>(list + statistic, values);
    return;
  }
  const A value = value_or(list, statistic, missing);
#pragma unroll
  for (int e = 0; e < kPack; ++e) values[e] = value;
}

template <class T, int kPack>
__device__ inline void load_parameters(const Parameter<T>& list, int64_t channel, Along along,
                                       Compute<T> missing, Compute<T> (&values)[kPack]) {
  if (along == Along::channels) {
    list.template load<kPack>(channel, missing, values);
    return;
  }
  const Compute<T> value = list.at(channel, missing);
#pragma unroll
  for (int e = 0; e < kPack; ++e) values[e] = value;
}

template <class T>
struct Normalize {
  const T* input;
  T* output;
  const Compute<T>* mean;
  const Compute<T>* rstd;
  Parameter<T> weight, bias;
  Places places;
  Along along;
};

template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    normalize_kernel(const __grid_constant__ Normalize<T> of) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPack;
  if (i >= of.places.numel) return;
  int64_t channel, statistic;
  of.places.locate(i, channel, statistic);
  const bool is_own = of.along == Along::channels && of.places.per_group == 0;
  // Widened, and so waited for, when all else is under way.
  const Pack<T, kPack> input = load_pack<kPack>(of.input + i);
  A x[kPack], mean[kPack], rstd[kPack], weight[kPack], bias[kPack];
  load_statistics(of.mean, statistic, is_own, A(0), mean);
  load_statistics(of.rstd, statistic, is_own, A(1), rstd);
  load_parameters(of.weight, channel, of.along, A(1), weight);
  load_parameters(of.bias, channel, of.along, A(0), bias);
  widen_words<T>(input, x);
#pragma unroll
  for (int e = 0; e < kPack; ++e) x[e] = (x[e] - mean[e]) * (rstd[e] * weight[e]) + bias[e];
  store_narrowed<kPack>(of.output + i, x);
}

template <class T>
struct Gradient {
  const T* grad;
  const T* input;
  const T* more;  // may be null
  T* grad_input;
  const Compute<T>* mean;
  const Compute<T>* rstd;
  const Compute<T>* slope;
  const Compute<T>* shift;
  Parameter<T> weight;
  Places places;
  Along along;
};

template <class T, int kPack>
__global__ void __launch_bounds__(kThreads)
    gradient_kernel(const __grid_constant__ Gradient<T> of) {
  wait_for_stream();
  using A = Compute<T>;
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPack;
  if (i >= of.places.numel) return;
  int64_t channel, statistic;
  of.places.locate(i, channel, statistic);
  const bool is_own = of.along == Along::channels && of.places.per_group == 0;
  const Pack<T, kPack> grad = load_pack<kPack>(of.grad + i);
  const Pack<T, kPack> input = load_pack<kPack>(of.input + i);
  Pack<T, kPack> more = {};
  if (of.more != nullptr) more = load_pack<kPack>(of.more + i);
  A g[kPack], x[kPack], added[kPack], mean[kPack], rstd[kPack], slope[kPack], shift[kPack],
      weight[kPack];
  load_statistics(of.mean, statistic, is_own, A(0), mean);
  load_statistics(of.rstd, statistic, is_own, A(1), rstd);
  load_statistics(of.slope, statistic, is_own, A(0), slope);
  load_statistics(of.shift, statistic, is_own, A(0), shift);
  load_parameters(of.weight, channel, of.along, A(1), weight);
  widen_words<T>(grad, g);
  widen_words<T>(input, x);
  widen_words<T>(more, added);
#pragma unroll
  for (int e = 0; e < kPack; ++e) {
    const A rest = of.slope == nullptr ? shift[e] : (x[e] - mean[e]) * slope[e] + shift[e];
    g[e] = g[e] * (rstd[e] * weight[e]) + rest + added[e];
  }
  store_narrowed<kPack>(of.grad_input + i, g);
}

unsigned blocks_of(int64_t n, int64_t pack) {
  const int64_t per_block = kThreads * pack;
  return static_cast<unsigned>((n + per_block - 1) / per_block);
}

}  // namespace

void normalize(const NormalizeCall& call) {
  visit_floating("norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const bool aligned = is_aligned(call.input) && is_aligned(call.output) &&
                         is_aligned(call.mean) && is_aligned(call.rstd) &&
                         is_aligned(call.weight) && is_aligned(call.bias);
    const Layout layout(call.shape, kPackCount<T>, aligned);
    const Normalize<T> of{static_cast<const T*>(call.input),
                          static_cast<T*>(call.output),
                          static_cast<const A*>(call.mean),
                          static_cast<const A*>(call.rstd),
                          {call.weight, call.parameter_dtype},
                          {call.bias, call.parameter_dtype},
                          layout.places,
                          layout.along};
    const auto kernel =
        layout.packs ? &normalize_kernel<T, kPackCount<T>> : &normalize_kernel<T, 1>;
    const unsigned blocks = blocks_of(layout.places.numel, layout.packs ? kPackCount<T> : 1);
    launch_kernel(kernel, {blocks, kThreads}, of);
  });
}

void write_gradient(const GradientCall& call) {
  visit_floating("norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const bool aligned = is_aligned(call.grad) && is_aligned(call.input) &&
                         is_aligned(call.grad_input) && is_aligned(call.mean) &&
                         is_aligned(call.rstd) && is_aligned(call.slope) &&
                         is_aligned(call.shift) && is_aligned(call.weight) && is_aligned(call.more);
    const Layout layout(call.shape, kPackCount<T>, aligned);
    const Gradient<T> of{static_cast<const T*>(call.grad),
                         static_cast<const T*>(call.input),
                         static_cast<const T*>(call.more),
                         static_cast<T*>(call.grad_input),
                         static_cast<const A*>(call.mean),
                         static_cast<const A*>(call.rstd),
                         static_cast<const A*>(call.slope),
                         static_cast<const A*>(call.shift),
                         {call.weight, call.parameter_dtype},
                         layout.places,
                         layout.along};
    const auto kernel = layout.packs ? &gradient_kernel<T, kPackCount<T>> : &gradient_kernel<T, 1>;
    const unsigned blocks = blocks_of(layout.places.numel, layout.packs ? kPackCount<T> : 1);
    launch_kernel(kernel, {blocks, kThreads}, of);
  });
}

}  // namespace taut::kernels::cuda
