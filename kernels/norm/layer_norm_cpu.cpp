#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/norm/layer_norm_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>

#include "kernels/api/streaming.h"
#include "kernels/norm/norm_parts.h"
#include "kernels/norm/norm_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// y = (x - mean) rstd weight + bias.
template <class T, class A>
HWY_NOINLINE void normalize_row(const T* x, int64_t n, A mean, A rstd, const A* weight,
                                const A* bias, T* y) {
  const Lanes<T> d;
  const auto center = hn::Set(d, mean), scale = hn::Set(d, rstd);
  if (weight != nullptr && bias != nullptr) {
    for_vectors(d, n, [&](auto load, auto store) {
      const auto xhat = hn::Mul(hn::Sub(load(x), center), scale);
      store(hn::MulAdd(xhat, load(weight), load(bias)), y);
    });
  } else if (weight != nullptr && bias == nullptr) {
    for_vectors(d, n, [&](auto load, auto store) {
      store(hn::Mul(hn::Mul(hn::Sub(load(x), center), scale), load(weight)), y);
    });
  } else {
    for_vectors(d, n, [&](auto load, auto store) {
      auto value = hn::Mul(hn::Sub(load(x), center), scale);
      if (bias != nullptr) value = hn::Add(value, load(bias));
      store(value, y);
    });
  }
}

template <class T>
compute_t<T> mean_square(const T* x, int64_t n) {
  double total = 0.0;
  for (int64_t begin = 0; begin < n; begin += kLeaf) {
    compute_t<T> squares, unused;
    const T* leaf = x + begin;
    sum_run<T>(std::min(kLeaf, n - begin), squares, unused, [&](auto load, auto& s0, auto&) {
      const auto value = load(leaf);
      s0 = hn::MulAdd(value, value, s0);
    });
    total += static_cast<double>(squares);
  }
  return static_cast<compute_t<T>>(total / static_cast<double>(n));
}

// sum = x + residual.
template <class T, class In>
HWY_NOINLINE void add_row(const In* x, const T* residual, int64_t n, T* sum) {
  for_vectors(Lanes<T>(), n,
              [&](auto load, auto store) { store(hn::Add(load(x), load(residual)), sum); });
}

// The row that is normalised: of the input, or of its sum with the residual.
template <class T>
const T* source_row(const LayerNormArgs& args, int64_t r) {
  const int64_t start = r * args.cols;
  if (args.residual == nullptr) return static_cast<const T*>(args.input) + start;
  T* sum = static_cast<T*>(args.sum) + start;
  const auto add = [&]<class In>(Tag<In>) {
    add_row(static_cast<const In*>(args.input) + start,
            static_cast<const T*>(args.residual) + start, args.cols, sum);
  };
  if constexpr (std::is_same_v<T, float>) {
    visit_dtype(TypeList<float, Float16, BFloat16>{}, args.input_dtype, "add_norm", add);
  } else {
    add(Tag<T>{});
  }
  return sum;
}

template <class T, bool kIsRms>
void layer_norm_of(const LayerNormArgs& args) {
  using A = compute_t<T>;
  const int64_t n = args.cols;
  const Parameter<A> weight(args.weight, args.parameter_dtype, n);
  const Parameter<A> bias(kIsRms ? nullptr : args.bias, args.parameter_dtype, n);
  const ResultRows<T> results(static_cast<T*>(args.output), args.rows, n);
  parallel_for(args.rows, grain_of(n), [&](int64_t begin, int64_t end) {
    results.form(begin, end, [&](int64_t r, T* y) {
      const T* row = source_row<T>(args, r);
      A mean = 0;
      double variance;
      if constexpr (kIsRms) {
        variance = static_cast<double>(mean_square(row, n));
      } else {
        const RunMoments moments = run_moments(row, n);
        mean = static_cast<A>(moments.mean);
        variance = moments.m2 / static_cast<double>(n);
      }
      const A rstd = static_cast<A>(1.0 / std::sqrt(variance + args.eps));
      normalize_row(row, n, mean, rstd, weight.get(), bias.get(), y);
      if (!kIsRms && args.mean != nullptr) static_cast<A*>(args.mean)[r] = mean;
      if (args.rstd != nullptr) static_cast<A*>(args.rstd)[r] = rstd;
    });
  });
}

template <bool kIsRms>
void layer_norm(const LayerNormArgs& args) {
  if (args.rows * args.cols == 0) return;
  visit_dtype(Floating{}, args.dtype, kIsRms ? "rms_norm" : "layer_norm",
              [&]<class T>(Tag<T>) { layer_norm_of<T, kIsRms>(args); });
}

template <class T, bool kIsRms>
class LayerNormGradient {
 public:
  using A = compute_t<T>;

  explicit LayerNormGradient(const LayerNormBackwardArgs& args)
      : args_(args), n_(args.cols), weight_(args.weight, args.parameter_dtype, args.cols) {}

