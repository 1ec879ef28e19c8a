#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm/group_norm_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "kernels/norm/norm_parts.h"
#include "kernels/norm/norm_runs-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

template <class T>
void group_norm_of(const GroupNormArgs& args) {
  using A = compute_t<T>;
  const Parameter<A> weight(args.weight, args.parameter_dtype, args.channels);
  const Parameter<A> bias(args.bias, args.parameter_dtype, args.channels);
  const int64_t per_group = args.channels / args.groups;
  const int64_t n = per_group * args.spatial;
  const T* x = static_cast<const T*>(args.input);
  T* y = static_cast<T*>(args.output);
  parallel_for(args.batch * args.groups, grain_of(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const RunMoments moments = run_moments(x + i * n, n);
      const A mean = static_cast<A>(moments.mean);
      const double variance = moments.m2 / static_cast<double>(n);
      const A rstd = static_cast<A>(1.0 / std::sqrt(variance + args.eps));
      if (args.mean != nullptr) static_cast<A*>(args.mean)[i] = mean;
      if (args.rstd != nullptr) static_cast<A*>(args.rstd)[i] = rstd;
      for (int64_t k = 0; k < per_group; ++k) {
        const int64_t channel = i % args.groups * per_group + k;
        const int64_t at = i * n + k * args.spatial;
        affine_run(x + at, args.spatial, mean, rstd * weight.at(channel, A(1)),
                   bias.at(channel, A(0)), y + at);
      }
    }
  });
}

void group_norm(const GroupNormArgs& args) {
  if (args.batch * args.channels * args.spatial == 0) return;
  visit_dtype(Floating{}, args.dtype, "group_norm",
              [&]<class T>(Tag<T>) { group_norm_of<T>(args); });
}

template <class T>
void group_norm_gradient(const GroupNormBackwardArgs& args) {
  using A = compute_t<T>;
  const Parameter<A> weight(args.weight, args.parameter_dtype, args.channels);
  const int64_t per_group = args.channels / args.groups;
  const int64_t n = per_group * args.spatial;
  const T* g = static_cast<const T*>(args.grad_output);
  const T* x = static_cast<const T*>(args.input);
  T* grad_x = static_cast<T*>(args.grad_input);
  // Per (batch, channel): sum(g) and sum(g (x - mean)).
  const std::unique_ptr<GradientSums[]> sums(
      new GradientSums[static_cast<size_t>(args.batch * args.channels)]);
  const auto* means = static_cast<const A*>(args.mean);
  const auto* rstds = static_cast<const A*>(args.rstd);
  parallel_for(args.batch * args.groups, grain_of(n), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const A mean = means[i], rstd = rstds[i];
      double sum_h = 0.0, sum_h_centered = 0.0;
      for (int64_t k = 0; k < per_group; ++k) {
        const int64_t at = i * n + k * args.spatial;
        const GradientSums run = gradient_sums(g + at, x + at, args.spatial, mean);
        sums[static_cast<size_t>(i * per_group + k)] = run;
        const double w = static_cast<double>(weight.at(i % args.groups * per_group + k, A(1)));
        sum_h += w * run.grad;
        sum_h_centered += w * run.grad_centered;
      }
      if (grad_x == nullptr) continue;
      const double r = static_cast<double>(rstd), count = static_cast<double>(n);
      const A shift = static_cast<A>(-r * sum_h / count);
      const A slope = static_cast<A>(-r * r * r * sum_h_centered / count);
      for (int64_t k = 0; k < per_group; ++k) {
        const int64_t at = i * n + k * args.spatial;
        const A scale = rstd * weight.at(i % args.groups * per_group + k, A(1));
        gradient_run(g + at, x + at, args.spatial, mean, scale, slope, shift, grad_x + at);
      }
    }
  });
  const std::unique_ptr<double[]> totals(new double[static_cast<size_t>(2 * args.channels)]());
  for (int64_t b = 0; b < args.batch; ++b) {
    for (int64_t c = 0; c < args.channels; ++c) {
      const GradientSums& run = sums[static_cast<size_t>(b * args.channels + c)];
      const double rstd = static_cast<double>(rstds[b * args.groups + c / per_group]);
      totals[static_cast<size_t>(c)] += run.grad_centered * rstd;
      totals[static_cast<size_t>(args.channels + c)] += run.grad;
    }
  }
  write_parameter(totals.get(), args.channels, args.grad_weight, args.parameter_dtype);
  write_parameter(totals.get() + args.channels, args.channels, args.grad_bias,
                  args.parameter_dtype);
}

void group_norm_backward(const GroupNormBackwardArgs& args) {
  visit_dtype(Floating{}, args.dtype, "group_norm_backward",
              [&]<class T>(Tag<T>) { group_norm_gradient<T>(args); });
}

void fill_group_norm(NormKernels& table) {
  table.group_norm = group_norm;
  table.group_norm_backward = group_norm_backward;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_group_norm);
void fill_group_norm_kernels(NormKernels& table) { HWY_DYNAMIC_DISPATCH(fill_group_norm)(table); }

}  // namespace taut::kernels
#endif
