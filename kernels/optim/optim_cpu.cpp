#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/optim/optim_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "kernels/api/flush_denormals.h"
#include "kernels/api/optim.h"
#include "kernels/api/simd_rows-inl.h"
#include "kernels/optim/small_state-inl.h"
#include "taut/base/parallel.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Elements that one thread should at least have; also the pieces that squares are summed in.
constexpr int64_t kGrain = 32768;

// Elements of a tensor that are updated from first to last.
constexpr int64_t kPiece = 16384;

// Calls run(tensor, begin, end) over parts of all tensors, which the threads share evenly, the last
// ones first: what the caches still hold are the gradients of the first layers, which backward made
// last, and the next forward begins with their parameters.
template <class Run>
void for_parts(const int64_t* sizes, int64_t count, Run&& run) {
  int64_t total = 0;
  for (int64_t i = 0; i < count; ++i) total += sizes[i];
  parallel_for(total, kGrain, [&](int64_t begin, int64_t end) {
    int64_t start = total;  // of the tensor, among all elements
    for (int64_t i = count - 1; i >= 0 && start > begin; --i) {
      start -= sizes[i];
      const int64_t from = std::max(begin - start, int64_t{0});
      int64_t to = std::min(end - start, sizes[i]);
      while (from < to) {
        const int64_t piece = std::max(from, (to - 1) / kPiece * kPiece);
        run(i, piece, to);
        to = piece;
      }
    }
  });
}

template <class T>
T* part(void* const* list, int64_t i, int64_t begin) {
  return list == nullptr ? nullptr : static_cast<T*>(list[i]) + begin;
}
template <class T>
const T* part(const void* const* list, int64_t i, int64_t begin) {
  return static_cast<const T*>(list[i]) + begin;
}

// Whether a gradient scaler calls the step off, which is counted.
bool is_called_off(const ParamList& list) {
  const StepControl& control = list.control;
  if (control.found_inf == nullptr || *control.found_inf == 0.0f) return false;
  if (control.skipped_steps != nullptr) {
    for (int64_t i = 0; i < list.count; ++i) control.skipped_steps[control.places[i]] += 1.0f;
  }
  return true;
}

// How many steps of the i-th parameter were not called off, with this one.
double real_steps(const ParamList& list, int64_t i) {
  const auto steps = static_cast<double>(list.steps[i]);
  const StepControl& control = list.control;
  if (control.skipped_steps == nullptr) return steps;
  return steps - static_cast<double>(control.skipped_steps[control.places[i]]);
}

// The gradient as the formulas want it: scaled and signed, and with the coupled weight decay.
template <class T>
class Gradient {
 public:
  using D = Lanes<T>;
  using V = hn::Vec<D>;
  Gradient(const StepControl& control, bool maximize, double weight_decay)
      : decays_(weight_decay != 0.0),
        decay_(hn::Set(D(), static_cast<compute_t<T>>(weight_decay))) {
    const auto factor =
        static_cast<compute_t<T>>(control.grad_factor == nullptr ? 1.0f : *control.grad_factor);
    factor_ = hn::Set(D(), maximize ? -factor : factor);
  }
  HWY_INLINE V operator()(V grad, V param) const {
    const V scaled = hn::Mul(factor_, grad);
    return decays_ ? hn::MulAdd(decay_, param, scaled) : scaled;
  }

 private:
  bool decays_;
  V decay_, factor_;
};

template <class T>
HWY_INLINE hn::Vec<Lanes<T>> splat(double value) {
  return hn::Set(Lanes<T>(), static_cast<compute_t<T>>(value));
}

// S: of the state, T or the type that is computed in.
template <class T, class S>
void sgd_run(const SgdArgs& args, T* p, const T* g, S* buffer, int64_t n) {
  const FlushDenormals flush;
  const Lanes<T> d;
  const Gradient<T> gradient(args.control, args.maximize, args.weight_decay);
  const auto lr = splat<T>(-args.lr), momentum = splat<T>(args.momentum);
  const auto damped = splat<T>(1.0 - args.dampening);
  const bool is_first = args.is_first_step, nesterov = args.nesterov;
  if (buffer == nullptr) {
    for_vectors(d, n, [&](auto load, auto store) {
      const auto param = load(p);
      store(hn::MulAdd(lr, gradient(load(g), param), param), p);
    });
    return;
  }
  for_vectors(d, n, [&](auto load, auto store) {
    const auto param = load(p);
    const auto grad = gradient(load(g), param);
    auto velocity = grad;
    if (!is_first) velocity = hn::MulAdd(damped, grad, hn::Mul(momentum, load(buffer)));
    store(velocity, buffer);
    const auto step = nesterov ? hn::MulAdd(momentum, velocity, grad) : velocity;
    store(hn::MulAdd(lr, step, param), p);
  });
}

