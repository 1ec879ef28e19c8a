// What every op of the table must stand: derivatives against finite differences, once and twice,
// every floating dtype against float64, and inputs of any strides. TAUT_TEST_SEED repeats a draw.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/ops/op_cases.h"

namespace taut::testing {
namespace {

class OpTable : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override { RecordProperty("seed", std::to_string(seed())); }
  const OpCase& op() const { return all_cases()[GetParam()]; }
  std::string context() const { return concat(op().name, ", seed ", seed()); }
};

bool any_requires_grad(const Tensors& inputs) {
  for (const Tensor& input : inputs) {
    if (input.defined() && input.requires_grad()) return true;
  }
  return false;
}

TEST_P(OpTable, GradientMatchesFiniteDifferences) {
  const Tensors inputs = op().inputs();
  if (!op().has_gradient || !any_requires_grad(inputs)) GTEST_SKIP() << "no derivative";
  EXPECT_NO_THROW(autograd::gradcheck(op().call, inputs)) << context();
}

TEST_P(OpTable, SecondGradientMatchesFiniteDifferences) {
  const Tensors inputs = op().inputs();
  if (!op().has_second_gradient || !op().has_gradient || !any_requires_grad(inputs)) {
    GTEST_SKIP() << "no second derivative";
  }
  autograd::GradcheckOptions options;
  options.atol = 1e-4;
  EXPECT_NO_THROW(autograd::gradgradcheck(op().call, inputs, options)) << context();
}

// The same elements behind other strides: dims in reverse order, every second element.
Tensor strided_copy(const Tensor& input) {
  const NoGradGuard no_grad;
  Dims reversed;
  for (int i = input.dim() - 1; i >= 0; --i) reversed.push_back(i);
  Tensor wide =
      repeat_interleave(input.detach().permute(reversed).contiguous().unsqueeze(-1), 2, -1);
  return wide.select(-1, 1).permute(reversed);
}

void expect_close(const Tensor& actual, const Tensor& expected, double rtol, double atol,
                  const std::string& context) {
  ASSERT_EQ(actual.shape(), expected.shape()) << context;
  const Tensor a = actual.detach().to(kFloat64);
  const Tensor b = expected.detach().to(kFloat64);
  if (allclose(a, b, rtol, atol, /*equal_nan=*/true)) return;
  const Tensor difference = abs(sub(a, b));
  ADD_FAILURE() << context << ": differs by up to " << difference.max().item<double>();
}

TEST_P(OpTable, StridesDoNotMatter) {
  const NoGradGuard no_grad;
  const Tensors inputs = op().inputs();
  Tensors strided;
  for (const Tensor& input : inputs) strided.push_back(strided_copy(input));
  const Tensors expected = op().call(inputs);
  const Tensors actual = op().call(strided);
  ASSERT_EQ(actual.size(), expected.size()) << context();
  for (size_t i = 0; i < actual.size(); ++i) {
    expect_close(actual[i], expected[i], 1e-12, 1e-12, context());
  }
}

struct Tolerance {
  DType dtype;
  double relative;
};

TEST_P(OpTable, EveryFloatingDtypeAgreesWithFloat64) {
  if (!op().all_floating_dtypes) GTEST_SKIP() << "float64 only";
  const NoGradGuard no_grad;
  for (const auto& [dtype, relative] :
       {Tolerance{kFloat32, 1e-5}, Tolerance{kFloat16, 4e-3}, Tolerance{kBFloat16, 3e-2}}) {
    // What the narrow dtype can hold is what float64 must start from too.
    Tensors narrow_inputs;
    Tensors wide_inputs;
    for (const Tensor& input : op().inputs()) {
      const bool floating = input.is_floating_point();
      narrow_inputs.push_back(floating ? input.detach().to(dtype) : input);
      wide_inputs.push_back(floating ? narrow_inputs.back().to(kFloat64) : input);
    }
    const Tensors expected = op().call(wide_inputs);
    const Tensors actual = op().call(narrow_inputs);
    ASSERT_EQ(actual.size(), expected.size()) << context();
    for (size_t i = 0; i < actual.size(); ++i) {
      if (!expected[i].is_floating_point()) continue;
      const double scale =
          expected[i].numel() == 0 ? 1.0 : std::max(1.0, abs(expected[i]).max().item<double>());
      const double tolerance = relative * op().tolerance_factor;
      expect_close(actual[i], expected[i], tolerance, tolerance * scale,
                   concat(context(), ", ", dtype));
    }
  }
}

// A GPU gives the CPU's numbers and derivatives, up to the order of sums.
TEST_P(OpTable, GpuAgreesWithTheCpu) {
  if (test_device().is_cpu()) GTEST_SKIP() << "TAUT_TEST_DEVICE names no GPU";
  const auto run = [&](const Tensors& inputs, Tensors& outputs, Tensors& grads) {
    outputs = op().call(inputs);
    Tensor total;
    for (const Tensor& output : outputs) {
      if (!output.requires_grad()) continue;
      const Tensor weights = cos(arange(output.numel(), TensorOptions(kFloat64)))
                                 .view(output.shape())
                                 .to(output.options().requires_grad(false));
      const Tensor part = sum(mul(output, weights));
      total = total.defined() ? add(total, part) : part;
    }
    if (!total.defined() || !op().has_gradient) return;
    total.backward();
    for (const Tensor& input : inputs) grads.push_back(input.grad());
  };
  const Tensors on_gpu = op().inputs();
  Tensors on_cpu;
  for (const Tensor& input : on_gpu) {
    on_cpu.push_back(input.defined() ? input.detach().cpu().requires_grad_(input.requires_grad())
                                     : input);
  }
  Tensors gpu_outputs, gpu_grads, cpu_outputs, cpu_grads;
  run(on_gpu, gpu_outputs, gpu_grads);
  try {
    run(on_cpu, cpu_outputs, cpu_grads);
  } catch (const DeviceError&) {
    GTEST_SKIP() << "the case holds tensors of its own on the device";
  }
  ASSERT_EQ(gpu_outputs.size(), cpu_outputs.size()) << context();
  for (size_t i = 0; i < gpu_outputs.size(); ++i) {
    EXPECT_TRUE(gpu_outputs[i].is_cuda()) << context();
    ASSERT_EQ(gpu_outputs[i].dtype(), cpu_outputs[i].dtype()) << context();
    expect_close(gpu_outputs[i].cpu(), cpu_outputs[i], 1e-9, 1e-11, context());
  }
  ASSERT_EQ(gpu_grads.size(), cpu_grads.size()) << context();
  for (size_t i = 0; i < gpu_grads.size(); ++i) {
    ASSERT_EQ(gpu_grads[i].defined(), cpu_grads[i].defined()) << context();
    if (gpu_grads[i].defined()) {
      expect_close(gpu_grads[i].cpu(), cpu_grads[i], 1e-9, 1e-11, context() + ", gradient");
    }
  }
}

std::string case_name(const ::testing::TestParamInfo<size_t>& info) {
  std::string name = all_cases()[info.param].name;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name + "_" + std::to_string(info.param);
}

INSTANTIATE_TEST_SUITE_P(All, OpTable, ::testing::Range<size_t>(0, all_cases().size()), case_name);

}  // namespace
}  // namespace taut::testing
