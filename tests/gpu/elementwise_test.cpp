// Every elementwise op on CUDA against the CPU: the layouts that choose between its kernels,
// dtypes, derivatives, and the values at which functions break.

#include <limits>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;

struct UnaryCase {
  const char* name;
  Tensor (*function)(const Tensor&);
  double low, high;
};

template <class... Options>
using Overload = Tensor (*)(Options...);

std::vector<UnaryCase> unary_cases() {
  std::vector<UnaryCase> cases;
#define TAUT_UNARY(name, Functor) \
  cases.push_back({ #name, static_cast<Overload<const Tensor&>>(&taut::name), -3, 3 });
#include "taut/ops/lists/math.def"
#undef TAUT_UNARY
#define TAUT_PREDICATE(name, Functor) cases.push_back({#name, &taut::name, -3, 3});
#include "taut/ops/lists/predicate.def"
#undef TAUT_PREDICATE
#define TAUT_ACTIVATION(name, Functor) cases.push_back({#name, &F::name, -3, 3});
#include "taut/ops/lists/activation.def"
#undef TAUT_ACTIVATION
  const auto put = [&](const char* name, Tensor (*function)(const Tensor&)) {
    cases.push_back({name, function, -3, 3});
  };
  put("leaky_relu", [](const Tensor& x) { return F::leaky_relu(x, 0.1); });
  put("elu", [](const Tensor& x) { return F::elu(x, 0.7); });
  put("celu", [](const Tensor& x) { return F::celu(x, 0.7); });
  put("gelu", [](const Tensor& x) { return F::gelu(x); });
  put("gelu_tanh", [](const Tensor& x) { return F::gelu(x, "tanh"); });
  put("hardtanh", [](const Tensor& x) { return F::hardtanh(x, -0.5, 1.5); });
  put("threshold", [](const Tensor& x) { return F::threshold(x, 0.25, -7); });
  put("softplus", [](const Tensor& x) { return F::softplus(x, 2.0, 3.0); });
  put("softshrink", [](const Tensor& x) { return F::softshrink(x); });
  put("hardshrink", [](const Tensor& x) { return F::hardshrink(x); });
  put("logit", [](const Tensor& x) { return logit(x, 1e-2); });
  put("round", [](const Tensor& x) { return round(x, 1); });
  put("nan_to_num", [](const Tensor& x) { return nan_to_num(x, 1.0, 2.0, -2.0); });
  put("polygamma", [](const Tensor& x) { return polygamma(2, x); });
  put("square_by_pow", [](const Tensor& x) { return pow(x, 2); });
  put("add_number", [](const Tensor& x) { return add(x, 1.25, 2); });
  put("rsub_number", [](const Tensor& x) { return rsub(x, 1.25); });
  put("clamp", [](const Tensor& x) { return clamp(x, -0.5, 0.75); });
  for (UnaryCase& row : cases) {
    const std::string name = row.name;
    if (name == "acosh" || name.starts_with("log") || name == "sqrt" || name == "rsqrt" ||
        name == "lgamma" || name == "digamma" || name == "polygamma") {
      row.low = name == "acosh" ? 1.01 : 0.1;
    }
    if (name == "asin" || name == "acos" || name == "atanh" || name == "erfinv") {
      row.low = -0.95, row.high = 0.95;
    }
    if (name == "logit") row.low = 0.02, row.high = 0.97;
    if (name == "tan") row.low = -1.4, row.high = 1.4;
  }
  return cases;
}

// Functions that lose digits on the CPU or the GPU near their ends get more room.
double factor_of(const std::string& name) {
  return name == "digamma" || name == "polygamma" || name == "lgamma" ? 20 : 1;
}

class CudaUnary : public GpuTest, public ::testing::WithParamInterface<UnaryCase> {
 protected:
  Tensor values(const Dims& shape, DType dtype = kFloat32) {
    const UnaryCase& op = GetParam();
    return rand(shape, TensorOptions(kFloat64)).mul(op.high - op.low).add(op.low).to(dtype);
  }
  void compare(const Tensor& gpu, const Tensor& cpu, const std::string& what) {
    const UnaryCase& op = GetParam();
    const Tensor expected = op.function(cpu);
    expect_close(op.function(gpu), expected, factor_of(op.name) * tolerance_of(expected.dtype()),
                 concat(op.name, " ", what, ", seed ", kSeed));
  }
};

TEST_P(CudaUnary, AgreesInEveryDtypeAndSize) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (int64_t n : {0, 1, 3, 4, 7, 8, 9, 255, 3079, 4097}) {
      const Tensor x = values({n}, dtype);
      compare(x.cuda(), x, concat(dtype, " ", n));
    }
  }
}

