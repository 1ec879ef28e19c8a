// The mathematics of SIMD vectors, in every instruction set of this machine, against the C library
// in double: everywhere within a few units of the last place, at special values exactly, and with
// the same bits wherever an element stands.

#include "kernels/api/simd_targets.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/kernels/simd_math_test.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "kernels/elementwise/simd-inl.h"
#include "tests/kernels/simd_math_functions.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels::HWY_NAMESPACE {

template <class T>
void evaluate_all(VectorFunction function, const T* x, T* y, int64_t n) {
  using D = hn::ScalableTag<T>;
  const int64_t step = static_cast<int64_t>(hn::Lanes(D()));
  HWY_ALIGN T buffer[hn::MaxLanes(D())];
  for (int64_t i = 0; i < n; i += step) {
    const int64_t count = n - i < step ? n - i : step;
    for (int64_t k = 0; k < step; ++k) buffer[k] = k < count ? x[i + k] : T(1);
    const Simd<T> v(hn::Load(D(), buffer));
    Simd<T> result;
    switch (function) {
#define TAUT_CASE(name) \
  case VectorFunction::name: result = name(v); break;
      TAUT_VECTOR_FUNCTIONS(TAUT_CASE)
#undef TAUT_CASE
    }
    hn::Store(result.v, D(), buffer);
    for (int64_t k = 0; k < count; ++k) y[i + k] = buffer[k];
  }
}

void evaluate_float(VectorFunction function, const float* x, float* y, int64_t n) {
  evaluate_all(function, x, y, n);
}
void evaluate_double(VectorFunction function, const double* x, double* y, int64_t n) {
  evaluate_all(function, x, y, n);
}

}  // namespace taut::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/elementwise/special_math.h"

