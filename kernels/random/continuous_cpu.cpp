#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/random/continuous_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <limits>

#include "kernels/api/simd_exp-inl.h"
#include "kernels/api/simd_log-inl.h"
#include "kernels/random/philox-inl.h"
#include "kernels/random/random_parts.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

// Values of a piece in the compute type, which `make` turns from u in [0, 1) into the distribution
// and which are then written as T.
template <class T, class Make>
void fill_floating(const RandomArgs& args, Make&& make) {
  using A = compute_t<T>;
  T* out = static_cast<T*>(args.output);
  for_words(args, random_width(args.dtype), [&](const uint32_t* words, int64_t first, int64_t n) {
    HWY_ALIGN A values[kWords];
    unit_values(words, n, values);
    make(values, n);
    const Lanes<T> d;
    for_vectors(d, n, [&](auto load, auto store) { store(load(values), out + first); });
  });
}

// a + b x in two loops over memory, so that no instruction set fuses them: all give the same bits.
template <class A>
void scale_and_shift(A* values, int64_t n, A factor, A term) {
  if (factor != A(1)) {
    for (int64_t i = 0; i < n; ++i) values[i] *= factor;
  }
  asm volatile("" : : "r"(values) : "memory");
  if (term != A(0)) {
    for (int64_t i = 0; i < n; ++i) values[i] += term;
  }
}

template <class T>
void uniform_of(const UniformArgs& args) {
  using A = compute_t<T>;
  const A from = static_cast<A>(args.from), to = static_cast<A>(args.to);
  const A range = static_cast<A>(args.to - args.from);
  fill_floating<T>(args, [=](A* values, int64_t n) {
    scale_and_shift(values, n, range, from);
    // Rounding may reach `to`, in the compute type or on the way to 16 bits.
    if constexpr (std::is_same_v<T, A>) {
      for (int64_t i = 0; i < n; ++i) values[i] = values[i] >= to ? from : values[i];
    } else {
      const A highest = static_cast<A>(static_cast<T>(to));
      for (int64_t i = 0; i < n; ++i) {
        const A rounded = static_cast<A>(static_cast<T>(values[i]));
        values[i] = rounded >= highest ? from : rounded;
      }
    }
  });
}

void uniform(const UniformArgs& args) {
  visit_dtype(Floating{}, args.dtype, "uniform", [&]<class T>(Tag<T>) { uniform_of<T>(args); });
}

// sin and cos of 2 pi u for u in [0, 1): u = q / 4 + r with |r| <= 1/8, Cephes' polynomials of 2 pi
// r on
// [-pi/4, pi/4], and the quadrant q swaps and negates.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void sincos_turn(D d, V u, V& sine, V& cosine) {
  using A = LaneOf<D>;
  const auto set = [&](double value) { return hn::Set(d, static_cast<A>(value)); };
  const auto quadrant = hn::Round(hn::Mul(u, set(4.0)));
  const auto x = hn::Mul(hn::NegMulAdd(quadrant, set(0.25), u), set(6.283185307179586477));
  const auto z = hn::Mul(x, x);
  V s, c;
  if constexpr (sizeof(A) == 4) {
    s = hn::MulAdd(set(-1.9515295891e-4), z, set(8.3321608736e-3));
    s = hn::MulAdd(s, z, set(-1.6666654611e-1));
    c = hn::MulAdd(set(2.443315711809948e-5), z, set(-1.388731625493765e-3));
    c = hn::MulAdd(c, z, set(4.166664568298827e-2));
  } else {
    s = hn::MulAdd(set(1.58962301576546568060e-10), z, set(-2.50507477628578072866e-8));
    s = hn::MulAdd(s, z, set(2.75573136213857245213e-6));
    s = hn::MulAdd(s, z, set(-1.98412698295895385996e-4));
    s = hn::MulAdd(s, z, set(8.33333333332211858878e-3));
    s = hn::MulAdd(s, z, set(-1.66666666666666307295e-1));
    c = hn::MulAdd(set(-1.13585365213876817300e-11), z, set(2.08757008419747316778e-9));
    c = hn::MulAdd(c, z, set(-2.75573141792967388112e-7));
    c = hn::MulAdd(c, z, set(2.48015872888517045348e-5));
    c = hn::MulAdd(c, z, set(-1.38888888888730564116e-3));
    c = hn::MulAdd(c, z, set(4.16666666666665929218e-2));
  }
  s = hn::MulAdd(hn::Mul(s, z), x, x);
  c = hn::MulAdd(hn::Mul(c, z), z, hn::NegMulAdd(set(0.5), z, set(1.0)));
  // quadrant is 0 to 4: odd ones swap; sin is negative in 2 and 3, cos in 1 and 2.
  const auto is_1 = hn::Eq(quadrant, set(1.0)), is_2 = hn::Eq(quadrant, set(2.0));
  const auto is_3 = hn::Eq(quadrant, set(3.0));
  const auto swaps = hn::Or(is_1, is_3);
  sine = hn::IfThenElse(swaps, c, s);
  cosine = hn::IfThenElse(swaps, s, c);
  sine = hn::IfThenElse(hn::Or(is_2, is_3), hn::Neg(sine), sine);
  cosine = hn::IfThenElse(hn::Or(is_1, is_2), hn::Neg(cosine), cosine);
}

