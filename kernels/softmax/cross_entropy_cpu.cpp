#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/softmax/cross_entropy_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "kernels/softmax/softmax_parts.h"
#include "kernels/softmax/softmax_row-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

constexpr int64_t kGrain = 16384;

// sum(weight x), weight 1 when null.
template <class T>
compute_t<T> weighted_sum(const T* weight, const T* x, int64_t n) {
  const Lanes<T> d;
  auto sum = hn::Zero(d);
  for_vectors(d, n, [&](auto load, auto) {
    sum = weight != nullptr ? hn::MulAdd(load(weight), load(x), sum) : hn::Add(sum, load(x));
  });
  return sum_lanes(d, sum);
}

template <class T>
compute_t<T> total_weight(const T* weight, int64_t classes) {
  using A = compute_t<T>;
  if (weight == nullptr) return static_cast<A>(classes);
  return weighted_sum<T>(nullptr, weight, classes);
}

template <class T>
class CrossEntropy {
 public:
  using A = compute_t<T>;

  explicit CrossEntropy(const CrossEntropyArgs& args)
      : args_(args),
        logits_(static_cast<const T*>(args.logits)),
        weight_(static_cast<const T*>(args.weight)) {}

  CrossEntropyResult run() const {
    const int64_t rows = args_.rows, classes = args_.classes;
    const A smoothing = static_cast<A>(args_.label_smoothing);
    const A total = smoothing > 0 ? total_weight(weight_, classes) : A(0);
    std::unique_ptr<A[]> kept(args_.sums != nullptr ? new A[static_cast<size_t>(rows)] : nullptr);
    std::atomic<int64_t> invalid{rows};
    const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, classes));
    parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        A loss = 0;
        if (args_.targets[row] == args_.ignore_index) {
          if (args_.log_sum_exp != nullptr) static_cast<A*>(args_.log_sum_exp)[row] = 0;
        } else if (args_.targets[row] < 0 || args_.targets[row] >= classes) {
          int64_t first = invalid.load();
          while (row < first && !invalid.compare_exchange_weak(first, row)) {
          }
        } else {
          loss = row_loss(row, smoothing, total);
        }
        if (args_.losses != nullptr) static_cast<T*>(args_.losses)[row] = static_cast<T>(loss);
        if (kept) kept[static_cast<size_t>(row)] = loss;
      }
    });
    const int64_t first = invalid.load();
    if (first < rows) return {first};
    if (kept) write_sums(kept.get());
    return {};
  }

 private:
  A weight_of(int64_t target) const {
    return weight_ == nullptr ? A(1) : static_cast<A>(weight_[target]);
  }

  A row_loss(int64_t row, A smoothing, A total) const {
    const int64_t n = args_.classes, target = args_.targets[row];
    const T* x = logits_ + row * n;
    const A m = row_max(x, n);
    const A log_sum_exp = m + std::log(row_sum_exp<false>(x, n, m, static_cast<A*>(nullptr)));
    if (args_.log_sum_exp != nullptr) static_cast<A*>(args_.log_sum_exp)[row] = log_sum_exp;
    A loss = weight_of(target) * (log_sum_exp - static_cast<A>(x[target]));
    if (smoothing > 0) {
      const A smooth = total * log_sum_exp - weighted_sum(weight_, x, n);
      loss = (A(1) - smoothing) * loss + smoothing / static_cast<A>(n) * smooth;
    }
    return loss;
  }

  void write_sums(const A* losses) const {
    double loss = 0.0, weight = 0.0;
    for (int64_t row = 0; row < args_.rows; ++row) {
      if (args_.targets[row] == args_.ignore_index) continue;
      loss += static_cast<double>(losses[row]);
      weight += static_cast<double>(weight_of(args_.targets[row]));
    }
    static_cast<A*>(args_.sums)[0] = static_cast<A>(loss);
    static_cast<A*>(args_.sums)[1] = static_cast<A>(weight);
  }

  const CrossEntropyArgs& args_;
  const T* logits_;
  const T* weight_;
};