TEST_P(CudaUnary, TakesAnyLayout) {
  for (DType dtype : {kFloat32, kBFloat16}) {
    const Tensor x = values({6, 8, 24}, dtype);
    const Tensor gpu = x.cuda();
    compare(gpu.permute({2, 0, 1}), x.permute({2, 0, 1}), "permuted");
    compare(gpu.slice(2, 0, 16), x.slice(2, 0, 16), "rows of whole packs");
    compare(gpu.slice(2, 1, 18, 3), x.slice(2, 1, 18, 3), "steps");
    compare(gpu.slice(1, 2, 3).expand({6, 5, 24}), x.slice(1, 2, 3).expand({6, 5, 24}), "expanded");
    compare(gpu.view({-1}).slice(0, 1), x.view({-1}).slice(0, 1), "misaligned");
  }
}

TEST_P(CudaUnary, HasTheCpusDerivative) {
  const UnaryCase& op = GetParam();
  for (DType dtype : floating_dtypes_to_test()) {
    const Tensor x = values({9, 37}, dtype);
    const Tensor on_cpu = x.clone().requires_grad_(), on_gpu = x.cuda().requires_grad_();
    const Tensor y = op.function(on_cpu);
    if (!y.requires_grad()) return;
    const Tensor weights = randn({9, 37}).to(y.dtype());
    y.backward(weights);
    op.function(on_gpu).backward(weights.cuda());
    expect_close(on_gpu.grad(), on_cpu.grad(), 4 * factor_of(op.name) * tolerance_of(dtype),
                 concat(op.name, " ", dtype, ", seed ", kSeed));
  }
}

TEST_P(CudaUnary, TreatsSpecialValuesAsTheCpuDoes) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::string name = GetParam().name;
  const Tensor x =
      tensor({0.0, -0.0, kInfinity, -kInfinity, std::numeric_limits<double>::quiet_NaN(), 1.0, -1.0,
              0.5, 88.0, -88.0, 1e-30, 2.0, -2.0});
  for (DType dtype : {kFloat32, kFloat64}) {
    const Tensor typed = x.to(dtype);
    compare(typed.cuda(), typed, concat("special ", dtype));
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaUnary, ::testing::ValuesIn(unary_cases()),
                         [](const auto& row) { return std::string(row.param.name); });

// ---- Two inputs ---------------------------------------------------------------------------------

struct BinaryCase {
  const char* name;
  Tensor (*function)(const Tensor&, const Tensor&);
  bool integers_only = false;
};

std::vector<BinaryCase> binary_cases() {
  using Function = Overload<const Tensor&, const Tensor&>;
  std::vector<BinaryCase> cases;
#define TAUT_BINARY(name, Functor) cases.push_back({#name, static_cast<Function>(&taut::name)});
#include "taut/ops/lists/arithmetic.def"
#undef TAUT_BINARY
#define TAUT_COMPARE(name, Functor) cases.push_back({#name, static_cast<Function>(&taut::name)});
#include "taut/ops/lists/compare.def"
#undef TAUT_COMPARE
  cases.push_back({"add", [](const Tensor& a, const Tensor& b) { return add(a, b, 2); }});
  cases.push_back({"sub", [](const Tensor& a, const Tensor& b) { return sub(a, b); }});
  cases.push_back({"clamp_min", [](const Tensor& a, const Tensor& b) { return clamp_min(a, b); }});
  cases.push_back({"clamp_max", [](const Tensor& a, const Tensor& b) { return clamp_max(a, b); }});
  cases.push_back({"lerp", [](const Tensor& a, const Tensor& b) { return lerp(a, b, 0.75); }});
  for (BinaryCase& row : cases) {
    const std::string name = row.name;
    row.integers_only = name.starts_with("bitwise") || name == "gcd" || name == "lcm";
  }
  return cases;
}

class CudaBinary : public GpuTest, public ::testing::WithParamInterface<BinaryCase> {
 protected:
  void compare(const Tensor& gpu_a, const Tensor& gpu_b, const Tensor& a, const Tensor& b,
               const std::string& what) {
    const BinaryCase& op = GetParam();
    Tensor expected;
    try {
      expected = op.function(a, b);
    } catch (const DTypeError&) {
      EXPECT_THROW(op.function(gpu_a, gpu_b), DTypeError) << op.name << " " << what;
      return;
    }
    expect_close(op.function(gpu_a, gpu_b), expected, concat(op.name, " ", what, ", seed ", kSeed));
  }
  void compare(const Tensor& a, const Tensor& b, const std::string& what) {
    compare(a.cuda(), b.cuda(), a, b, what);
  }
  Tensor positive(const Dims& shape, DType dtype) {
    return rand(shape, TensorOptions(kFloat64)).mul(2).add(0.25).to(dtype);
  }
};

