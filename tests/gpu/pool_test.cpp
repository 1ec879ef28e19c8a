// Pooling and its gradients on CUDA against the CPU: windows that overlap, leave gaps, hang over
// the edge or lie outside, in 1 to 3 dims, with ties and NaN.

#include <limits>
#include <utility>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;
struct Case {
  const char* name;
  Dims shape;
  Dims kernel, stride, padding, dilation;
  bool ceil_mode;
};

const Case kCases[] = {
    {"halves", {2, 3, 32, 48}, {2}, {2}, {0}, {1}, false},
    {"overlapping", {2, 5, 17, 23}, {3}, {2}, {1}, {1}, false},
    {"dilated", {2, 3, 19, 21}, {3, 2}, {1, 2}, {1, 1}, {2, 3}, false},
    {"with gaps", {3, 20, 21}, {2}, {3}, {0}, {1}, false},
    {"rounded up", {2, 2, 14, 15}, {3}, {2}, {1}, {1}, true},
    {"one element", {1, 1, 1, 1}, {1}, {1}, {0}, {1}, false},
    {"no batch", {0, 3, 8, 8}, {2}, {2}, {0}, {1}, false},
    {"one dim", {4, 6, 1000}, {5}, {3}, {2}, {1}, false},
    {"three dims", {2, 2, 7, 9, 11}, {3, 2, 3}, {2, 1, 2}, {1, 1, 0}, {1}, true},
};

int spatial_dims(const Case& row) {
  return std::string(row.name) == "one dim" ? 1 : std::string(row.name) == "three dims" ? 3 : 2;
}

class CudaPool : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(23);
  }
};

std::pair<Tensor, Tensor> max_pool(const Tensor& x, const Case& row) {
  return F::max_pool_with_indices(spatial_dims(row), x, row.kernel, row.stride, row.padding,
                                  row.dilation, row.ceil_mode);
}

Tensor avg_pool(const Tensor& x, const Case& row, bool count_include_pad) {
  switch (spatial_dims(row)) {
    case 1:
      return F::avg_pool1d(x, row.kernel, row.stride, row.padding, row.ceil_mode,
                           count_include_pad);
    case 2:
      return F::avg_pool2d(x, row.kernel, row.stride, row.padding, row.ceil_mode,
                           count_include_pad);
    default:
      return F::avg_pool3d(x, row.kernel, row.stride, row.padding, row.ceil_mode,
                           count_include_pad);
  }
}

// The same with channels last, which the result keeps.
template <class Pool>
void compare_channels_last(const Tensor& x, const Tensor& grad, const Tensor& output,
                           const Tensor& grad_input, const Pool& pool, double tolerance,
                           const std::string& what) {
  const auto last = MemoryFormat::channels_last;
  const Tensor images = x.cuda().contiguous(last).requires_grad_();
  const Tensor result = pool(images);
  EXPECT_TRUE(result.is_contiguous(last)) << what;
  expect_close(result.detach(), output, tolerance, what + " channels last");
  result.backward(grad.cuda());
  EXPECT_TRUE(images.grad().is_contiguous(last)) << what;
  expect_close(images.grad(), grad_input, 8 * tolerance, what + " channels last, grad");
}

// Runs `pool` forward and backward on both devices.
template <class Pool>
void compare(const Tensor& x, const Pool& pool, double tolerance, const std::string& what) {
  const Tensor on_cpu = x.clone().requires_grad_();
  const Tensor on_gpu = x.cuda().requires_grad_();
  const Tensor cpu_output = pool(on_cpu), gpu_output = pool(on_gpu);
  expect_close(gpu_output.detach(), cpu_output.detach(), tolerance, what);
  const Tensor grad = randn(cpu_output.shape()).to(x.dtype());
  cpu_output.backward(grad);
  gpu_output.backward(grad.cuda());
  expect_close(on_gpu.grad(), on_cpu.grad(), 8 * tolerance, what + " grad");
  const Tensor again = x.cuda().requires_grad_();
  pool(again).backward(grad.cuda());
  expect_same_bits(again.grad(), on_gpu.grad(), what);
  if (x.dim() < 4) return;
  compare_channels_last(x, grad, cpu_output.detach(), on_cpu.grad(), pool, tolerance, what);
}

