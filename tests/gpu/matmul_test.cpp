// Products on a GPU against the CPU's in float64.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "taut/core/cuda.h"
#include "taut/taut.h"

namespace taut {
namespace {

namespace F = nn::functional;

class CudaMatmul : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(5);
  }
};

double error_of(const Tensor& gpu, const Tensor& reference) {
  const Tensor difference = gpu.cpu().to(kFloat64) - reference;
  const double scale = std::max(linalg::vector_norm(reference).item<double>(), 1e-30);
  return linalg::vector_norm(difference).item<double>() / scale;
}

struct Precision {
  DType dtype;
  double tolerance;
};
constexpr Precision kPrecisions[] = {
    {kFloat32, 1e-6}, {kFloat64, 1e-14}, {kFloat16, 1e-3}, {kBFloat16, 6e-3}};

TEST_F(CudaMatmul, MultipliesEveryShapeAndDtype) {
  for (const auto& [dtype, tolerance] : kPrecisions) {
    for (const auto& [m, n, k] : {std::array{1, 1, 1},
                                  {3, 5, 7},
                                  {64, 10, 128},
                                  {129, 257, 65},
                                  {1, 300, 200},
                                  {300, 1, 200},
                                  {256, 256, 256}}) {
      const Tensor a = randn({m, k}).to(dtype);
      const Tensor b = randn({k, n}).to(dtype);
      const Tensor expected = matmul(a.to(kFloat64), b.to(kFloat64));
      EXPECT_LT(error_of(matmul(a.cuda(), b.cuda()), expected), tolerance)
          << concat(dtype, " ", m, " ", n, " ", k);
    }
  }
}

TEST_F(CudaMatmul, TakesOperandsWhereTheyLie) {
  const Tensor a = randn({48, 64});
  const Tensor b = randn({64, 40});
  const Tensor x = a.cuda();
  const Tensor y = b.cuda();
  const auto check = [](const Tensor& gpu_a, const Tensor& gpu_b, const char* what) {
    const Tensor expected = matmul(gpu_a.cpu().to(kFloat64), gpu_b.cpu().to(kFloat64));
    EXPECT_LT(error_of(matmul(gpu_a, gpu_b), expected), 1e-6) << what;
  };
  check(y.t(), x.t(), "both transposed");
  check(x, randn({40, 64}).cuda().t(), "right transposed");
  check(x.slice(1, 0, 64, 2), y.slice(0, 0, 64, 2), "every second");
  check(x.slice(0, 1, 40, 3), y.slice(1, 3), "sliced");
  check(x.select(0, 0).expand({10, 64}), y, "expanded");
  check(x.view({-1}).slice(0, 1, 1 + 32 * 64).view({32, 64}), y, "misaligned");
}

TEST_F(CudaMatmul, Batches) {
  const Tensor a = randn({2, 3, 8, 16});
  const Tensor b = randn({2, 3, 16, 4});
  const auto check = [](const Tensor& left, const Tensor& right, const char* what) {
    const Tensor expected = matmul(left.to(kFloat64), right.to(kFloat64));
    EXPECT_LT(error_of(matmul(left.cuda(), right.cuda()), expected), 1e-6) << what;
  };
  check(a, b, "contiguous");
  check(a, b.select(0, 1).unsqueeze(0), "broadcast");
  check(a.select(1, 0), b.select(1, 2), "one step apart");
  check(a, randn({16, 4}), "one right operand");
  // (batch, length, heads, width) seen as (batch, heads, length, width).
  const Tensor q = randn({40, 6, 3, 8}).cuda().transpose(1, 2);
  const Tensor k = randn({40, 6, 3, 8}).cuda().transpose(1, 2);
  const Tensor expected = matmul(q.cpu().to(kFloat64), k.cpu().to(kFloat64).transpose(2, 3));
  EXPECT_LT(error_of(matmul(q, k.transpose(2, 3)), expected), 1e-6);
}

