#include "kernels/api/softmax.h"

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
constexpr DType kFloats[] = {kFloat32, kFloat64, kFloat16, kBFloat16};

class SoftmaxTest : public ::testing::Test {
 protected:
  SoftmaxTest() : rng_(test_seed()) { RecordProperty("seed", std::to_string(test_seed())); }
  int64_t below(int64_t n) { return static_cast<int64_t>(rng_() % static_cast<uint64_t>(n)); }
  const SoftmaxKernels kernels_ = softmax_kernels_cpu();
  std::mt19937_64 rng_;
};

void expect_near(const ValueBuffer& got, const std::vector<double>& expected, double limit,
                 const char* what) {
  for (int64_t i = 0; i < got.size(); ++i) {
    ASSERT_TRUE(is_close(got.get(i), expected[static_cast<size_t>(i)], limit))
        << what << " " << name(got.dtype()) << " at " << i << ": got " << got.get(i)
        << ", expected " << expected[static_cast<size_t>(i)] << ", seed " << test_seed();
  }
}

TEST_F(SoftmaxTest, ForwardAndBackwardMatchTheFormulas) {
  for (int round = 0; round < 120; ++round) {
    const DType dtype = kFloats[round % 4];
    const int64_t outer = below(6), dim = 1 + below(round % 10 == 5 ? 5000 : 40);
    const int64_t inner = round % 2 ? 1 : 1 + below(round % 10 == 0 ? 1200 : 20);
    const int64_t n = outer * dim * inner;
    ValueBuffer x(dtype, n), y(dtype, n), ly(dtype, n), g(dtype, n), grad(dtype, n);
    x.fill(rng_, -8, 8);
    g.fill(rng_);
    if (n > 3 && round % 7 == 0) x.set(below(n), -kInfinity);
    std::vector<double> soft(static_cast<size_t>(n)), logs = soft, gs = soft, gl = soft;
    for (const bool is_log : {false, true}) {
      ThreadCount one(1);
      ValueBuffer& out = is_log ? ly : y;
      const SoftmaxArgs args{x.data(), out.data(), dtype, outer, dim, inner};
      const auto kernel = is_log ? kernels_.log_softmax : kernels_.softmax;
      kernel(args);
      const auto bits = out.raw();
      ThreadCount three(3);
      kernel(args);
      ASSERT_EQ(bits, out.raw());
    }
    for (int64_t o = 0; o < outer * inner; ++o) {
      const auto at = [&](int64_t k) { return (o / inner * dim + k) * inner + o % inner; };
      double m = -kInfinity, sum = 0, gy = 0, gsum = 0;
      for (int64_t k = 0; k < dim; ++k) m = std::max(m, x.get(at(k)));
      for (int64_t k = 0; k < dim; ++k) sum += std::exp(x.get(at(k)) - m);
      for (int64_t k = 0; k < dim; ++k) {
        const auto i = static_cast<size_t>(at(k));
        logs[i] = x.get(at(k)) - m - std::log(sum);
        soft[i] = std::exp(logs[i]);
        gy += g.get(at(k)) * y.get(at(k));
        gsum += g.get(at(k));
      }
      for (int64_t k = 0; k < dim; ++k) {
        const auto i = static_cast<size_t>(at(k));
        gs[i] = y.get(at(k)) * (g.get(at(k)) - gy);
        gl[i] = g.get(at(k)) - std::exp(ly.get(at(k))) * gsum;
      }
    }
    expect_near(y, soft, tolerance(dtype), "softmax");
    expect_near(ly, logs, tolerance(dtype), "log_softmax");
    kernels_.softmax_backward({g.data(), y.data(), grad.data(), dtype, outer, dim, inner});
    expect_near(grad, gs, tolerance(dtype) * 3, "softmax_backward");
    kernels_.log_softmax_backward({g.data(), ly.data(), grad.data(), dtype, outer, dim, inner});
    expect_near(grad, gl, tolerance(dtype) * 3, "log_softmax_backward");
    kernels_.softmax({x.data(), x.data(), dtype, outer, dim, inner});  // in place
    EXPECT_EQ(x.raw(), y.raw());
  }
}