TEST_P(CudaBinary, AgreesForFloats) {
  if (GetParam().integers_only) GTEST_SKIP() << "integers only";
  for (DType dtype : floating_dtypes_to_test()) {
    for (int64_t n : {0, 1, 5, 8, 33, 4099}) {
      compare(positive({n}, dtype), positive({n}, dtype), concat(dtype, " ", n));
    }
    const Tensor a = positive({4, 16, 32}, dtype), b = positive({4, 16, 32}, dtype);
    compare(a, positive({32}, dtype), concat(dtype, " row"));
    compare(a, positive({16, 1}, dtype), concat(dtype, " column"));
    compare(a, positive({}, dtype), concat(dtype, " scalar on the device"));
    compare(a.slice(2, 0, 31), positive({31}, dtype), concat(dtype, " odd row"));
    compare(a.transpose(0, 2), b.transpose(0, 2), concat(dtype, " transposed"));
    compare(a.transpose(1, 2), positive({4, 32, 16}, dtype), concat(dtype, " one transposed"));
  }
}

TEST_P(CudaBinary, AgreesForIntegers) {
  for (DType dtype : {kInt8, kInt16, kInt32, kInt64, kUInt8}) {
    const Tensor a = randint(dtype == kUInt8 ? 0 : -100, 120, {3, 41, 8}).to(dtype);
    const Tensor b = randint(1, 11, {3, 41, 8}).to(dtype);
    compare(a, b, concat(dtype, " flat"));
    compare(a.slice(2, 1), b.slice(2, 1), concat(dtype, " strided"));
    compare(a, b.slice(0, 0, 1), concat(dtype, " broadcast"));
  }
  // Those that divide refuse a false divisor on the CPU.
  const std::string name = GetParam().name;
  const bool divides = name == "fmod" || name == "remainder" || name == "floor_divide";
  const Tensor some = randint(0, 2, {77, 8}).to(kBool);
  const Tensor others = randint(divides ? 1 : 0, 2, {77, 8}).to(kBool);
  compare(some, others, "bool");
}

TEST_P(CudaBinary, MixesDtypes) {
  const DType dtypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt32, kInt64, kUInt8, kBool};
  for (DType first : dtypes) {
    for (DType second : dtypes) {
      const Tensor a = randint(1, 9, {5, 12}).to(first), b = randint(1, 3, {5, 12}).to(second);
      compare(a, b, concat(first, " with ", second));
    }
  }
}