TEST_F(CudaMatmul, Integers) {
  for (DType dtype : {kInt8, kInt16, kInt32, kInt64, kUInt8}) {
    const Tensor a = randint(0, 100, {17, 33}).to(dtype);
    const Tensor b = randint(0, 100, {33, 9}).to(dtype);
    EXPECT_TRUE(equal(matmul(a.cuda(), b.cuda()).cpu(), matmul(a, b))) << concat(dtype);
  }
}

TEST_F(CudaMatmul, SumsOverNothing) {
  EXPECT_TRUE(equal(matmul(empty({3, 0}).cuda(), empty({0, 4}).cuda()).cpu(), zeros({3, 4})));
  EXPECT_EQ(matmul(empty({0, 3}).cuda(), empty({3, 4}).cuda()).shape(), (Dims{0, 4}));
}

TEST_F(CudaMatmul, LinearAddsItsBias) {
  for (const auto& [dtype, tolerance] : kPrecisions) {
    const Tensor x = randn({5, 33, 24}).to(dtype);
    const Tensor w = randn({40, 24}).to(dtype);
    const Tensor b = randn({40}).to(dtype);
    const Tensor expected = F::linear(x.to(kFloat64), w.to(kFloat64), b.to(kFloat64));
    EXPECT_LT(error_of(F::linear(x.cuda(), w.cuda(), b.cuda()), expected), tolerance)
        << concat(dtype);
    const Tensor wide = randn({80}).to(dtype).cuda().slice(0, 0, 80, 2);
    const Tensor other = F::linear(x.to(kFloat64), w.to(kFloat64), wide.cpu().to(kFloat64));
    EXPECT_LT(error_of(F::linear(x.cuda(), w.cuda(), wide), other), tolerance) << concat(dtype);
  }
}

TEST_F(CudaMatmul, DotsRepeatBitForBit) {
  const Tensor a = randn({1000003}).cuda();
  const Tensor b = randn({1000003}).cuda();
  const Tensor first = dot(a, b);
  EXPECT_NEAR(first.item<float>(), dot(a.cpu().to(kFloat64), b.cpu().to(kFloat64)).item<double>(),
              2.0);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(equal(dot(a, b).cpu(), first.cpu()));
  EXPECT_EQ(dot(empty({0}).cuda(), empty({0}).cuda()).item<float>(), 0.0f);
}

TEST_F(CudaMatmul, PrecisionIsAChoice) {
  const Tensor a = randn({512, 512});
  const Tensor b = randn({512, 512});
  const Tensor expected = matmul(a.to(kFloat64), b.to(kFloat64));
  EXPECT_LT(error_of(matmul(a.cuda(), b.cuda()), expected), 1e-6);
  set_float32_matmul_precision("high");
  EXPECT_LT(error_of(matmul(a.cuda(), b.cuda()), expected), 2e-3);
  set_float32_matmul_precision("medium");
  EXPECT_LT(error_of(matmul(a.cuda(), b.cuda()), expected), 1e-2);
  set_float32_matmul_precision("highest");
  EXPECT_THROW(set_float32_matmul_precision("exact"), ValueError);
  EXPECT_EQ(get_float32_matmul_precision(), "highest");
}

TEST_F(CudaMatmul, RunsOnEveryStream) {
  const Tensor a = randn({128, 128}).cuda();
  const Tensor expected = matmul(a.cpu().to(kFloat64), a.cpu().to(kFloat64));
  const cuda::StreamGuard guard(cuda::Stream::from_pool());
  cuda::current_stream().wait(cuda::Stream());
  EXPECT_LT(error_of(matmul(a, a), expected), 1e-6);
}

// ---- convolutions
// --------------------------------------------------------------------------------

