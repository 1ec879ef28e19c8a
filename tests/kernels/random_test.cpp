#include "kernels/api/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "kernels/api/philox.h"
#include "tests/kernels/value_buffer.h"

namespace taut::kernels {
namespace {

using test::is_close;
using test::test_seed;
using test::ThreadCount;
using test::tolerance;
using test::ValueBuffer;

constexpr DType kFloats[] = {kFloat32, kFloat64, kFloat16, kBFloat16};
constexpr DType kAllDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                                kInt16,   kInt32,   kInt64,   kUInt8,    kBool};
constexpr uint64_t kSeed = 0x123456789abcdefull;
constexpr uint64_t kOffset = 0xfffffff0ull;  // so that the counter carries into its second word

uint32_t word_of(int64_t i) {
  return philox(kSeed, kOffset + static_cast<uint64_t>(i) / 4).word[i % 4];
}
uint64_t bits_of(int64_t i) {
  return word_of(2 * i) | static_cast<uint64_t>(word_of(2 * i + 1)) << 32;
}
double unit_of(int64_t i, DType dtype) {
  if (dtype == kFloat64) return static_cast<double>(bits_of(i) >> 11) * 0x1p-53;
  return static_cast<double>(word_of(i) >> 8) * 0x1p-24;
}

template <class Args>
Args describe(ValueBuffer& out, int64_t n) {
  Args args;
  args.output = out.data();
  args.n = n;
  args.dtype = out.dtype();
  args.place = {.seed = kSeed, .offset = kOffset};
  return args;
}

// With one thread and with three, which must agree in every bit.
template <class Args>
void run_twice(void (*kernel)(const Args&), const Args& args, const ValueBuffer& out) {
  ThreadCount one(1);
  kernel(args);
  const auto bits = out.raw();
  ThreadCount three(3);
  kernel(args);
  ASSERT_EQ(bits, out.raw());
}

template <class Reference>
void expect_all(const ValueBuffer& out, double limit, Reference reference, const char* what) {
  for (int64_t i = 0; i < out.size(); ++i) {
    ASSERT_TRUE(is_close(out.get(i), reference(i), limit))
        << what << " " << name(out.dtype()) << " element " << i << ": got " << out.get(i)
        << ", expected " << reference(i);
  }
}

const RandomKernels kKernels = random_kernels_cpu();
constexpr int64_t kSizes[] = {0, 1, 3, 31, 33, 1000, 1025, 40003};

// The known answers that Random123 1.14 ships for philox4x32 with 10 rounds (kat_vectors).
TEST(RandomTest, PhiloxKnownAnswers) {
  const auto expect = [](PhiloxBlock counter, uint32_t key0, uint32_t key1, PhiloxBlock answer) {
    const PhiloxBlock got = philox_block(counter, key0, key1);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(got.word[i], answer.word[i]);
  };
  expect({{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}});
  expect({{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u, {{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}});
  expect({{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0xa4093822u, 0x299f31d0u,
         {{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}});
}

TEST(RandomTest, BlocksAndWidths) {
  EXPECT_EQ(random_blocks(0, 32), 0u);
  EXPECT_EQ(random_blocks(5, 32), 2u);
  EXPECT_EQ(random_blocks(5, 64), 3u);
  EXPECT_EQ(randint_width(0, int64_t{1} << 32), 32);
  EXPECT_EQ(randint_width(-1, int64_t{1} << 32), 64);
  EXPECT_EQ(randint_width(INT64_MIN, INT64_MAX), 64);
  EXPECT_EQ(randint_width(INT64_MIN, INT64_MIN), 64);  // all 2^64
}

TEST(RandomTest, ContinuousFollowTheirFormulas) {
  for (DType dtype : kFloats) {
    for (int64_t n : kSizes) {
      ValueBuffer out(dtype, n);
      const auto u = [&](int64_t i) { return unit_of(i, dtype); };
      auto uniform = describe<UniformArgs>(out, n);
      run_twice(kKernels.uniform, uniform, out);
      if (dtype == kFloat32 || dtype == kFloat64) expect_all(out, 0, u, "uniform [0, 1)");
      for (int64_t i = 0; i < n; ++i) ASSERT_LT(out.get(i), 1.0);
      uniform.from = -3;
      uniform.to = 4;
      run_twice(kKernels.uniform, uniform, out);
      expect_all(
          out, 4 * tolerance(dtype),
          [&](int64_t i) { return out.get(i) == -3 ? -3 : u(i) * 7 - 3; }, "uniform");
      for (int64_t i = 0; i < n; ++i) ASSERT_LT(out.get(i), 4.0);

      const auto gauss = [&](int64_t i) {
        const int64_t even = i / 2 * 2;
        const double r = std::sqrt(-2 * std::log1p(-u(even))), t = 2 * M_PI * u(even + 1);
        return 2 + 3 * r * (i % 2 ? std::sin(t) : std::cos(t));
      };
      auto normal = describe<NormalArgs>(out, n);
      normal.mean = 2;
      normal.std = 3;
      run_twice(kKernels.normal, normal, out);
      expect_all(out, 4 * tolerance(dtype), gauss, "normal");
      normal.std = 0.5;
      run_twice(kKernels.log_normal, normal, out);
      expect_all(
          out, 4 * tolerance(dtype), [&](int64_t i) { return std::exp((gauss(i) - 2) / 6 + 2); },
          "log_normal");

      auto exponential = describe<ExponentialArgs>(out, n);
      exponential.rate = 2;
      run_twice(kKernels.exponential, exponential, out);
      expect_all(
          out, tolerance(dtype), [&](int64_t i) { return -std::log1p(-u(i)) / 2; }, "exponential");
      auto cauchy = describe<CauchyArgs>(out, n);
      cauchy.median = 1;
      run_twice(kKernels.cauchy, cauchy, out);
      if (dtype != kFloat16) {
        expect_all(
            out, 2 * tolerance(dtype), [&](int64_t i) { return 1 + std::tan(M_PI * (u(i) - 0.5)); },
            "cauchy");
      }
    }
  }
}

TEST(RandomTest, DiscreteFollowTheirFormulas) {
  std::mt19937_64 rng(test_seed());
  for (DType dtype : kAllDTypes) {
    const bool is_bool = dtype == kBool;
    for (int64_t n : kSizes) {
      ValueBuffer out(dtype, n), p(kFloat32, n);
      p.fill(rng, 0, 1);
      auto bernoulli = describe<BernoulliArgs>(out, n);
      for (double chance : {0.0, 0.3, 1.0}) {
        bernoulli.p = chance;
        run_twice(kKernels.bernoulli, bernoulli, out);
        expect_all(out, 0, [&](int64_t i) { return word_of(i) < chance * 0x1p32; }, "bernoulli");
      }
      bernoulli.probabilities = p.data();
      run_twice(kKernels.bernoulli, bernoulli, out);
      expect_all(out, 0, [&](int64_t i) { return word_of(i) < p.get(i) * 0x1p32; }, "bernoulli");

      auto randint = describe<RandintArgs>(out, n);
      randint.low = is_bool || dtype == kUInt8 ? 0 : -5;
      randint.high = is_bool ? 2 : 50;
      run_twice(kKernels.randint, randint, out);
      const double range = static_cast<double>(randint.high - randint.low);
      expect_all(
          out, 0,
          [&](int64_t i) {
            return std::floor(word_of(i) * range / 0x1p32) + static_cast<double>(randint.low);
          },
          "randint");
      if (is_bool) continue;
      auto geometric = describe<GeometricArgs>(out, n);
      geometric.p = 0.4;
      run_twice(kKernels.geometric, geometric, out);
      expect_all(
          out, 0,
          [&](int64_t i) {
            const double u = unit_of(i, dtype);
            return std::max(1.0, std::ceil(std::log1p(-u) / std::log1p(-0.4)));
          },
          "geometric");
    }
  }
}

TEST(RandomTest, WideRandint) {
  const int64_t n = 1000;
  ValueBuffer out(kInt64, n);
  auto args = describe<RandintArgs>(out, n);
  args.low = INT64_MIN;
  args.high = INT64_MAX;
  run_twice(kKernels.randint, args, out);
  for (int64_t i = 0; i < n; ++i) {
    int64_t value;
    std::memcpy(&value, static_cast<const char*>(out.data()) + 8 * i, 8);
    const auto product = static_cast<unsigned __int128>(bits_of(i)) * ~uint64_t{0};
    EXPECT_EQ(static_cast<uint64_t>(value) - static_cast<uint64_t>(INT64_MIN),
              static_cast<uint64_t>(product >> 64));
  }
}

TEST(RandomTest, RandpermSortsItsKeys) {
  for (int64_t n : {0, 1, 2, 100, 5000, 100000}) {
    ValueBuffer out(kInt64, n);
    run_twice(kKernels.randperm, describe<RandpermArgs>(out, n), out);
    std::vector<int64_t> expected(static_cast<size_t>(n));
    std::iota(expected.begin(), expected.end(), 0);
    std::vector<uint64_t> keys(expected.size());
    for (int64_t i = 0; i < n; ++i) keys[static_cast<size_t>(i)] = bits_of(i);
    std::stable_sort(expected.begin(), expected.end(), [&](int64_t a, int64_t b) {
      return keys[static_cast<size_t>(a)] < keys[static_cast<size_t>(b)];
    });
    for (int64_t i = 0; i < n; ++i)
      ASSERT_EQ(out.get(i), static_cast<double>(expected[static_cast<size_t>(i)]));
  }
}

TEST(RandomTest, DropoutDropsScalesAndAdds) {
  std::mt19937_64 rng(test_seed());
  for (DType dtype : kFloats) {
    for (int64_t n : kSizes) {
      for (double p : {0.0, 0.25, 1.0}) {
        ValueBuffer x(dtype, n), y(dtype, n), residual(dtype, n), sum(dtype, n);
        x.fill(rng);
        residual.fill(rng);
        auto args = describe<DropoutArgs>(y, n);
        args.input = x.data();
        args.p = p;
        run_twice(kKernels.dropout, args, y);
        expect_all(
            y, tolerance(dtype),
            [&](int64_t i) { return word_of(i) < (1 - p) * 0x1p32 ? x.get(i) / (1 - p) : 0.0; },
            "dropout");
        args.residual = residual.data();
        args.output = sum.data();
        run_twice(kKernels.dropout, args, sum);
        expect_all(
            sum, tolerance(dtype), [&](int64_t i) { return y.get(i) + residual.get(i); },
            "dropout and residual");
        args.residual = nullptr;
        args.output = x.data();
        kKernels.dropout(args);
        EXPECT_EQ(x.raw(), y.raw());
      }
    }
  }
}

TEST(RandomTest, MomentsAreRight) {
  const int64_t n = 400000;
  ValueBuffer out(kFloat32, n);
  kKernels.normal(describe<NormalArgs>(out, n));
  double sum = 0, squares = 0, fourth = 0;
  for (double x : out.values()) {
    sum += x;
    squares += x * x;
    fourth += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0, 0.01);
  EXPECT_NEAR(squares / n, 1, 0.01);
  EXPECT_NEAR(fourth / n, 3, 0.1);
}

}  // namespace
}  // namespace taut::kernels