TEST_F(SoftmaxTest, SpecialValuesMakeNaNRowsOnly) {
  for (DType dtype : kFloats) {
    for (int64_t inner : {1, 3}) {
      for (double special : {kNaN, kInfinity}) {
        const int64_t dim = 37;
        ValueBuffer x(dtype, 2 * dim * inner), y(dtype, 2 * dim * inner);
        x.fill(rng_);
        x.set(below(dim) * inner, special);  // slice 0
        kernels_.softmax({x.data(), y.data(), dtype, 2, dim, inner});
        EXPECT_TRUE(std::isnan(y.get(0)));
        EXPECT_TRUE(std::isfinite(y.get(dim * inner)));
        kernels_.log_softmax({x.data(), y.data(), dtype, 2, dim, inner});
        EXPECT_TRUE(std::isnan(y.get(0)) || special == kInfinity);
        EXPECT_TRUE(std::isfinite(y.get(dim * inner)));
      }
    }
  }
}

// Bits that a NaN carries must not turn it into a number.
TEST_F(SoftmaxTest, EveryNaNStaysOne) {
  for (const uint32_t bits : {0x7fc00001u, 0xffc00155u, 0x7f800001u, 0x7fffffffu}) {
    for (int64_t n : {1, 5, 16, 33, 100}) {
      for (int64_t inner : {1, 3}) {
        std::vector<float> x(static_cast<size_t>(n * inner), 0.5f), y(x.size());
        std::memcpy(&x[static_cast<size_t>(below(n) * inner)], &bits, sizeof(bits));
        for (auto* kernel : {kernels_.softmax, kernels_.log_softmax}) {
          kernel({x.data(), y.data(), kFloat32, 1, n, inner});
          for (int64_t i = 0; i < n; ++i) {
            ASSERT_TRUE(std::isnan(y[static_cast<size_t>(i * inner)])) << std::hex << bits;
          }
        }
      }
    }
  }
}

// What a causal mask leaves: -inf is 0, and a row of nothing else is NaN.
TEST_F(SoftmaxTest, MaskedElementsAreZero) {
  for (DType dtype : kFloats) {
    for (int64_t n : {2, 17, 64}) {
      ValueBuffer x(dtype, n * n), y(dtype, n * n);
      for (int64_t i = 0; i < n * n; ++i) x.set(i, i % n < i / n ? 1.0 : -kInfinity);
      kernels_.softmax({x.data(), y.data(), dtype, n, n, 1});
      for (int64_t i = 0; i < n * n; ++i) {
        const double expected = i % n < i / n ? 1.0 / static_cast<double>(i / n) : 0.0;
        if (i / n == 0) {
          ASSERT_TRUE(std::isnan(y.get(i)));
        } else {
          ASSERT_NEAR(y.get(i), expected, tolerance(dtype)) << name(dtype) << " " << i;
        }
      }
    }
  }
}

