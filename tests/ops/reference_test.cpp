// Every elementwise op of the lists against its reference in double: ordinary and special numbers,
// every dtype, each place within a vector, empty tensors, in place.

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "taut/taut.h"
#include "tests/ops/references.h"

namespace taut::testing {
namespace {

struct UnaryRow {
  const char* name;
  Tensor (*function)(const Tensor&);
};

std::vector<UnaryRow> unary_rows() {
  return {
#define TAUT_UNARY(name, Functor) {#name, &taut::name},
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY
#define TAUT_ACTIVATION(name, Functor) {#name, &nn::functional::name},
#include "taut/ops/lists/activation.def"
#undef TAUT_ACTIVATION
#define TAUT_PREDICATE(name, Functor) {#name, &taut::name},
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE
  };
}

using BinaryFunction = Tensor (*)(const Tensor&, const Tensor&);
struct BinaryRow {
  const char* name;
  BinaryFunction function;
};

std::vector<BinaryRow> binary_rows() {
  return {
#define TAUT_BINARY(name, Functor) {#name, static_cast<BinaryFunction>(&taut::name)},
#include "taut/ops/lists/arithmetic.def"
#undef TAUT_BINARY
#define TAUT_COMPARE(name, Functor) {#name, static_cast<BinaryFunction>(&taut::name)},
#include "taut/ops/lists/compare.def"
#undef TAUT_COMPARE
  };
}

bool same(double actual, double expected, double tolerance) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= tolerance * (1 + std::abs(expected));
}

const double kInfinity = std::numeric_limits<double>::infinity();
const double kSpecial[] = {
    0.0,   -0.0,  1.0,       -1.0,       0.5,
    -0.5,  2.0,   -2.0,      3.75,       -3.75,
    1e-8,  -1e-8, 20.0,      -20.0,      100.0,
    1e5,   -1e5,  1e30,      -1e30,      88.5,
    -90.0, 710.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN()};

std::vector<double> samples() {
  std::vector<double> values(std::begin(kSpecial), std::end(kSpecial));
  std::mt19937_64 engine(99);
  std::uniform_real_distribution<double> uniform(-4, 4);
  for (int i = 0; i < 200; ++i) values.push_back(uniform(engine));
  return values;
}

double tolerance_of(const std::string& name, DType dtype) {
  if (dtype == kFloat64) return name == "digamma" ? 1e-8 : 1e-12;
  return name == "digamma" || name == "lgamma" ? 1e-5 : 2e-6;
}

// digamma's difference quotient means nothing at its poles and far out.
bool is_tried(const std::string& name, double x) {
  if (name == "digamma") return x > 0.1 && x < 50;
  if (name == "lgamma") return !(x <= 0 && x == std::floor(x)) && std::abs(x) < 1e20;
  return true;
}

class Unary : public ::testing::TestWithParam<UnaryRow> {};

TEST_P(Unary, IsItsReference) {
  const auto& [name, function] = GetParam();
  const auto reference = unary_references().find(name);
  ASSERT_NE(reference, unary_references().end()) << name << " has no reference row";
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor x = tensor(samples()).to(kFloat64);
    const Tensor input = tensor(samples(), dtype);
    const Tensor result = function(input);
    for (int64_t i = 0; i < input.numel(); ++i) {
      const double value = input[i].item<double>();
      if (!is_tried(name, value)) continue;
      // A float function of a float argument, rounded once.
      const double exact = reference->second(value);
      const double expected = dtype == kFloat32 && result.dtype() == kFloat32
                                  ? static_cast<double>(static_cast<float>(exact))
                                  : exact;
      EXPECT_TRUE(same(result[i].item<double>(), expected, tolerance_of(name, dtype)))
          << name << "(" << value << ") in " << taut::name(dtype) << " is "
          << result[i].item<double>() << ", expected " << expected;
    }
  }
}

TEST_P(Unary, DoesNotDependOnThePlaceInTheTensor) {
  const auto& [name, function] = GetParam();
  const Tensor whole = linspace(0.1, 0.9, 100);
  const Tensor expected = function(whole);
  for (int64_t start : {1, 7, 33, 98}) {
    for (int64_t length : {1, 2, 5, 17}) {
      if (start + length > 100) continue;
      EXPECT_TRUE(allclose(function(whole.slice(0, start, start + length).clone()),
                           expected.slice(0, start, start + length), 0, 0, /*equal_nan=*/true))
          << name << " at " << start << " for " << length;
    }
  }
}

