#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/reduce/moments_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "kernels/api/simd_exp-inl.h"
#include "kernels/reduce/reduce_parts.h"
#include "kernels/reduce/reduce_typed-inl.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Count, mean and m2 = sum((x - mean)^2), each leaf in two passes within the cache; leaves are
// combined in double by Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
// computing sample variances" (1979).
template <class T, class Finish>
struct MomentReducer {
  using In = T;
  using Acc = double;
  using A = compute_t<T>;
  static constexpr int kPlanes = 3;
  static constexpr int64_t kTileCols = 512;
  static constexpr int64_t kBlockRows = 32;

  Finish finish;

  void identity(double* state) const { state[0] = state[1] = state[2] = 0.0; }

  void merge(double* into, const double* from) const {
    const double count = into[0] + from[0];
    const double share = count > 0.0 ? from[0] / count : 0.0;
    const double delta = from[1] - into[1];
    into[1] += delta * share;
    into[2] += from[2] + delta * delta * (into[0] * share);
    into[0] = count;
  }

  HWY_NOINLINE void row(const T* x, int64_t n, int64_t stride, double* state) const {
    if (stride == 1) return contiguous_row(x, n, state);
    double sum = 0.0, m2 = 0.0;
    for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i * stride]);
    const double mean = sum / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      const double delta = static_cast<double>(x[i * stride]) - mean;
      m2 += delta * delta;
    }
    set(state, n, mean, m2);
  }

  HWY_NOINLINE void block(const T* x, int64_t rows, int64_t row_stride, int64_t cols,
                          int64_t col_stride, double* states, int64_t width) const {
    if (col_stride != 1) {
      for (int64_t c = 0; c < cols; ++c) {
        double from[3], into[3] = {states[c], states[width + c], states[2 * width + c]};
        row(x + c * col_stride, rows, row_stride, from);
        merge(into, from);
        for (int p = 0; p < 3; ++p) states[p * width + c] = into[p];
      }
      return;
    }
    HWY_ALIGN A means[kTileCols];
    HWY_ALIGN A m2s[kTileCols];
    column_moments(x, rows, row_stride, cols, means, m2s);
    const double n = static_cast<double>(rows);
    for (int64_t c = 0; c < cols; ++c) {
      const double count = states[c];
      const double share = n / (count + n);
      const double delta = static_cast<double>(means[c]) - states[width + c];
      states[c] = count + n;
      states[width + c] += delta * share;
      states[2 * width + c] += static_cast<double>(m2s[c]) + delta * delta * (count * share);
    }
  }

 private:
  static void set(double* state, int64_t n, double mean, double m2) {
    state[0] = static_cast<double>(n);
    state[1] = mean;
    state[2] = m2;
  }

  static void contiguous_row(const T* x, int64_t n, double* state) {
    const Lanes<T> d;
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
    int64_t i = 0;
    for (; i + 4 * step <= n; i += 4 * step) {
      s0 = hn::Add(s0, load_as(d, x + i));
      s1 = hn::Add(s1, load_as(d, x + i + step));
      s2 = hn::Add(s2, load_as(d, x + i + 2 * step));
      s3 = hn::Add(s3, load_as(d, x + i + 3 * step));
    }
    for_vectors(d, n - i, [&](auto load, auto) { s0 = hn::Add(s0, load(x + i)); });
    const A sum = sum_lanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
    const A mean = sum / static_cast<A>(n);

    // The rounded mean's own deviation, the sum of d, is taken out again.
    const auto center = hn::Set(d, mean);
    auto q0 = hn::Zero(d), q1 = q0;
    s0 = s1 = hn::Zero(d);
    for (i = 0; i + 2 * step <= n; i += 2 * step) {
      const auto d0 = hn::Sub(load_as(d, x + i), center);
      const auto d1 = hn::Sub(load_as(d, x + i + step), center);
      s0 = hn::Add(s0, d0);
      s1 = hn::Add(s1, d1);
      q0 = hn::MulAdd(d0, d0, q0);
      q1 = hn::MulAdd(d1, d1, q1);
    }
    double deviation = static_cast<double>(sum_lanes(d, hn::Add(s0, s1)));
    double squares = static_cast<double>(sum_lanes(d, hn::Add(q0, q1)));
    for (; i < n; ++i) {
      const double delta = static_cast<double>(x[i]) - static_cast<double>(mean);
      deviation += delta;
      squares += delta * delta;
    }
    const double correction = deviation / static_cast<double>(n);
    set(state, n, static_cast<double>(mean) + correction,
        std::fmax(0.0, squares - deviation * correction) + 0.0 * squares);
  }

  static void column_moments(const T* x, int64_t rows, int64_t stride, int64_t cols, A* means,
                             A* m2s) {
    const Lanes<T> d;
    const auto inverse = hn::Set(d, A(1) / static_cast<A>(rows));
    // Four rows at a time; `term` is what a row adds to a column.
    const auto add_rows = [&](A* sums, auto term) {
      for (int64_t r = 0; r < rows;) {
        const T* row = x + r * stride;
        const bool is_first = r == 0;
        if (r + 4 <= rows) {
          for_vectors(d, cols, [&](auto load, auto store) {
            const auto low = hn::Add(term(load, row), term(load, row + stride));
            const auto high = hn::Add(term(load, row + 2 * stride), term(load, row + 3 * stride));
            const auto sum = hn::Add(low, high);
            store(is_first ? sum : hn::Add(sum, load(sums)), sums);
          });
          r += 4;
        } else {
          for_vectors(d, cols, [&](auto load, auto store) {
            const auto sum = term(load, row);
            store(is_first ? sum : hn::Add(sum, load(sums)), sums);
          });
          ++r;
        }
      }
    };
    add_rows(means, [](auto load, const T* row) { return load(row); });
    for_vectors(d, cols,
                [&](auto load, auto store) { store(hn::Mul(load(means), inverse), means); });
    add_rows(m2s, [&](auto load, const T* row) {
      const auto delta = hn::Sub(load(row), load(means));
      return hn::Mul(delta, delta);
    });
  }
};