template <class T>
void sgd_part(const SgdArgs& args, int64_t i, int64_t begin, int64_t end) {
  T* buffer = args.momentum != 0.0 ? part<T>(args.momentum_buffers, i, begin) : nullptr;
  sgd_run<T, T>(args, part<T>(args.params, i, begin), part<T>(args.grads, i, begin), buffer,
                end - begin);
}

template <class T>
void sgd_block(const SgdArgs& args, int64_t i, int64_t begin, int64_t n) {
  compute_t<T> buffer[kStateBlock];
  const StateBlock block{args.state_format, args.momentum_buffers[i], args.sizes[i], begin, n};
  if (!args.is_first_step) load_state(block, true, buffer);
  sgd_run(args, part<T>(args.params, i, begin), part<T>(args.grads, i, begin), buffer, n);
  store_state(block, true, nullptr, buffer);
}

// S: of the state, T or the type that is computed in. `highest` is null without amsgrad.
template <class T, class S>
void adam_run(const AdamArgs& args, int64_t i, T* p, const T* g, S* m, S* v, S* highest,
              int64_t n) {
  const FlushDenormals flush;
  const Lanes<T> d;
  const double t = real_steps(args, i);
  const double correction1 = 1.0 - std::pow(args.beta1, t);
  const double correction2 = 1.0 - std::pow(args.beta2, t);
  const Gradient<T> gradient(args.control, args.maximize, args.decoupled ? 0.0 : args.weight_decay);
  const bool shrinks = args.decoupled && args.weight_decay != 0.0;
  const auto shrink = splat<T>(1.0 - args.lr * args.weight_decay);
  const auto rate1 = splat<T>(1.0 - args.beta1);
  const auto beta2 = splat<T>(args.beta2), rate2 = splat<T>(1.0 - args.beta2);
  // m / (sqrt(v) / root2 + eps) = root2 * m / (sqrt(v) + root2 * eps), a division less
  const double root2 = std::sqrt(correction2);
  const auto step = splat<T>(-args.lr / correction1 * root2), eps = splat<T>(args.eps * root2);
  for_vectors(d, n, [&](auto load, auto store) {
    auto param = load(p);
    if (shrinks) param = hn::Mul(param, shrink);
    const auto grad = gradient(load(g), param);
    const auto old = load(m);
    const auto mean = hn::MulAdd(rate1, hn::Sub(grad, old), old);
    auto square = hn::MulAdd(hn::Mul(rate2, grad), grad, hn::Mul(beta2, load(v)));
    store(mean, m);
    store(square, v);
    if (highest != nullptr) {
      square = hn::Max(load(highest), square);
      store(square, highest);
    }
    const auto divisor = hn::Add(hn::Sqrt(square), eps);
    store(hn::MulAdd(step, hn::Div(mean, divisor), param), p);
  });
}

template <class T>
void adam_part(const AdamArgs& args, int64_t i, int64_t begin, int64_t end) {
  T* highest = args.amsgrad ? part<T>(args.max_exp_avg_sqs, i, begin) : nullptr;
  adam_run<T, T>(args, i, part<T>(args.params, i, begin), part<T>(args.grads, i, begin),
                 part<T>(args.exp_avgs, i, begin), part<T>(args.exp_avg_sqs, i, begin), highest,
                 end - begin);
}

template <class T>
void adam_block(const AdamArgs& args, int64_t i, int64_t begin, int64_t n) {
  using A = compute_t<T>;
  A m[kStateBlock], v[kStateBlock], highest[kStateBlock];
  const auto block = [&](void* const* list) {
    return StateBlock{args.state_format, list[i], args.sizes[i], begin, n};
  };
  load_state(block(args.exp_avgs), true, m);
  load_state(block(args.exp_avg_sqs), false, v);
  if (args.amsgrad) load_state(block(args.max_exp_avg_sqs), false, highest);
  adam_run<T, A>(args, i, part<T>(args.params, i, begin), part<T>(args.grads, i, begin), m, v,
                 args.amsgrad ? highest : nullptr, n);
  const StateDraw draw{static_cast<uint32_t>(args.places[i]),
                       static_cast<uint32_t>(real_steps(args, i))};
  store_state(block(args.exp_avgs), true, nullptr, m);
  store_state(block(args.exp_avg_sqs), false, &draw, v);
  if (args.amsgrad) store_state(block(args.max_exp_avg_sqs), false, nullptr, highest);
}