TEST_P(Unary, TakesIntegersBoolAndEmptyTensors) {
  const auto& [name, function] = GetParam();
  EXPECT_EQ(function(zeros({0, 3})).shape(), (Dims{0, 3})) << name;
  EXPECT_EQ(function(ones({})).shape(), Dims{}) << name;
  const auto reference = unary_references().find(name)->second;
  for (const DType dtype : {kInt8, kInt16, kInt32, kInt64, kUInt8}) {
    const Tensor input = arange(1, 6).to(dtype);
    const Tensor result = function(input);
    for (int64_t i = 0; i < 5; ++i) {
      if (!is_tried(name, static_cast<double>(i + 1))) continue;
      double expected = reference(static_cast<double>(i + 1));
      if (result.dtype() == kUInt8 && expected < 0) expected += 256;  // neg wraps
      EXPECT_TRUE(same(result[i].item<double>(), expected, 1e-5))
          << name << "(" << i + 1 << ") in " << taut::name(dtype);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Lists, Unary, ::testing::ValuesIn(unary_rows()),
                         [](const auto& row) { return std::string(row.param.name); });

bool is_for_integers(const std::string& name) {
  for (const char* integer : {"bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift",
                              "bitwise_right_shift", "gcd", "lcm"}) {
    if (name == integer) return true;
  }
  return false;
}

class BinaryOps : public ::testing::TestWithParam<BinaryRow> {};

TEST_P(BinaryOps, IsItsReference) {
  const auto& [name, function] = GetParam();
  const auto reference = binary_references().find(name);
  ASSERT_NE(reference, binary_references().end()) << name << " has no reference row";
  std::mt19937_64 engine(7);
  std::vector<double> a, b;
  if (is_for_integers(name)) {
    for (int64_t x = 0; x < 12; ++x) {
      for (int64_t y = 0; y < 12; ++y) {
        a.push_back(static_cast<double>(x));
        b.push_back(static_cast<double>(y % 7));
      }
    }
    for (const DType dtype : {kInt32, kInt64, kInt16}) {
      const Tensor result = function(tensor(a).to(dtype), tensor(b).to(dtype));
      for (size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(result[static_cast<int64_t>(i)].item<double>(), reference->second(a[i], b[i]))
            << name << "(" << a[i] << ", " << b[i] << ")";
      }
    }
    return;
  }
  std::uniform_real_distribution<double> uniform(-3, 3);
  for (int i = 0; i < 300; ++i) {
    a.push_back(uniform(engine));
    b.push_back(uniform(engine));
  }
  for (double x : {0.0, 1.0, -1.0, 2.0, kInfinity, -kInfinity}) {
    a.push_back(x);
    b.push_back(2.5);
  }
  const bool quotient = std::string(name) == "remainder" || std::string(name) == "floor_divide" ||
                        std::string(name) == "fmod";
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor x = tensor(a, dtype);
    const Tensor y = tensor(b, dtype);
    const Tensor result = function(x, y);
    for (int64_t i = 0; i < x.numel(); ++i) {
      const double left = x[i].item<double>();
      const double right = y[i].item<double>();
      if (quotient && !std::isfinite(left)) continue;
      const double expected = reference->second(left, right);
      EXPECT_TRUE(same(result[i].item<double>(), expected, dtype == kFloat32 ? 4e-6 : 1e-12))
          << name << "(" << left << ", " << right << ") is " << result[i].item<double>()
          << ", expected " << expected;
    }
  }
}

TEST_P(BinaryOps, BroadcastsAndTakesEmptyTensors) {
  const auto& [name, function] = GetParam();
  const DType dtype = is_for_integers(name) ? kInt64 : kFloat32;
  const Tensor a = arange(1, 7).to(dtype).view({2, 3, 1});
  const Tensor b = arange(1, 5).to(dtype);
  const Tensor wide = function(a, b);
  EXPECT_TRUE(
      equal(wide, function(a.expand({2, 3, 4}).contiguous(), b.expand({2, 3, 4}).contiguous())))
      << name;
  EXPECT_EQ(function(a.slice(0, 0, 0), b).shape(), (Dims{0, 3, 4})) << name;
  EXPECT_THROW(function(a, ones({4, 5}, dtype)), ShapeError) << name;
}

INSTANTIATE_TEST_SUITE_P(Lists, BinaryOps, ::testing::ValuesIn(binary_rows()),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(Binary, IntegersFollowPython) {
  const Tensor a = tensor({7, -7, 7, -7});
  const Tensor b = tensor({2, 2, -2, -2});
  EXPECT_TRUE(equal(floor_divide(a, b), tensor({3, -4, -4, 3})));
  EXPECT_TRUE(equal(remainder(a, b), tensor({1, 1, -1, -1})));
  EXPECT_TRUE(equal(fmod(a, b), tensor({1, -1, 1, -1})));
  EXPECT_TRUE(equal(div(a, b, RoundingMode::trunc), tensor({3, -3, -3, 3})));
  EXPECT_TRUE(equal(pow(tensor({2, 3, -2}), 5), tensor({32, 243, -32})));
  EXPECT_EQ(div(tensor({7}), tensor({2})).dtype(), kFloat32);
}

TEST(Binary, BoolIsLogic) {
  const Tensor t = tensor({1, 0, 1, 0}).to(kBool);
  const Tensor u = tensor({1, 1, 0, 0}).to(kBool);
  EXPECT_TRUE(equal(add(t, u), logical_or(t, u)));
  EXPECT_TRUE(equal(mul(t, u), logical_and(t, u)));
  EXPECT_TRUE(equal(bitwise_xor(t, u), logical_xor(t, u)));
  EXPECT_TRUE(equal(~t, logical_not(t)));
  EXPECT_THROW(sub(t, u), DTypeError);
  EXPECT_THROW(neg(t), DTypeError);
  EXPECT_THROW(bitwise_and(ones({2}), ones({2})), DTypeError);
}

TEST(InPlace, IsTheOpItself) {
  const Tensor x = linspace(0.1, 0.9, 50);
  const Tensor y = x.clone();
  y.exp_();
  EXPECT_TRUE(equal(y, exp(x)));
  const Tensor strided = linspace(0.1, 0.9, 50).view({5, 10}).t();
  strided.mul_(x.view({10, 5}));
  EXPECT_TRUE(equal(strided, linspace(0.1, 0.9, 50).view({5, 10}).t() * x.view({10, 5})));
  EXPECT_THROW(ones({2}, kInt64).add_(1.5), DTypeError);
  EXPECT_THROW(ones({2}).add_(ones({3, 2})), ShapeError);
  // Reading what was just written would double some elements.
  const Tensor line = arange(6).to(kFloat32);
  line.slice(0, 1).add_(line.slice(0, 0, 5));
  EXPECT_TRUE(equal(line, tensor({0.0, 1.0, 3.0, 5.0, 7.0, 9.0})));
}

}  // namespace
}  // namespace taut::testing
