// Softmax, log-softmax and cross entropy on CUDA against the CPU: rows of every length that has a
// kernel of its own, both sides of inner, and rows without finite elements.

#include <cmath>
#include <limits>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class CudaSoftmax : public GpuTest {
 protected:
  // Both functions and their gradients over `dim`.
  void compare(const Tensor& x, int64_t dim, const std::string& what) {
    const auto apply = [&](bool is_log, const Tensor& on) {
      return is_log ? log_softmax(on, dim) : softmax(on, dim);
    };
    for (bool is_log : {false, true}) {
      const Tensor cpu = x.clone().requires_grad_(), gpu = x.cuda().requires_grad_();
      const Tensor expected = apply(is_log, cpu), result = apply(is_log, gpu);
      const std::string name = concat(is_log ? "log_softmax " : "softmax ", what, ", seed ", kSeed);
      expect_close(result, expected, 2 * tolerance_of(x.dtype()), name);
      const Tensor grad = randn(x.shape()).to(x.dtype());
      expected.backward(grad);
      result.backward(grad.cuda());
      // The gradient of log_softmax sums the row: its error grows with it.
      const double room = 4 + std::sqrt(static_cast<double>(x.size(dim))) / 8;
      expect_close(gpu.grad(), cpu.grad(), room * tolerance_of(x.dtype()), name + " gradient");
    }
  }
};

TEST_F(CudaSoftmax, DISABLED_CrossesIndicesOf31Bits) {
  constexpr int64_t kCols = 4096, kRows = (int64_t{1} << 31) / kCols + 3;
  if (cuda::mem_get_info().free < 5 * kRows * kCols) GTEST_SKIP() << "too little memory";
  const Tensor x = zeros({kRows, kCols}, TensorOptions(kBFloat16).device(kCUDA));
  const Tensor last = x.slice(0, kRows - 1);
  last.copy_(randn({1, kCols}).to(kBFloat16));
  const Tensor y = softmax(x, -1);
  expect_close(y.slice(0, kRows - 1), softmax(last.cpu(), -1), "the last row");
  expect_close(y.slice(0, 0, 1), softmax(zeros({1, kCols}, kBFloat16), -1), "the first row");
}

TEST_F(CudaSoftmax, TakesRowsOfAnyLength) {
  for (DType dtype : floating_dtypes_to_test()) {
    for (int64_t n : {1, 2, 3, 8, 10, 31, 33, 64, 256, 257, 1000, 1024, 4096, 8191, 8192}) {
      compare(randn({5, n}).mul(3).to(dtype), 1, concat(dtype, " (5, ", n, ")"));
    }
  }
  for (int64_t n : {8193, 16384, 16400, 32768, 32769, 100003}) {
    compare(randn({3, n}), 1, concat("(3, ", n, ")"));
    compare(randn({3, n}).to(kBFloat16), 1, concat("bfloat16 (3, ", n, ")"));
  }
  compare(randn({1, 3000001}), 1, "one long row");
}

TEST_F(CudaSoftmax, TakesManyShortRows) {
  for (int64_t n : {1, 4, 10, 17}) compare(randn({10007, n}), 1, concat("(10007, ", n, ")"));
}

TEST_F(CudaSoftmax, TakesAnyDim) {
  for (DType dtype : floating_dtypes_to_test()) {
    compare(randn({4, 7, 33}).to(dtype), 1, concat(dtype, " (4, 7, 33) by 1"));
    compare(randn({129, 3, 5}).to(dtype), 0, concat(dtype, " (129, 3, 5) by 0"));
    compare(randn({2, 1000, 40}).to(dtype), 1, concat(dtype, " (2, 1000, 40) by 1"));
    compare(randn({2, 1, 40}).to(dtype), 1, concat(dtype, " (2, 1, 40) by 1"));
  }
  EXPECT_EQ(softmax(zeros({0, 3}, TensorOptions(kCUDA)), 1).numel(), 0);
  EXPECT_EQ(softmax(zeros({3, 0}, TensorOptions(kCUDA)), 1).numel(), 0);
}