void var(const MomentArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_dtype(Floating{}, args.input_dtype, "var", [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    const bool is_same = args.output_dtype == args.input_dtype;
    const double n = static_cast<double>(plan.count);
    const double freedom = n > args.correction ? n - args.correction : 0.0;
    const bool is_std = args.is_std;
    const auto store = [is_same](void* out, int64_t i, double value) {
      if (out == nullptr) return;
      if (is_same) {
        static_cast<T*>(out)[i] = static_cast<T>(static_cast<A>(value));
      } else {
        static_cast<A*>(out)[i] = static_cast<A>(value);
      }
    };
    void* output = args.output;
    void* mean_output = args.mean_output;
    const auto finish = [=](const double* state, int64_t i) {
      const double variance = state[2] / freedom;
      store(output, i, is_std ? std::sqrt(variance) : variance);
      store(mean_output, i, n > 0.0 ? state[1] : std::numeric_limits<double>::quiet_NaN());
    };
    const MomentReducer<T, decltype(finish)> reducer{finish};
    run_reduction(plan, args.input, reducer_of(reducer));
  });
}

// The planes are m = max(x) and s = sum(exp(x - m)), where an infinite m counts as 0 in the
// exponent; s is 0 for m = -inf, and not used for m = inf.
template <class T, class Finish>
struct LogSumExpReducer {
  using In = T;
  using Acc = compute_t<T>;
  static constexpr int kPlanes = 2;
  static constexpr int64_t kTileCols = 512;
  static constexpr int64_t kBlockRows = 32;
  static constexpr Acc kInfinity = std::numeric_limits<Acc>::infinity();

  Finish finish;

  void identity(Acc* state) const {
    state[0] = -kInfinity;
    state[1] = 0;
  }

  void merge(Acc* into, const Acc* from) const {
    const Acc m = larger(into[0], from[0]);
    into[1] = into[1] * factor(into[0], m) + from[1] * factor(from[0], m);
    into[0] = m;
  }

  HWY_NOINLINE void row(const T* x, int64_t n, int64_t stride, Acc* state) const {
    HWY_ALIGN Acc gathered[kReduceLeaf];
    if (stride != 1) {
      for (int64_t i = 0; i < n; ++i) gathered[i] = static_cast<Acc>(x[i * stride]);
      return contiguous_row(gathered, n, state);
    }
    contiguous_row(x, n, state);
  }

