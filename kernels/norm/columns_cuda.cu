// The elementwise steps of batch norm over the columns of a (rows, channels) matrix, with the
// residual and the relu behind it.

#include "kernels/norm/columns_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int64_t kLeastRows = kColumnRows;

template <class T>
struct Normalize {
  const T* input;
  const T* residual;  // may be null
  T* output;
  ColumnParameters<T> parameters;
  bool relu;
};

template <class T, int kPack, bool kHasResidual>
__global__ void __launch_bounds__(kColumnThreads)
    normalize_columns_kernel(const __grid_constant__ Normalize<T> of,
                             const __grid_constant__ ColumnPlan plan) {
  wait_for_stream();
  using A = Compute<T>;
  const ColumnPlace place(plan, kPack);
  if (!place.exists) return;
  const auto affine = of.parameters.template load<kPack>(place.channel);
  const int64_t step = plan.height * plan.channels;
  for (int64_t row = place.row; row < place.end; row += int64_t{plan.height} * kColumnRows) {
    const int64_t at = row * plan.channels + place.channel;
    const int count = place.rows_from(row, plan);
    Pack<T, kPack> x[kColumnRows], added[kColumnRows];
    load_rows(of.input, at, step, count, x);
    if constexpr (kHasResidual) load_rows(of.residual, at, step, count, added);
#pragma unroll
    for (int u = 0; u < kColumnRows; ++u) {
      if (u >= count) continue;
      A values[kPack];
      widen_words<T>(x[u], values);
#pragma unroll
      for (int e = 0; e < kPack; ++e) values[e] = affine.at(e, values[e]);
      if constexpr (kHasResidual) {
        A more[kPack];
        widen_words<T>(added[u], more);
#pragma unroll
        for (int e = 0; e < kPack; ++e) values[e] += more[e];
      }
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        if (of.relu && values[e] < A(0)) values[e] = A(0);  // NaN stays
      }
      store_narrowed<kPack>(of.output + at + u * step, values);
    }
  }
}

template <class T>
struct Gradient {
  const T* grad;
  const T* input;
  T* grad_input;
  ColumnParameters<T> parameters;
  const Compute<T>* slope;  // may be null, with shift
  const Compute<T>* shift;
  bool relu;
};

template <class T, int kPack>
__global__ void __launch_bounds__(kColumnThreads)
    column_gradient_kernel(const __grid_constant__ Gradient<T> of,
                           const __grid_constant__ ColumnPlan plan) {
  wait_for_stream();
  using A = Compute<T>;
  const ColumnPlace place(plan, kPack);
  if (!place.exists) return;
  const auto affine = of.parameters.template load<kPack>(place.channel);
  A slope[kPack] = {}, shift[kPack] = {};
  if (of.slope != nullptr) {
    load_widened<kPack>(of.slope + place.channel, slope);
    load_widened<kPack>(of.shift + place.channel, shift);
  }
  const int64_t step = plan.height * plan.channels;
  for (int64_t row = place.row; row < place.end; row += int64_t{plan.height} * kColumnRows) {
    const int64_t at = row * plan.channels + place.channel;
    const int count = place.rows_from(row, plan);
    Pack<T, kPack> x[kColumnRows], grad[kColumnRows];
    load_rows(of.input, at, step, count, x);
    load_rows(of.grad, at, step, count, grad);
#pragma unroll
    for (int u = 0; u < kColumnRows; ++u) {
      if (u >= count) continue;
      A values[kPack], g[kPack];
      widen_words<T>(x[u], values);
      widen_words<T>(grad[u], g);
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        if (of.relu) g[e] = relu_gradient(g[e], widen(narrow<T>(affine.at(e, values[e]))));
        // Without a slope an infinite x has no part in it.
        const A rest =
            of.slope == nullptr ? A(0) : (values[e] - affine.mean[e]) * slope[e] + shift[e];
        g[e] = g[e] * affine.scale[e] + rest;
      }
      store_narrowed<kPack>(of.grad_input + at + u * step, g);
    }
  }
}

}  // namespace

void normalize_columns(const NormalizeColumnsCall& call) {
  visit_floating("batch_norm", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Normalize<T> of{static_cast<const T*>(call.input), static_cast<const T*>(call.residual),
                          static_cast<T*>(call.output), parameters_of<T>(call.statistics),
                          call.relu};
    const bool packs = has_packs<T>(call.shape, call.statistics) && is_aligned(call.input) &&
                       is_aligned(call.residual) && is_aligned(call.output);
    const ColumnPlan plan = plan_columns(call.shape, packs ? kPackCount<T> : 1, kLeastRows);
    constexpr int kPack = kPackCount<T>;
    const auto kernel = call.residual != nullptr
                            ? (packs ? &normalize_columns_kernel<T, kPack, true>
                                     : &normalize_columns_kernel<T, 1, true>)
                            : (packs ? &normalize_columns_kernel<T, kPack, false>
                                     : &normalize_columns_kernel<T, 1, false>);
    launch_kernel(kernel, {plan.blocks(), plan.threads()}, of, plan);
  });
}

void write_column_gradient(const ColumnGradientCall& call) {
  visit_floating("batch_norm_backward", call.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = Compute<T>;
    const Gradient<T> of{static_cast<const T*>(call.grad),
                         static_cast<const T*>(call.input),
                         static_cast<T*>(call.grad_input),
                         parameters_of<T>(call.statistics),
                         static_cast<const A*>(call.slope),
                         static_cast<const A*>(call.shift),
                         call.relu};
    const bool packs = has_packs<T>(call.shape, call.statistics) && is_aligned(call.grad) &&
                       is_aligned(call.input) && is_aligned(call.grad_input) &&
                       is_aligned(call.slope) && is_aligned(call.shift);
    const ColumnPlan plan = plan_columns(call.shape, packs ? kPackCount<T> : 1, kLeastRows);
    const auto kernel =
        packs ? &column_gradient_kernel<T, kPackCount<T>> : &column_gradient_kernel<T, 1>;
    launch_kernel(kernel, {plan.blocks(), plan.threads()}, of, plan);
  });
}

}  // namespace taut::kernels::cuda
