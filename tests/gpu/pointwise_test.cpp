// The elementwise ops that CUDA has, against the CPU: values, dtypes, strides, derivatives,
// refusals.

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut {
namespace {

struct UnaryOp {
  const char* name;
  Tensor (*function)(const Tensor&);
  double low;
};

const UnaryOp kOps[] = {
    {"exp", exp, -3},      {"exp2", exp2, -3},     {"expm1", expm1, -3}, {"log", log, 0.1},
    {"log10", log10, 0.1}, {"log1p", log1p, -0.5}, {"log2", log2, 0.1},  {"sigmoid", sigmoid, -3},
};

class CudaPointwise : public ::testing::TestWithParam<UnaryOp> {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(11);
  }
};

void expect_close(const Tensor& gpu, const Tensor& cpu, double tolerance, const std::string& what) {
  ASSERT_TRUE(gpu.is_cuda()) << what;
  ASSERT_EQ(gpu.dtype(), cpu.dtype()) << what;
  EXPECT_TRUE(allclose(gpu.cpu().to(kFloat64), cpu.to(kFloat64), tolerance, tolerance)) << what;
}

TEST_P(CudaPointwise, AgreesWithTheCpuInEveryDtype) {
  const UnaryOp& op = GetParam();
  struct {
    DType dtype;
    double tolerance;
  } const rows[] = {{kFloat32, 1e-5}, {kFloat64, 1e-12}, {kFloat16, 2e-3}, {kBFloat16, 1e-2}};
  for (const auto& [dtype, tolerance] : rows) {
    for (const Dims& shape : {Dims{}, Dims{0, 3}, Dims{1001}, Dims{7, 33, 5}}) {
      const Tensor x = normal(0.0, 1.0, shape).abs().add(op.low).to(dtype);
      expect_close(op.function(x.cuda()), op.function(x), tolerance,
                   taut::concat(op.name, " ", dtype, " ", shape));
    }
  }
  const Tensor integers = arange(1, 20);
  expect_close(op.function(integers.cuda()), op.function(integers), 1e-5, op.name);
}

TEST_P(CudaPointwise, TakesAnyStrides) {
  const UnaryOp& op = GetParam();
  const Tensor x = normal(0.0, 1.0, {6, 8, 10}).abs().add(op.low);
  const Tensor gpu = x.cuda();
  const auto both = [&](const Tensor& on_gpu, const Tensor& on_cpu, const char* what) {
    expect_close(op.function(on_gpu), op.function(on_cpu), 1e-5, taut::concat(op.name, " ", what));
  };
  both(gpu.permute({2, 0, 1}), x.permute({2, 0, 1}), "permuted");
  both(gpu.slice(2, 1, 10, 3), x.slice(2, 1, 10, 3), "sliced");
  both(gpu.select(1, 3), x.select(1, 3), "selected");
  both(gpu.slice(1, 1, 2).expand({6, 4, 10}), x.slice(1, 1, 2).expand({6, 4, 10}), "expanded");
  // One element off: no longer aligned to 16 bytes.
  both(gpu.view({-1}).slice(0, 1), x.view({-1}).slice(0, 1), "misaligned");
}

TEST_P(CudaPointwise, HasTheCpusDerivative) {
  const UnaryOp& op = GetParam();
  const Tensor x = normal(0.0, 1.0, {33, 5}).abs().add(op.low);
  const Tensor weights = normal(0.0, 1.0, {33, 5});
  const Tensor on_cpu = x.clone().requires_grad_();
  const Tensor on_gpu = x.cuda().requires_grad_();
  op.function(on_cpu).backward(weights);
  op.function(on_gpu).backward(weights.cuda());
  expect_close(on_gpu.grad(), on_cpu.grad(), 1e-4, op.name);
}

TEST_P(CudaPointwise, WritesInPlace) {
  const UnaryOp& op = GetParam();
  const Tensor x = normal(0.0, 1.0, {4, 6}).abs().add(op.low);
  const Tensor gpu = x.cuda();
  if (std::string(op.name) != "exp") GTEST_SKIP() << "one op stands for all";
  gpu[1].exp_();
  const Tensor expected = x.clone();
  expected[1].exp_();
  expect_close(gpu, expected, 1e-5, op.name);
}

INSTANTIATE_TEST_SUITE_P(Exponential, CudaPointwise, ::testing::ValuesIn(kOps),
                         [](const auto& param_info) { return std::string(param_info.param.name); });

TEST(Cuda, CopiesBetweenDevicesLayoutsAndDtypes) {
  if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  const Tensor x = arange(24).view({2, 3, 4});
  EXPECT_TRUE(equal(x.cuda().cpu(), x));
  EXPECT_TRUE(equal(x.cuda().permute({2, 0, 1}).contiguous().cpu(), x.permute({2, 0, 1})));
  EXPECT_TRUE(equal(x.cuda().to(kFloat16).cpu(), x.to(kFloat16)));
  EXPECT_TRUE(equal(x.transpose(0, 2).cuda().cpu(), x.transpose(0, 2)));
  EXPECT_TRUE(equal(arange(24, TensorOptions(kCUDA)).cpu(), arange(24)));
  EXPECT_TRUE(equal(full({3}, 2.5, TensorOptions(kCUDA)).cpu(), full({3}, 2.5)));
}

TEST(Cuda, RefusesTensorsOfTwoDevices) {
  if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  const Tensor x = ones({2, 2}, TensorOptions(kCUDA));
  EXPECT_THROW(exp(x).add(ones({2, 2})), DeviceError);
  EXPECT_THROW(matmul(x, ones({2, 2})), DeviceError);
}

}  // namespace
}  // namespace taut