CrossEntropyResult cross_entropy(const CrossEntropyArgs& args) {
  CrossEntropyResult result;
  visit_dtype(Floating{}, args.dtype, "cross_entropy",
              [&]<class T>(Tag<T>) { result = CrossEntropy<T>(args).run(); });
  return result;
}

// grad = a p - b w at every class, where a = g ((1 - e) w[y] + e / classes W) and b = g e /
// classes; the target's class loses g (1 - e) w[y] more.
template <class T>
void gradient_row(const T* x, const T* weight, int64_t n, int64_t target, compute_t<T> log_sum_exp,
                  compute_t<T> a, compute_t<T> b, compute_t<T> at_target, T* grad) {
  using A = compute_t<T>;
  const Lanes<T> d;
  const auto shift = hn::Set(d, log_sum_exp), scale = hn::Set(d, a), smooth = hn::Set(d, b);
  const A target_logit = static_cast<A>(x[target]);  // before grad overwrites it
  if (b == 0) {
    for_vectors(d, n, [&](auto load, auto store) {
      store(hn::Mul(scale, exp_nonpositive(d, hn::Sub(load(x), shift))), grad);
    });
  } else {
    for_vectors(d, n, [&](auto load, auto store) {
      const auto p = exp_nonpositive(d, hn::Sub(load(x), shift));
      const auto w = weight != nullptr ? load(weight) : hn::Set(d, A(1));
      store(hn::NegMulAdd(smooth, w, hn::Mul(scale, p)), grad);
    });
  }
  const A w = weight != nullptr ? static_cast<A>(weight[target]) : A(1);
  const A p = std::exp(target_logit - log_sum_exp);
  grad[target] = static_cast<T>(a * p - b * w - at_target);
}

template <class T>
void cross_entropy_gradient(const CrossEntropyBackwardArgs& args) {
  using A = compute_t<T>;
  const int64_t n = args.classes;
  const T* logits = static_cast<const T*>(args.logits);
  const T* weight = static_cast<const T*>(args.weight);
  T* grads = static_cast<T*>(args.grad_logits);
  const A smoothing = static_cast<A>(args.label_smoothing);
  const A share = smoothing / static_cast<A>(n);
  const A total = smoothing > 0 ? total_weight(weight, n) : A(0);
  const A divisor = args.divisor != nullptr ? *static_cast<const A*>(args.divisor) : A(1);
  parallel_for(args.rows, std::max<int64_t>(1, kGrain / n), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t target = args.targets[row];
      T* grad = grads + row * n;
      if (target == args.ignore_index) {
        std::fill(grad, grad + n, static_cast<T>(A(0)));
        continue;
      }
      const A g = static_cast<const A*>(args.grad_losses)[row * args.grad_stride] / divisor;
      const A w = weight != nullptr ? static_cast<A>(weight[target]) : A(1);
      const A at_target = g * (A(1) - smoothing) * w;
      gradient_row(logits + row * n, weight, n, target,
                   static_cast<const A*>(args.log_sum_exp)[row], at_target + g * share * total,
                   g * share, at_target, grad);
    }
  });
}

void cross_entropy_backward(const CrossEntropyBackwardArgs& args) {
  if (args.rows * args.classes == 0) return;
  visit_dtype(Floating{}, args.dtype, "cross_entropy_backward",
              [&]<class T>(Tag<T>) { cross_entropy_gradient<T>(args); });
}

void fill_cross_entropy(SoftmaxKernels& table) {
  table.cross_entropy = cross_entropy;
  table.cross_entropy_backward = cross_entropy_backward;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_cross_entropy);
void fill_cross_entropy_kernels(SoftmaxKernels& table) {
  HWY_DYNAMIC_DISPATCH(fill_cross_entropy)(table);
}

}  // namespace taut::kernels
#endif