  HWY_NOINLINE void block(const T* x, int64_t rows, int64_t row_stride, int64_t cols,
                          int64_t col_stride, Acc* states, int64_t width) const {
    if (col_stride != 1) {
      for (int64_t c = 0; c < cols; ++c) {
        Acc from[2], into[2] = {states[c], states[width + c]};
        row(x + c * col_stride, rows, row_stride, from);
        merge(into, from);
        states[c] = into[0];
        states[width + c] = into[1];
      }
      return;
    }
    const Lanes<T> d;
    Acc* sums = states + width;
    HWY_ALIGN Acc highest[kTileCols];
    for_vectors(d, cols, [&](auto load, auto store) { store(load(states), highest); });
    for (int64_t r = 0; r < rows; ++r) {
      const T* from = x + r * row_stride;
      for_vectors(d, cols, [&](auto load, auto store) {
        store(larger(load(highest), load(from)), highest);
      });
    }
    for_vectors(d, cols, [&](auto load, auto store) {
      const auto shift = shift_of(d, load(highest));
      store(hn::Mul(load(sums), exp_nonpositive(d, hn::Sub(load(states), shift))), sums);
      store(load(highest), states);
    });
    for (int64_t r = 0; r < rows; ++r) {
      const T* from = x + r * row_stride;
      for_vectors(d, cols, [&](auto load, auto store) {
        const auto shift = shift_of(d, load(highest));
        store(hn::Add(load(sums), exp_nonpositive(d, hn::Sub(load(from), shift))), sums);
      });
    }
  }

 private:
  static Acc larger(Acc a, Acc b) { return b > a || b != b ? b : a; }
  template <class V>
  static V larger(V a, V b) {
    return hn::IfThenElse(hn::Or(hn::Gt(b, a), hn::IsNaN(b)), b, a);
  }
  static Acc factor(Acc part, Acc m) { return part == m ? Acc(1) : std::exp(part - m); }
  template <class D>
  static hn::Vec<D> shift_of(D d, hn::Vec<D> m) {
    return hn::IfThenElse(hn::Eq(hn::Abs(m), hn::Set(d, kInfinity)), hn::Zero(d), m);
  }

  template <class In2>
  static void contiguous_row(const In2* x, int64_t n, Acc* state) {
    const hn::ScalableTag<Acc> d;
    const int64_t step = static_cast<int64_t>(hn::Lanes(d));
    auto m = hn::Set(d, -kInfinity);
    int64_t i = 0;
    for (; i + step <= n; i += step) m = larger(m, load_as(d, x + i));
    if (i < n) m = larger(m, load_first(d, x + i, n - i, -kInfinity));
    HWY_ALIGN Acc lanes[hn::MaxLanes(d)];
    hn::Store(m, d, lanes);
    Acc top = lanes[0];
    for (int64_t lane = 1; lane < step; ++lane) top = larger(top, lanes[lane]);

    const auto shift = shift_of(d, hn::Set(d, top));
    auto sum = hn::Zero(d);
    for (i = 0; i + step <= n; i += step) {
      sum = hn::Add(sum, exp_nonpositive(d, hn::Sub(load_as(d, x + i), shift)));
    }
    if (i < n) {
      const auto last = load_first(d, x + i, n - i, -kInfinity);
      sum = hn::Add(sum, exp_nonpositive(d, hn::Sub(last, shift)));
    }
    state[0] = top;
    state[1] = sum_lanes(d, sum);
  }
};

void logsumexp(const ReduceArgs& args) {
  const ReducePlan plan = plan_reduction(args.shape, args.strides, args.reduced_dims);
  visit_dtype(Floating{}, args.input_dtype, "logsumexp", [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    T* out = static_cast<T*>(args.output);
    const auto finish = [=](const A* state, int64_t i) {
      const bool is_finite = std::fabs(state[0]) <= std::numeric_limits<A>::max();
      out[i] = static_cast<T>(is_finite ? state[0] + std::log(state[1]) : state[0]);
    };
    const LogSumExpReducer<T, decltype(finish)> reducer{finish};
    run_reduction(plan, args.input, reducer_of(reducer));
  });
}

void fill_moments(ReduceKernels& table) {
  table.var = var;
  table.logsumexp = logsumexp;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_moments);
void fill_moment_kernels(ReduceKernels& table) { HWY_DYNAMIC_DISPATCH(fill_moments)(table); }

}  // namespace taut::kernels
#endif