TEST_P(CudaBinary, HasTheCpusDerivatives) {
  const BinaryCase& op = GetParam();
  if (op.integers_only) GTEST_SKIP() << "integers only";
  for (DType dtype : floating_dtypes_to_test()) {
    Tensor on_cpu[2], on_gpu[2];
    for (int i = 0; i < 2; ++i) {
      const Tensor x = positive({13, 21}, dtype);
      on_cpu[i] = x.clone().requires_grad_();
      on_gpu[i] = x.cuda().requires_grad_();
    }
    const Tensor y = op.function(on_cpu[0], on_cpu[1]);
    if (!y.requires_grad() || std::string(op.name) == "heaviside") return;
    const Tensor weights = randn({13, 21}).to(dtype);
    y.backward(weights);
    op.function(on_gpu[0], on_gpu[1]).backward(weights.cuda());
    for (int i = 0; i < 2; ++i) {
      if (!on_cpu[i].grad().defined()) continue;
      expect_close(on_gpu[i].grad(), on_cpu[i].grad(), 4 * tolerance_of(dtype),
                   concat(op.name, " by ", i, " ", dtype, ", seed ", kSeed));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, CudaBinary, ::testing::ValuesIn(binary_cases()),
                         [](const auto& row) { return std::string(row.param.name); });

// ---- Three inputs, losses, in place -------------------------------------------------------------

class CudaElementwise : public GpuTest {};

// float32 has a form of its own on CUDA.
TEST_F(CudaElementwise, GeluKeepsItsDigits) {
  const Tensor x = linspace(-9, 9, 40001).to(kFloat32);
  const Tensor on_cpu = x.to(kFloat64).requires_grad_(), on_gpu = x.cuda().requires_grad_();
  const Tensor expected = F::gelu(on_cpu), result = F::gelu(on_gpu);
  const Tensor grad = ones({40001}, TensorOptions(kFloat64));
  expected.backward(grad);
  result.backward(grad.to(kFloat32).cuda());
  EXPECT_LT(sub(result.cpu().to(kFloat64), expected).abs().max().item<double>(), 5e-7);
  EXPECT_LT(sub(on_gpu.grad().cpu().to(kFloat64), on_cpu.grad()).abs().max().item<double>(), 8e-7);
}

TEST_F(CudaElementwise, TakesThreeInputs) {
  for (DType dtype : floating_dtypes_to_test()) {
    const Tensor a = randn({7, 40}).to(dtype), b = randn({7, 40}).to(dtype);
    const Tensor c = rand({7, 40}).add(0.5).to(dtype);
    const Tensor mask = a > 0;
    const std::string what = concat(dtype, ", seed ", kSeed);
    expect_close(addcmul(a.cuda(), b.cuda(), c.cuda(), 0.5), addcmul(a, b, c, 0.5), what);
    expect_close(addcdiv(a.cuda(), b.cuda(), c.cuda(), 0.5), addcdiv(a, b, c, 0.5), what);
    expect_close(lerp(a.cuda(), b.cuda(), c.cuda()), lerp(a, b, c), what);
    expect_equal(where(mask.cuda(), b.cuda(), c.cuda()), where(mask, b, c), what);
    expect_equal(where(mask.cuda(), b.cuda(), 2.0), where(mask, b, 2.0), what);
    expect_equal(masked_fill(b.cuda(), mask.cuda(), -1), masked_fill(b, mask, -1), what);
    expect_equal(clamp(a.cuda(), b.cuda(), c.cuda()), clamp(a, b, c), what);
  }
  const Tensor i = arange(24).view({4, 6});
  expect_equal(masked_fill(i.cuda(), (i > 7).cuda(), 3), masked_fill(i, i > 7, 3), "int64");
}

TEST_F(CudaElementwise, WritesInPlaceAndToOtherDtypes) {
  const Tensor x = randn({12, 20});
  const Tensor gpu = x.cuda();
  const Tensor cpu = x.clone();
  gpu.slice(1, 3, 9).mul_(2).add_(gpu.slice(1, 3, 9));
  cpu.slice(1, 3, 9).mul_(2).add_(cpu.slice(1, 3, 9));
  expect_equal(gpu, cpu, "a slice");
  const Tensor half = x.to(kFloat16);
  const Tensor half_gpu = half.cuda();
  half_gpu.add_(x.cuda());
  expect_equal(half_gpu, half.clone().add_(x), "float16 += float32");
  const Tensor answers = x.clone();
  const Tensor answers_gpu = x.cuda();
  gt_(answers_gpu, 0.25);
  gt_(answers, 0.25);
  expect_equal(answers_gpu, answers, "a comparison in a float tensor");
}

TEST_F(CudaElementwise, RepeatsBitForBit) {
  const Tensor x = randn({1 << 16}).cuda();
  const Tensor once = tanh(x).mul(x), again = tanh(x).mul(x);
  EXPECT_TRUE(equal(once.cpu(), again.cpu()));
}

// Some 6 GB: run with --gtest_also_run_disabled_tests.
TEST_F(CudaElementwise, DISABLED_CrossesIndicesOf31Bits) {
  constexpr int64_t kElements = (int64_t{1} << 31) + 72;
  const Tensor x = empty({kElements}, TensorOptions(kUInt8).device(kCUDA));
  x.fill_(3);
  x.slice(0, kElements - 8).fill_(5);
  const Tensor sum = x + x;
  EXPECT_TRUE(equal(sum.slice(0, kElements - 9).cpu(),
                    tensor({6, 10, 10, 10, 10, 10, 10, 10, 10}, TensorOptions(kUInt8))));
  // No longer one flat run: a launch for each half.
  const Tensor rows = x.view({2, kElements / 2});
  rows.add_(x.slice(0, 0, 2).view({2, 1}));
  EXPECT_TRUE(
      equal(x.slice(0, kElements - 9, kElements - 7).cpu(), tensor({6, 8}, TensorOptions(kUInt8))));
  EXPECT_TRUE(equal(x.slice(0, 0, kElements, 2).contiguous().slice(0, kElements / 2 - 5).cpu(),
                    tensor({6, 8, 8, 8, 8}, TensorOptions(kUInt8))));
}

TEST_F(CudaElementwise, NamesTheOpThatHasNoKernelForADtype) {
  const Tensor x = ones({3}, TensorOptions(kBool)).cuda();
  EXPECT_THROW(neg(x), DTypeError);
}

}  // namespace
}  // namespace taut::testing