TEST_F(SoftmaxTest, CrossEntropyMatchesTheFormula) {
  for (int round = 0; round < 80; ++round) {
    const DType dtype = kFloats[round % 4], compute = compute_dtype(dtype);
    const int64_t rows = 1 + below(40), classes = 1 + below(round % 5 == 0 ? 3000 : 40);
    const bool is_weighted = round % 3 == 0, is_mean = round % 2 == 0;
    const double e = round % 4 < 2 ? 0.0 : 0.1;
    ValueBuffer x(dtype, rows * classes), w(dtype, classes), losses(dtype, rows), g(compute, rows);
    ValueBuffer lse(compute, rows), sums(compute, 2), grad(dtype, rows * classes);
    x.fill(rng_, -4, 4);
    w.fill(rng_, 0.1, 2);
    g.fill(rng_);
    std::vector<int64_t> targets(static_cast<size_t>(rows));
    for (auto& t : targets) t = below(5) == 0 ? -100 : below(classes);
    CrossEntropyArgs args;
    args.logits = x.data();
    args.targets = targets.data();
    args.weight = is_weighted ? w.data() : nullptr;
    args.losses = losses.data();
    args.log_sum_exp = lse.data();
    args.sums = sums.data();
    args.dtype = dtype;
    args.rows = rows;
    args.classes = classes;
    args.label_smoothing = e;
    ThreadCount threads(1 + round % 3);
    EXPECT_EQ(kernels_.cross_entropy(args).invalid_row, -1);

    std::vector<double> expected(static_cast<size_t>(rows)),
        grads(static_cast<size_t>(rows * classes));
    const auto weight = [&](int64_t c) { return is_weighted ? w.get(c) : 1.0; };
    double all = 0, all_weights = 0, total = 0;
    for (int64_t c = 0; c < classes; ++c) total += weight(c);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t y = targets[static_cast<size_t>(r)];
      if (y == -100) continue;
      double sum = 0, loss = 0;
      for (int64_t c = 0; c < classes; ++c) sum += std::exp(x.get(r * classes + c));
      for (int64_t c = 0; c < classes; ++c) {
        const double logp = x.get(r * classes + c) - std::log(sum);
        loss -= e / static_cast<double>(classes) * weight(c) * logp;
        if (c == y) loss -= (1 - e) * weight(c) * logp;
      }
      expected[static_cast<size_t>(r)] = loss;
      all += loss;
      all_weights += weight(y);
    }
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t y = targets[static_cast<size_t>(r)];
      if (y == -100) continue;
      const double gr = is_mean ? g.get(0) / sums.get(1) : g.get(r);
      for (int64_t c = 0; c < classes; ++c) {
        const double p = std::exp(x.get(r * classes + c) - lse.get(r));
        grads[static_cast<size_t>(r * classes + c)] =
            gr * ((1 - e) * weight(y) * (p - (c == y)) +
                  e / static_cast<double>(classes) * (total * p - weight(c)));
      }
    }
    expect_near(losses, expected, 4 * tolerance(dtype), "losses");
    EXPECT_TRUE(is_close(sums.get(0), all, 1e-4));
    EXPECT_TRUE(is_close(sums.get(1), all_weights, 1e-5));

    CrossEntropyBackwardArgs back;
    back.logits = x.data();
    back.targets = targets.data();
    back.weight = args.weight;
    back.log_sum_exp = lse.data();
    back.grad_losses = g.data();
    back.grad_stride = is_mean ? 0 : 1;
    back.divisor = is_mean ? sums.data() : nullptr;
    if (is_mean) back.divisor = static_cast<const char*>(sums.data()) + item_size(compute);
    back.grad_logits = grad.data();
    back.dtype = dtype;
    back.rows = rows;
    back.classes = classes;
    back.label_smoothing = e;
    kernels_.cross_entropy_backward(back);
    expect_near(grad, grads, 4 * tolerance(dtype), "gradient");
    back.grad_logits = x.data();
    kernels_.cross_entropy_backward(back);
    EXPECT_EQ(x.raw(), grad.raw());
  }
}

TEST_F(SoftmaxTest, CrossEntropyNamesTheFirstInvalidRow) {
  ValueBuffer x(kFloat32, 5000 * 3), losses(kFloat32, 5000), lse(kFloat32, 5000);
  x.fill(rng_);
  std::vector<int64_t> targets(5000, 1);
  targets[4000] = 3;
  targets[4900] = -1;
  CrossEntropyArgs args;
  args.logits = x.data();
  args.targets = targets.data();
  args.losses = losses.data();
  args.log_sum_exp = lse.data();
  args.rows = 5000;
  args.classes = 3;
  for (int threads : {1, 3}) {
    ThreadCount count(threads);
    EXPECT_EQ(kernels_.cross_entropy(args).invalid_row, 4000);
  }
}

}  // namespace
}  // namespace taut::kernels