template <class T>
void rmsprop_part(const RmspropArgs& args, int64_t i, int64_t begin, int64_t end) {
  const FlushDenormals flush;
  const Lanes<T> d;
  T* p = part<T>(args.params, i, begin);
  const T* g = part<T>(args.grads, i, begin);
  T* v = part<T>(args.square_avgs, i, begin);
  T* a = args.centered ? part<T>(args.grad_avgs, i, begin) : nullptr;
  T* buffer = args.momentum > 0.0 ? part<T>(args.momentum_buffers, i, begin) : nullptr;
  const Gradient<T> gradient(args.control, args.maximize, args.weight_decay);
  const auto alpha = splat<T>(args.alpha), rate = splat<T>(1.0 - args.alpha);
  const auto eps = splat<T>(args.eps), momentum = splat<T>(args.momentum), lr = splat<T>(-args.lr);
  for_vectors(d, end - begin, [&](auto load, auto store) {
    const auto param = load(p);
    const auto grad = gradient(load(g), param);
    auto square = hn::MulAdd(hn::Mul(rate, grad), grad, hn::Mul(alpha, load(v)));
    store(square, v);
    if (a != nullptr) {
      const auto old = load(a);
      const auto mean = hn::MulAdd(rate, hn::Sub(grad, old), old);
      store(mean, a);
      square = hn::NegMulAdd(mean, mean, square);
    }
    auto step = hn::Div(grad, hn::Add(hn::Sqrt(square), eps));
    if (buffer != nullptr) {
      step = hn::MulAdd(momentum, load(buffer), step);
      store(step, buffer);
    }
    store(hn::MulAdd(lr, step, param), p);
  });
}

template <class T>
void adagrad_part(const AdagradArgs& args, int64_t i, int64_t begin, int64_t end) {
  const FlushDenormals flush;
  const Lanes<T> d;
  T* p = part<T>(args.params, i, begin);
  const T* g = part<T>(args.grads, i, begin);
  T* sum = part<T>(args.state_sums, i, begin);
  const Gradient<T> gradient(args.control, args.maximize, args.weight_decay);
  const double t = real_steps(args, i);
  const auto lr = splat<T>(-args.lr / (1.0 + (t - 1.0) * args.lr_decay));
  const auto eps = splat<T>(args.eps);
  for_vectors(d, end - begin, [&](auto load, auto store) {
    const auto param = load(p);
    const auto grad = gradient(load(g), param);
    const auto square = hn::MulAdd(grad, grad, load(sum));
    store(square, sum);
    store(hn::MulAdd(lr, hn::Div(grad, hn::Add(hn::Sqrt(square), eps)), param), p);
  });
}

void sgd(const SgdArgs& args) {
  if (is_called_off(args)) return;
  visit_dtype(Floating{}, args.dtype, "sgd", [&]<class T>(Tag<T>) {
    if (args.momentum != 0.0 && args.state_format != StateFormat::plain) {
      return for_state_blocks(args.sizes, args.count, [&](int64_t i, int64_t begin, int64_t n) {
        sgd_block<T>(args, i, begin, n);
      });
    }
    for_parts(args.sizes, args.count,
              [&](int64_t i, int64_t begin, int64_t end) { sgd_part<T>(args, i, begin, end); });
  });
}

void adam(const AdamArgs& args) {
  if (is_called_off(args)) return;
  visit_dtype(Floating{}, args.dtype, "adam", [&]<class T>(Tag<T>) {
    if (args.state_format != StateFormat::plain) {
      return for_state_blocks(args.sizes, args.count, [&](int64_t i, int64_t begin, int64_t n) {
        adam_block<T>(args, i, begin, n);
      });
    }
    for_parts(args.sizes, args.count,
              [&](int64_t i, int64_t begin, int64_t end) { adam_part<T>(args, i, begin, end); });
  });
}

void rmsprop(const RmspropArgs& args) {
  if (is_called_off(args)) return;
  visit_dtype(Floating{}, args.dtype, "rmsprop", [&]<class T>(Tag<T>) {
    for_parts(args.sizes, args.count,
              [&](int64_t i, int64_t begin, int64_t end) { rmsprop_part<T>(args, i, begin, end); });
  });
}

void adagrad(const AdagradArgs& args) {
  if (is_called_off(args)) return;
  visit_dtype(Floating{}, args.dtype, "adagrad", [&]<class T>(Tag<T>) {
    for_parts(args.sizes, args.count,
              [&](int64_t i, int64_t begin, int64_t end) { adagrad_part<T>(args, i, begin, end); });
  });
}