namespace taut::kernels {
namespace {

HWY_EXPORT(evaluate_float);
HWY_EXPORT(evaluate_double);

void evaluate(VectorFunction function, const float* x, float* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(evaluate_float)(function, x, y, n);
}
void evaluate(VectorFunction function, const double* x, double* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(evaluate_double)(function, x, y, n);
}
template <class T>
std::vector<T> evaluate(VectorFunction function, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  evaluate(function, x.data(), y.data(), static_cast<int64_t>(x.size()));
  return y;
}

// Runs body() once for each instruction set that was built and that this machine has.
template <class Body>
void for_each_target(Body body) {
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  for (int64_t left = targets; left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    SCOPED_TRACE(hwy::TargetName(target));
    body();
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

struct Row {
  const char* name;
  VectorFunction function;
  long double (*exact)(long double);
  double low, high;     // where it is tried densely
  double ulps, ulps_d;  // the error allowed in float and in double
};

long double sigmoid_of(long double x) { return 1 / (1 + std::exp(-x)); }
long double erfinv_of(long double x) { return erfinv(static_cast<double>(x)); }

#define TAUT_ROW(name, exact, ...) {#name, VectorFunction::name, exact, __VA_ARGS__}
const Row kRows[] = {
    TAUT_ROW(exp, std::exp, -104, 89, 1.2, 1.2),
    TAUT_ROW(exp2, std::exp2, -150, 128, 1.2, 1.2),
    TAUT_ROW(expm1, std::expm1, -20, 89, 1.8, 1.8),
    TAUT_ROW(log, std::log, 1e-3, 100, 1.6, 4),
    TAUT_ROW(log2, std::log2, 1e-3, 100, 3, 6),
    TAUT_ROW(log10, std::log10, 1e-3, 100, 3, 6),
    TAUT_ROW(log1p, std::log1p, -0.99, 100, 6, 6),
    TAUT_ROW(tanh, std::tanh, -12, 12, 3, 3),
    TAUT_ROW(sigmoid, sigmoid_of, -80, 80, 3, 3),
    TAUT_ROW(sinh, std::sinh, -90, 90, 4, 4),
    TAUT_ROW(cosh, std::cosh, -90, 90, 4, 4),
    TAUT_ROW(asinh, std::asinh, -1e4, 1e4, 6, 6),
    TAUT_ROW(acosh, std::acosh, 1, 1e4, 6, 6),
    TAUT_ROW(atanh, std::atanh, -0.99, 0.99, 6, 6),
    TAUT_ROW(erf, std::erf, -5, 5, 2.6, 2.6),
    TAUT_ROW(erfc, std::erfc, -5, 9, 6, 6),
    TAUT_ROW(erfinv, erfinv_of, -0.999, 0.999, 8, 8),
};
#undef TAUT_ROW

template <class T>
double ulps_between(T actual, long double exact) {
  if (std::isnan(exact)) return std::isnan(actual) ? 0 : 1e9;
  const T rounded = static_cast<T>(exact);
  if (std::isinf(rounded) || std::isinf(actual)) return rounded == actual ? 0 : 1e9;
  const T magnitude = std::abs(rounded);
  const T unit = std::nextafter(magnitude, std::numeric_limits<T>::infinity()) - magnitude;
  return static_cast<double>(std::abs(actual - exact) / unit);
}

template <class T>
std::vector<T> dense(double low, double high) {
  std::mt19937_64 engine(7);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<T> values;
  for (int i = 0; i < 20000; ++i) values.push_back(static_cast<T>(uniform(engine)));
  // Arguments near 0 keep their digits, down to denormals.
  for (double scale = 1; scale > 1e-44; scale /= 7) {
    for (double x : {scale, -scale}) {
      if (x > low && x < high) values.push_back(static_cast<T>(x));
    }
  }
  return values;
}

template <class T>
void expect_close(const Row& row, double allowed) {
  // Without an instruction for it, a fused multiply-add is rounded twice.
  const bool is_fused = (hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3)) != 0;
  const std::vector<T> x = dense<T>(row.low, row.high);
  const std::vector<T> y = evaluate(row.function, x);
  double worst = 0;
  T at = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double error = ulps_between(y[i], row.exact(x[i]));
    if (error > worst) {
      worst = error;
      at = x[i];
    }
  }
  // erfc needs the exact square of its argument.
  const double slack = is_fused ? 1 : std::string(row.name) == "erfc" ? 100 : 2;
  EXPECT_LE(worst, allowed * slack) << row.name << " at " << at;
}

TEST(SimdMath, IsCloseToTheExactValue) {
  for_each_target([] {
    for (const Row& row : kRows) {
      expect_close<float>(row, row.ulps);
      expect_close<double>(row, row.ulps_d);
    }
  });
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

template <class T>
void expect_special(const Row& row) {
  const T tiny = std::numeric_limits<T>::denorm_min(), huge = std::numeric_limits<T>::max();
  const std::vector<T> x = {T(0),  T(-0.0), T(kInfinity), T(-kInfinity), T(kNaN),
                            tiny,  -tiny,   huge,         -huge,         T(1),
                            T(-1), T(2),    T(-2),        T(1e4),        T(-1e4)};
  const std::vector<T> y = evaluate(row.function, x);
  for (size_t i = 0; i < x.size(); ++i) {
    const long double exact = row.exact(x[i]);
    EXPECT_LE(ulps_between(y[i], exact), 8) << row.name << "(" << x[i] << ") is " << y[i];
    if (exact == 0 && x[i] == 0) {
      EXPECT_EQ(std::signbit(y[i]), std::signbit(exact)) << row.name;
    }
    // The place in the vector and the neighbours do not matter.
    const std::vector<T> alone = evaluate(row.function, std::vector<T>{x[i]});
    EXPECT_TRUE(alone[0] == y[i] || std::isnan(y[i])) << row.name << "(" << x[i] << ") alone";
  }
}

TEST(SimdMath, IsRightAtSpecialValues) {
  for_each_target([] {
    for (const Row& row : kRows) {
      expect_special<float>(row);
      expect_special<double>(row);
    }
  });
}

template <class T>
void expect_independent_of_neighbours(const Row& row) {
  std::vector<T> x = dense<T>(row.low, row.high);
  x.resize(4096);
  const std::vector<T> expected = evaluate(row.function, x);
  std::vector<T> mixed;
  for (T value : x) mixed.insert(mixed.end(), {value, T(kNaN), T(-kInfinity), T(1e30)});
  const std::vector<T> actual = evaluate(row.function, mixed);
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(actual[4 * i], expected[i]) << row.name << "(" << x[i] << ")";
  }
}

TEST(SimdMath, DoesNotDependOnTheNeighbours) {
  for_each_target([] {
    for (const Row& row : kRows) {
      expect_independent_of_neighbours<float>(row);
      expect_independent_of_neighbours<double>(row);
    }
  });
}

TEST(SimdMath, HasTheSameBitsInAvx2AndAvx512) {
  if ((hwy::SupportedTargets() & HWY_AVX3) == 0) GTEST_SKIP() << "this machine has no AVX-512";
  for (const Row& row : kRows) {
    const std::vector<float> x = dense<float>(row.low, row.high);
    std::vector<std::vector<float>> results;
    for (const int64_t target : {HWY_AVX2, HWY_AVX3}) {
      hwy::SetSupportedTargetsForTest(target);
      hwy::GetChosenTarget().Update(hwy::SupportedTargets());
      results.push_back(evaluate(row.function, x));
    }
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_EQ(results[0], results[1]) << row.name;
  }
}

}  // namespace
}  // namespace taut::kernels
#endif