TEST_F(CudaSoftmax, TreatsInfinitiesAndNaNAsTheCpuDoes) {
  for (int64_t n : {5, 300, 9000, 40000}) {
    const Tensor x = randn({6, n});
    x.select(0, 0).slice(0, 0, 3).fill_(-kInfinity);
    x.select(0, 1).fill_(-kInfinity);
    x.select(0, 2).slice(0, 1, 2).fill_(kInfinity);
    x.select(0, 3).slice(0, n - 1, n).fill_(std::numeric_limits<double>::quiet_NaN());
    x.select(0, 4).fill_(1e30);
    const Tensor gpu = x.cuda();
    expect_close(softmax(gpu, 1), softmax(x, 1), concat("softmax ", n));
    expect_close(log_softmax(gpu, 1), log_softmax(x, 1), concat("log_softmax ", n));
    expect_close(softmax(gpu.t().contiguous(), 0), softmax(x.t().contiguous(), 0),
                 concat("softmax by 0 of ", n));
  }
}

struct LossCase {
  int64_t rows, classes;
  bool weighted;
  double smoothing;
};

TEST_F(CudaSoftmax, HasTheCpusCrossEntropy) {
  const LossCase cases[] = {{7, 3, false, 0},      {64, 10, true, 0},    {33, 1000, false, 0.1},
                            {19, 1000, true, 0.2}, {3, 50257, false, 0}, {3, 50304, true, 0.1},
                            {1025, 1, false, 0},   {1, 8, false, 0},     {4097, 12, true, 0.3}};
  for (DType dtype : floating_dtypes_to_test()) {
    for (const LossCase& row : cases) {
      const Tensor x = randn({row.rows, row.classes}).mul(2).to(dtype);
      const Tensor target = randint(0, row.classes, {row.rows});
      target.slice(0, 0, row.rows, 5).fill_(row.rows > 1 ? -100 : 0);
      const Tensor weight = row.weighted ? rand({row.classes}).add(0.5).to(dtype) : Tensor();
      for (auto reduction : {F::Reduction::none, F::Reduction::sum, F::Reduction::mean}) {
        const auto loss = [&](const Tensor& logits, const Tensor& targets, const Tensor& weights) {
          return F::cross_entropy(logits, targets, weights, -100, reduction, row.smoothing);
        };
        const Tensor cpu = x.clone().requires_grad_(), gpu = x.cuda().requires_grad_();
        const Tensor expected = loss(cpu, target, weight);
        const Tensor result = loss(gpu, target.cuda(), weight.defined() ? weight.cuda() : Tensor());
        const std::string what = concat(dtype, " (", row.rows, ", ", row.classes, ") smoothing ",
                                        row.smoothing, ", seed ", kSeed);
        expect_close(result, expected, 4 * tolerance_of(dtype), what);
        const Tensor grad = ones(expected.shape(), TensorOptions(dtype));
        expected.backward(grad);
        result.backward(grad.cuda());
        expect_close(gpu.grad(), cpu.grad(), 4 * tolerance_of(dtype), what + " gradient");
      }
    }
  }
}

TEST_F(CudaSoftmax, RepeatsBitForBit) {
  const Tensor x = randn({257, 5003}).cuda();
  const Tensor target = randint(0, 5003, {257}).cuda();
  EXPECT_TRUE(equal(softmax(x, 1).cpu(), softmax(x, 1).cpu()));
  EXPECT_TRUE(equal(F::cross_entropy(x, target).cpu(), F::cross_entropy(x, target).cpu()));
}

TEST_F(CudaSoftmax, TellsOfAnInvalidTarget) {
  const Tensor x = randn({4, 3}).cuda();
  const Tensor target = tensor({0, 7, 2, 1}, TensorOptions(kInt64)).cuda();
  const Tensor loss = F::cross_entropy(x, target, Tensor(), -100, F::Reduction::none);
  EXPECT_THROW(loss.cpu(), IndexError);
  EXPECT_EQ(loss.cpu().select(0, 1).item().to_double(), 0);
}

}  // namespace
}  // namespace taut::testing