  // Rows are cut into chunks by their number alone; each sums its parameter gradients apart.
  void run() const {
    const bool has_parameters = args_.grad_weight != nullptr || args_.grad_bias != nullptr;
    if (!has_parameters) {
      parallel_for(args_.rows, grain_of(n_), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) row_gradient(r, nullptr, nullptr);
      });
      return;
    }
    const int64_t most = std::min(args_.rows, kMostChunks);
    const int64_t chunks = std::max<int64_t>(1, std::min(args_.rows * n_ / kGrain, most));
    const size_t width = static_cast<size_t>(2 * n_);
    const std::unique_ptr<A[]> sums(new A[static_cast<size_t>(chunks) * width]());
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) {
        A* grad_weight = sums.get() + static_cast<size_t>(chunk) * width;
        const int64_t last = args_.rows * (chunk + 1) / chunks;
        for (int64_t r = args_.rows * chunk / chunks; r < last; ++r) {
          row_gradient(r, grad_weight, grad_weight + n_);
        }
      }
    });
    for (int64_t chunk = 1; chunk < chunks; ++chunk) {
      const A* part = sums.get() + static_cast<size_t>(chunk) * width;
      for (size_t i = 0; i < width; ++i) sums[i] += part[i];
    }
    write_parameter(sums.get(), n_, args_.grad_weight, args_.parameter_dtype);
    write_parameter(sums.get() + n_, n_, args_.grad_bias, args_.parameter_dtype);
  }

 private:
  static constexpr int64_t kMostChunks = 32;

  void row_gradient(int64_t r, A* grad_weight, A* grad_bias) const {
    const Lanes<T> d;
    const T* g = static_cast<const T*>(args_.grad_output) + r * n_;
    const T* x = static_cast<const T*>(args_.input) + r * n_;
    const A mean = kIsRms ? A(0) : static_cast<const A*>(args_.mean)[r];
    const A rstd = static_cast<const A*>(args_.rstd)[r];
    const auto center = hn::Set(d, mean), scale = hn::Set(d, rstd);
    if (grad_weight != nullptr) {
      for_vectors(d, n_, [&](auto load, auto store) {
        const auto grad = load(g);
        const auto xhat = hn::Mul(hn::Sub(load(x), center), scale);
        store(hn::MulAdd(grad, xhat, load(grad_weight)), grad_weight);
        if constexpr (!kIsRms) store(hn::Add(load(grad_bias), grad), grad_bias);
      });
    }
    if (args_.grad_input == nullptr) return;
    const A* weight = weight_.get();
    A sum_h, sum_h_xhat;
    sum_run<T>(n_, sum_h, sum_h_xhat, [&](auto load, auto& s0, auto& s1) {
      const auto h = weight != nullptr ? hn::Mul(load(g), load(weight)) : load(g);
      s0 = hn::Add(s0, h);
      s1 = hn::MulAdd(h, hn::Mul(hn::Sub(load(x), center), scale), s1);
    });
    const auto mean_h = hn::Set(d, kIsRms ? A(0) : sum_h / static_cast<A>(n_));
    const auto mean_h_xhat = hn::Set(d, sum_h_xhat / static_cast<A>(n_));
    T* grad_x = static_cast<T*>(args_.grad_input) + r * n_;
    const T* more = static_cast<const T*>(args_.grad_sum);
    if (more != nullptr) more += r * n_;
    for_vectors(d, n_, [&](auto load, auto store) {
      const auto h = weight != nullptr ? hn::Mul(load(g), load(weight)) : load(g);
      const auto xhat = hn::Mul(hn::Sub(load(x), center), scale);
      const auto inner = hn::NegMulAdd(xhat, mean_h_xhat, hn::Sub(h, mean_h));
      store(more != nullptr ? hn::MulAdd(scale, inner, load(more)) : hn::Mul(scale, inner), grad_x);
    });
  }

  const LayerNormBackwardArgs& args_;
  const int64_t n_;
  const Parameter<A> weight_;
};

template <bool kIsRms>
void layer_norm_backward(const LayerNormBackwardArgs& args) {
  visit_dtype(Floating{}, args.dtype, kIsRms ? "rms_norm_backward" : "layer_norm_backward",
              [&]<class T>(Tag<T>) { LayerNormGradient<T, kIsRms>(args).run(); });
}

void fill_layer_norm(NormKernels& table) {
  table.layer_norm = layer_norm<false>;
  table.rms_norm = layer_norm<true>;
  table.layer_norm_backward = layer_norm_backward<false>;
  table.rms_norm_backward = layer_norm_backward<true>;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_layer_norm);
void fill_layer_norm_kernels(NormKernels& table) { HWY_DYNAMIC_DISPATCH(fill_layer_norm)(table); }

NormKernels norm_kernels_cpu() {
  NormKernels table;
  fill_layer_norm_kernels(table);
  fill_group_norm_kernels(table);
  fill_batch_norm_kernels(table);
  return table;
}

}  // namespace taut::kernels
#endif