TEST_F(CudaPool, TakesMaximaAndTheirGradients) {
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const Case& row : kCases) {
      const std::string what = taut::concat("max ", row.name, " ", dtype);
      const Tensor x = randint(-9, 10, row.shape).to(dtype);  // with ties
      const auto [values, indices] = max_pool(x, row);
      const auto [gpu_values, gpu_indices] = max_pool(x.cuda(), row);
      expect_equal(gpu_values, values, what);
      expect_equal(gpu_indices, indices, what);
      compare(
          x, [&](const Tensor& t) { return max_pool(t, row).first; }, tolerance_of(dtype), what);
    }
  }
  for (const DType dtype : {kInt8, kInt16, kInt32, kInt64, kUInt8}) {
    const Tensor x = randint(0, 20, {2, 3, 17, 9}).to(dtype);
    expect_equal(max_pool(x.cuda(), kCases[1]).first, max_pool(x, kCases[1]).first, "integers");
  }
}

TEST_F(CudaPool, FindsTheLastNan) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor x = tensor({1.0, nan, nan, 2.0, nan, 3.0, -std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()})
                       .view({1, 1, 2, 4});
  const auto [values, indices] = F::max_pool_with_indices(2, x, {2}, Dims{1}, {1}, {1}, false);
  const auto [gpu_values, gpu_indices] =
      F::max_pool_with_indices(2, x.cuda(), {2}, Dims{1}, {1}, {1}, false);
  expect_equal(gpu_values, values, "values");
  expect_equal(gpu_indices, indices, "indices");
  const auto [largest, at] = F::adaptive_max_pool_with_indices(2, x, 1);
  const auto [gpu_largest, gpu_at] = F::adaptive_max_pool_with_indices(2, x.cuda(), 1);
  expect_equal(gpu_largest, largest, "adaptive values");
  expect_equal(gpu_at, at, "adaptive indices");
}

TEST_F(CudaPool, AveragesAndTheirGradients) {
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const Case& row : kCases) {
      for (const bool count_include_pad : {true, false}) {
        compare(
            randn(row.shape).to(dtype),
            [&](const Tensor& t) { return avg_pool(t, row, count_include_pad); },
            tolerance_of(dtype), taut::concat("average ", row.name, " ", dtype));
      }
    }
  }
  compare(
      randn({2, 3, 9, 9}),
      [](const Tensor& t) { return F::avg_pool2d(t, {3}, Dims{2}, {1}, false, true, 5); }, 1e-5,
      "a divisor of one's own");
}

TEST_F(CudaPool, AdaptsItsWindows) {
  const struct {
    Dims shape, output;
  } cases[] = {
      {{2, 3, 14, 14}, {7, 7}}, {{2, 3, 10, 13}, {3, 5}}, {{2, 3, 5, 4}, {8, 9}},
      {{3, 8, 40, 31}, {1, 1}}, {{2, 3, 30, 40}, {1, 4}}, {{2, 7, 7}, {2, 2}},
      {{1, 2, 1, 1}, {1, 1}},
  };
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const auto& [shape, output] : cases) {
      const std::string what = taut::concat("adaptive ", shape, " to ", output, " ", dtype);
      compare(
          randn(shape).to(dtype),
          [&, &size = output](const Tensor& t) { return F::adaptive_avg_pool2d(t, size); },
          tolerance_of(dtype), what);
      const Tensor x = randint(-9, 10, shape).to(dtype);
      compare(
          x, [&, &size = output](const Tensor& t) { return F::adaptive_max_pool2d(t, size); },
          tolerance_of(dtype), what);
      expect_equal(F::adaptive_max_pool_with_indices(2, x.cuda(), output).second,
                   F::adaptive_max_pool_with_indices(2, x, output).second, what);
    }
  }
}

}  // namespace
}  // namespace taut::testing