struct ConvCase {
  const char* name;
  Dims input, weight, stride, padding, dilation;
  int64_t groups;
};
const ConvCase kConvCases[] = {
    {"1d", {2, 3, 17}, {4, 3, 3}, {2}, {1}, {1}, 1},
    {"2d", {4, 8, 14, 15}, {16, 8, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1},
    {"2d stride that leaves a rest", {2, 8, 8, 9}, {8, 8, 3, 3}, {2, 2}, {0, 1}, {1, 1}, 1},
    {"2d dilation and groups", {2, 8, 16, 16}, {16, 4, 3, 3}, {1, 2}, {2, 2}, {2, 2}, 2},
    {"2d depthwise", {2, 8, 12, 12}, {8, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 8},
    {"2d pointwise", {2, 8, 7, 7}, {24, 8, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1},
    {"3d", {2, 4, 6, 7, 8}, {8, 4, 3, 3, 3}, {1, 1, 2}, {1, 0, 1}, {1, 1, 1}, 1},
};

Tensor convolve(const ConvCase& at, const Tensor& x, const Tensor& w, const Tensor& b) {
  switch (at.stride.rank()) {
    case 1: return F::conv1d(x, w, b, at.stride, at.padding, at.dilation, at.groups);
    case 2: return F::conv2d(x, w, b, at.stride, at.padding, at.dilation, at.groups);
    default: return F::conv3d(x, w, b, at.stride, at.padding, at.dilation, at.groups);
  }
}

TEST_F(CudaMatmul, ConvolvesForwardAndBackward) {
  for (const ConvCase& at : kConvCases) {
    for (const auto& [dtype, tolerance] : kPrecisions) {
      for (const bool channels_last : {false, true}) {
        if (channels_last && at.stride.rank() == 1) continue;
        const MemoryFormat format =
            channels_last ? MemoryFormat::channels_last : MemoryFormat::contiguous;
        const Tensor x = randn(at.input).to(dtype);
        const Tensor w = randn(at.weight).to(dtype);
        const Tensor b = randn({at.weight[0]}).to(dtype);
        const auto leaf = [](const Tensor& tensor) { return tensor.clone().requires_grad_(); };
        const Tensor x64 = leaf(x.to(kFloat64)), w64 = leaf(w.to(kFloat64)),
                     b64 = leaf(b.to(kFloat64));
        const Tensor xg = leaf(contiguous(x.cuda(), format)), wg = leaf(w.cuda()),
                     bg = leaf(b.cuda());
        const Tensor expected = convolve(at, x64, w64, b64);
        const Tensor actual = convolve(at, xg, wg, bg);
        const std::string where = concat(at.name, " ", dtype, channels_last ? " last" : "");
        EXPECT_LT(error_of(actual.detach(), expected.detach()), tolerance) << where;
        const Tensor grad = randn(expected.shape()).to(dtype);
        expected.backward(grad.to(kFloat64));
        actual.backward(contiguous(grad.cuda(), format));
        EXPECT_LT(error_of(xg.grad(), x64.grad()), 2 * tolerance) << where << ", input";
        EXPECT_LT(error_of(wg.grad(), w64.grad()), 2 * tolerance) << where << ", weight";
        EXPECT_LT(error_of(bg.grad(), b64.grad()), 2 * tolerance) << where << ", bias";
      }
    }
  }
}

TEST_F(CudaMatmul, ConvolutionKeepsChannelsLast) {
  const Tensor x = contiguous(randn({2, 8, 6, 6}).cuda(), MemoryFormat::channels_last);
  const Tensor y = F::conv2d(x, randn({16, 8, 3, 3}).cuda());
  EXPECT_TRUE(y.is_contiguous(MemoryFormat::channels_last));
}

TEST_F(CudaMatmul, TransposedConvolutionIsTheInputsGradient) {
  const Tensor x = randn({2, 6, 5, 7});
  const Tensor w = randn({6, 4, 3, 3});
  const Tensor b = randn({4});
  const Tensor expected =
      F::conv_transpose2d(x.to(kFloat64), w.to(kFloat64), b.to(kFloat64), {2, 2}, {1, 1}, {1, 0});
  const Tensor actual = F::conv_transpose2d(x.cuda(), w.cuda(), b.cuda(), {2, 2}, {1, 1}, {1, 0});
  EXPECT_LT(error_of(actual, expected), 1e-6);
}

}  // namespace
}  // namespace taut
