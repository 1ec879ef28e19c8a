#include "kernels/api/scan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/value_buffer.h"

namespace taut::kernels {
namespace {

using test::is_close;
using test::test_seed;
using test::ThreadCount;
using test::tolerance;
using test::ValueBuffer;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr DType kAllDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                                kInt16,   kInt32,   kInt64,   kUInt8,    kBool};

class ScanTest : public ::testing::Test {
 protected:
  ScanTest() : rng_(test_seed()) { RecordProperty("seed", std::to_string(test_seed())); }
  int64_t below(int64_t n) { return static_cast<int64_t>(rng_() % static_cast<uint64_t>(n)); }

  // Runs with one and with three threads and compares with fold(accumulated, x).
  template <class Fold>
  void check(void (*kernel)(const ScanArgs&), const ValueBuffer& x, DType out_dtype, int64_t outer,
             int64_t dim, int64_t inner, bool reversed, double start, double limit, Fold fold) {
    ValueBuffer y(out_dtype, x.size());
    ScanArgs args{x.data(), y.data(), x.dtype(), out_dtype, outer, dim, inner, reversed};
    {
      ThreadCount one(1);
      kernel(args);
    }
    const auto bits = y.raw();
    ThreadCount three(3);
    kernel(args);
    ASSERT_EQ(bits, y.raw());
    for (int64_t o = 0; o < outer * inner; ++o) {
      double sum = start;
      for (int64_t k = 0; k < dim; ++k) {
        const int64_t i = (o / inner * dim + (reversed ? dim - 1 - k : k)) * inner + o % inner;
        sum = fold(sum, x.get(i));
        ASSERT_TRUE(is_close(y.get(i), sum, limit))
            << name(x.dtype()) << " (" << outer << ", " << dim << ", " << inner << ") at " << i
            << ": got " << y.get(i) << ", expected " << sum << ", seed " << test_seed();
      }
    }
    if (out_dtype == x.dtype()) {
      ValueBuffer again = x;
      args.input = args.output = again.data();
      kernel(args);
      EXPECT_EQ(again.raw(), y.raw());
    }
  }

  const ScanKernels kernels_ = scan_kernels_cpu();
  std::mt19937_64 rng_;
};

double log_add(double a, double b) {
  const double m = std::max(a, b);
  return std::isinf(m) ? m : m + std::log(std::exp(a - m) + std::exp(b - m));
}

TEST_F(ScanTest, SumsAndProducts) {
  for (int round = 0; round < 120; ++round) {
    const DType dtype = kAllDTypes[round % 10];
    const int64_t outer = below(4), inner = round % 3 ? 1 : 1 + below(30);
    int64_t dim = 1 + below(round % 4 ? 60 : 6000);
    if (round % 30 == 1) dim = 150001;
    if (inner > 1) dim = std::min<int64_t>(dim, 500);
    const bool is_float = is_floating_point(dtype), reversed = round % 2;
    ValueBuffer x(dtype, outer * dim * inner);
    x.fill(rng_, -1, 1.5);
    const DType out = is_float ? dtype : kInt64;
    check(kernels_.cumsum, x, out, outer, dim, inner, reversed, 0, 4 * tolerance(dtype),
          [](double a, double b) { return a + b; });
    if (is_float) {
      check(kernels_.logcumsumexp, x, out, outer, dim, inner, reversed, -kInfinity,
            2 * tolerance(dtype), log_add);
    }
    x.fill(rng_, -1, 1);
    check(kernels_.cumprod, x, out, outer, dim, inner, reversed, 1, 2 * tolerance(dtype),
          [](double a, double b) { return a * b; });
  }
}

TEST_F(ScanTest, SpecialValues) {
  ValueBuffer x(kFloat32, 200);
  x.fill(rng_);
  x.set(100, kInfinity);
  x.set(150, -kInfinity);
  x.set(180, kNaN);
  check(kernels_.cumsum, x, kFloat32, 1, 200, 1, false, 0, 1e-4,
        [](double a, double b) { return a + b; });
  x.set(150, 0);
  x.set(0, -kInfinity);
  check(kernels_.logcumsumexp, x, kFloat32, 1, 200, 1, false, -kInfinity, 1e-4,
        [](double a, double b) { return std::isnan(a) || std::isnan(b) ? kNaN : log_add(a, b); });
}

TEST_F(ScanTest, RunningExtrema) {
  for (int round = 0; round < 60; ++round) {
    const DType dtype = kAllDTypes[round % 10];
    const int64_t outer = below(4), dim = 1 + below(200), inner = round % 2 ? 1 : 1 + below(700);
    const int64_t n = outer * dim * inner;
    ValueBuffer x(dtype, n), values(dtype, n);
    std::vector<int64_t> indices(static_cast<size_t>(n));
    x.fill(rng_);
    if (is_floating_point(dtype) && n > 0) x.set(below(n), kNaN);
    for (const bool is_max : {true, false}) {
      ThreadCount threads(1 + round % 3);
      (is_max ? kernels_.cummax : kernels_.cummin)(
          {x.data(), values.data(), indices.data(), dtype, outer, dim, inner});
      for (int64_t o = 0; o < outer * inner; ++o) {
        double best = is_max ? -kInfinity : kInfinity;
        int64_t at = 0;
        for (int64_t k = 0; k < dim; ++k) {
          const int64_t i = (o / inner * dim + k) * inner + o % inner;
          const double value = x.get(i);
          if (std::isnan(value) || (is_max ? value >= best : value <= best)) {
            best = value;
            at = k;
          }
          ASSERT_TRUE(is_close(values.get(i), best, 0));
          ASSERT_EQ(indices[static_cast<size_t>(i)], at) << "seed " << test_seed();
        }
      }
    }
  }
}

}  // namespace
}  // namespace taut::kernels