// Returns whether all elements were finite: 0 x is 0 for those and NaN for the others.
template <class T>
bool scale_part(T* x, int64_t n, compute_t<T> factor) {
  const Lanes<T> d;
  const auto scale = hn::Set(d, factor);
  const bool changes = factor != compute_t<T>(1);
  auto zeros = hn::Zero(d);
  for_vectors(d, n, [&](auto load, auto store) {
    const auto value = load(x);
    zeros = hn::MulAdd(value, hn::Zero(d), zeros);
    if (changes) store(hn::Mul(value, scale), x);
  });
  return hn::AllTrue(d, hn::Eq(zeros, hn::Zero(d)));
}

void scale(const ScaleListArgs& args) {
  double factor = args.factor;
  if (args.factor_pointer != nullptr) factor *= static_cast<double>(*args.factor_pointer);
  std::atomic<bool> is_finite{true};
  visit_dtype(Floating{}, args.dtype, "scale", [&]<class T>(Tag<T>) {
    for_parts(args.sizes, args.count, [&](int64_t i, int64_t begin, int64_t end) {
      T* x = part<T>(args.tensors, i, begin);
      if (!scale_part(x, end - begin, static_cast<compute_t<T>>(factor))) {
        is_finite.store(false, std::memory_order_relaxed);
      }
    });
  });
  if (args.non_finite != nullptr && !is_finite.load()) *args.non_finite = 1.0f;
}

// Leaves of 4096 elements are summed in the compute type, leaves in double.
template <class T>
double sum_squares_of(const T* x, int64_t n) {
  constexpr int64_t kLeaf = 4096;
  const Lanes<T> d;
  const int64_t step = static_cast<int64_t>(hn::Lanes(d));
  double total = 0.0;
  for (int64_t begin = 0; begin < n; begin += kLeaf) {
    const T* leaf = x + begin;
    const int64_t count = std::min(kLeaf, n - begin);
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    const auto take = [&](auto& into, auto value) { into = hn::MulAdd(value, value, into); };
    int64_t i = 0;
    for (; i + 4 * step <= count; i += 4 * step) {
      take(s0, load_as(d, leaf + i));
      take(s1, load_as(d, leaf + i + step));
      take(s2, load_as(d, leaf + i + 2 * step));
      take(s3, load_as(d, leaf + i + 3 * step));
    }
    for_vectors(d, count - i, [&](auto load, auto) { take(s0, load(leaf + i)); });
    total += static_cast<double>(sum_lanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
  }
  return total;
}

template <class T>
double sum_squares_of_list(const SumSquaresArgs& args) {
  int64_t pieces = 0;
  for (int64_t i = 0; i < args.count; ++i) pieces += (args.sizes[i] + kGrain - 1) / kGrain;
  const std::unique_ptr<double[]> partial(new double[static_cast<size_t>(pieces)]);
  // Small tensors make small pieces, which one thread takes several of.
  int64_t elements = 0;
  for (int64_t i = 0; i < args.count; ++i) elements += args.sizes[i];
  const int64_t grain = elements <= kGrain ? pieces : 1;
  parallel_for(pieces, grain, [&](int64_t begin, int64_t end) {
    int64_t first = 0;  // piece of the tensor, among all
    for (int64_t i = 0; i < args.count && first < end; ++i) {
      const int64_t own = (args.sizes[i] + kGrain - 1) / kGrain;
      const int64_t last = std::min(end, first + own);
      for (int64_t piece = std::max(begin, first); piece < last; ++piece) {
        const int64_t start = (piece - first) * kGrain;
        partial[static_cast<size_t>(piece)] = sum_squares_of(
            part<T>(args.tensors, i, start), std::min(kGrain, args.sizes[i] - start));
      }
      first += own;
    }
  });
  double total = 0.0;
  for (int64_t piece = 0; piece < pieces; ++piece) total += partial[static_cast<size_t>(piece)];
  return total;
}

void sum_squares(const SumSquaresArgs& args) {
  visit_dtype(Floating{}, args.dtype, "sum_squares",
              [&]<class T>(Tag<T>) { *args.total = sum_squares_of_list<T>(args); });
}

OptimKernels optim_table() {
  OptimKernels table;
  table.sgd = sgd;
  table.adam = adam;
  table.rmsprop = rmsprop;
  table.adagrad = adagrad;
  table.scale = scale;
  table.sum_squares = sum_squares;
  return table;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(optim_table);
OptimKernels optim_kernels_cpu() { return HWY_DYNAMIC_DISPATCH(optim_table)(); }

}  // namespace taut::kernels
#endif