// Box and Muller, "A note on the generation of random normal deviates" (1958), over pairs.
template <class A>
HWY_NOINLINE void box_muller(A* values, int64_t n) {
  const hn::ScalableTag<A> d;
  for (int64_t i = 0; i < padded(n) / 2; i += static_cast<int64_t>(hn::Lanes(d))) {
    hn::Vec<decltype(d)> first, second, sine, cosine;
    hn::LoadInterleaved2(d, values + 2 * i, first, second);
    const auto log = log_any(d, hn::Sub(hn::Set(d, A(1)), first));
    const auto radius = hn::Sqrt(hn::Mul(hn::Set(d, A(-2)), log));
    sincos_turn(d, second, sine, cosine);
    hn::StoreInterleaved2(hn::Mul(radius, cosine), hn::Mul(radius, sine), d, values + 2 * i);
  }
}

template <bool kIsLog>
void normal(const NormalArgs& args) {
  visit_dtype(Floating{}, args.dtype, "normal", [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    const A mean = static_cast<A>(args.mean), deviation = static_cast<A>(args.std);
    fill_floating<T>(args, [=](A* values, int64_t n) {
      box_muller(values, n);
      scale_and_shift(values, n, deviation, mean);
      if constexpr (kIsLog) {
        const hn::ScalableTag<A> d;
        for_vectors(d, n, [&](auto load, auto store) { store(exp_any(d, load(values)), values); });
      }
    });
  });
}

// -log(1 - u) / rate, at least half an epsilon before the division: never 0.
void exponential(const ExponentialArgs& args) {
  visit_dtype(Floating{}, args.dtype, "exponential", [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    const hn::ScalableTag<A> d;
    const auto least = hn::Set(d, std::numeric_limits<A>::epsilon() / 2);
    const auto inverse = hn::Set(d, static_cast<A>(1.0 / args.rate));
    fill_floating<T>(args, [=](A* values, int64_t n) {
      for_vectors(d, n, [&](auto load, auto store) {
        const auto log = log_any(d, hn::Sub(hn::Set(d, A(1)), load(values)));
        store(hn::Mul(hn::Max(hn::Neg(log), least), inverse), values);
      });
    });
  });
}

void cauchy(const CauchyArgs& args) {
  visit_dtype(Floating{}, args.dtype, "cauchy", [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    const double median = args.median, sigma = args.sigma;
    fill_floating<T>(args, [=](A* values, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        const double angle = 3.14159265358979323846 * (static_cast<double>(values[i]) - 0.5);
        values[i] = static_cast<A>(median + sigma * std::tan(angle));
      }
    });
  });
}

void geometric(const GeometricArgs& args) {
  visit_dtype(Arithmetic{}, args.dtype, "geometric", [&]<class T>(Tag<T>) {
    using U = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const double scale = 1.0 / std::log1p(-args.p);
    T* out = static_cast<T*>(args.output);
    for_words(args, random_width(args.dtype), [&](const uint32_t* words, int64_t first, int64_t n) {
      HWY_ALIGN U values[kWords];
      unit_values(words, n, values);
      for (int64_t i = 0; i < n; ++i) {
        const double log = std::log1p(-static_cast<double>(values[i]));
        const double count = std::fmax(1.0, std::ceil(log * scale));
        if constexpr (is_floating_point(dtype_of<T>)) {
          out[first + i] = static_cast<T>(static_cast<compute_t<T>>(count));
        } else {
          out[first + i] = static_cast<T>(static_cast<int64_t>(count));
        }
      }
    });
  });
}

void fill_continuous(RandomKernels& table) {
  table.uniform = uniform;
  table.normal = normal<false>;
  table.log_normal = normal<true>;
  table.exponential = exponential;
  table.cauchy = cauchy;
  table.geometric = geometric;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_continuous);
void fill_continuous_kernels(RandomKernels& table) { HWY_DYNAMIC_DISPATCH(fill_continuous)(table); }

RandomKernels random_kernels_cpu() {
  RandomKernels table;
  fill_discrete_kernels(table);
  fill_continuous_kernels(table);
  return table;
}

}  // namespace taut::kernels
#endif
