// Layers whose gradients a GPU makes in the epilogues of products, against the CPU in float64.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/api/matmul.h"
#include "taut/core/cuda.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;
using kernels::Activation;
using kernels::FusedGemmArgs;
using kernels::Fusion;

class CudaMlp : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(11);
  }
};

// The norm of the difference, as a part of the reference's.
double error_of(const Tensor& gpu, const Tensor& reference) {
  const Tensor difference = gpu.detach().cpu().to(kFloat64) - reference.detach();
  const double scale = linalg::vector_norm(reference.detach()).item<double>();
  return linalg::vector_norm(difference).item<double>() / std::max(scale, 1e-30);
}

struct Precision {
  DType dtype;
  double tolerance;
};
// What is rounded between the products is within a few last places of the 16-bit dtypes.
constexpr Precision kPrecisions[] = {
    {kFloat32, 5e-6}, {kFloat64, 1e-13}, {kFloat16, 3e-3}, {kBFloat16, 2e-2}};

// ---- The gradient of a bias ---------------------------------------------------------------------

struct LinearCase {
  const char* name;
  Dims input;
  int64_t out;
};
const LinearCase kLinearCases[] = {
    {"aligned", {64, 128}, 256}, {"three dims", {4, 33, 64}, 40}, {"odd", {37, 13}, 7},
    {"one row", {1, 64}, 32},    {"one column", {96, 32}, 1},     {"tall", {5000, 16}, 24},
    {"vector", {48}, 16},
};

TEST_F(CudaMlp, LinearGivesAllItsGradients) {
  for (const LinearCase& at : kLinearCases) {
    for (const auto& [dtype, tolerance] : kPrecisions) {
      const Tensor x = randn(at.input).to(dtype), w = randn({at.out, at.input.back()}).to(dtype),
                   b = randn({at.out}).to(dtype);
      for (unsigned wanted = 1; wanted < 8; ++wanted) {
        const auto leaf = [&](const Tensor& tensor, unsigned bit) {
          return tensor.clone().requires_grad_((wanted & bit) != 0);
        };
        const Tensor xg = leaf(x.cuda(), 1), wg = leaf(w.cuda(), 2), bg = leaf(b.cuda(), 4);
        const Tensor x64 = leaf(x.to(kFloat64), 1), w64 = leaf(w.to(kFloat64), 2),
                     b64 = leaf(b.to(kFloat64), 4);
        const Tensor output = F::linear(xg, wg, bg);
        const Tensor grad = randn(output.shape()).to(dtype);
        output.backward(grad.cuda());
        F::linear(x64, w64, b64).backward(grad.to(kFloat64));
        const std::string where = concat(at.name, " ", dtype, ", wanted ", wanted);
        const Tensor got[] = {xg.grad(), wg.grad(), bg.grad()};
        const Tensor expected[] = {x64.grad(), w64.grad(), b64.grad()};
        for (int i = 0; i < 3; ++i) {
          ASSERT_EQ(got[i].defined(), expected[i].defined()) << where;
          if (!got[i].defined()) continue;
          EXPECT_EQ(got[i].dtype(), dtype) << where;
          EXPECT_LT(error_of(got[i], expected[i]), tolerance) << where << ", input " << i;
        }
      }
    }
  }
}

// Gradients come in every layout: transposed, expanded from a sum, one element into their memory.
TEST_F(CudaMlp, LinearTakesGradientsAsTheyLie) {
  for (const auto& [dtype, tolerance] : kPrecisions) {
    const Tensor x = randn({64, 32}).to(dtype), w = randn({48, 32}).to(dtype);
    const Tensor grads[] = {randn({48, 64}).to(dtype).cuda().t(),
                            ones({1, 1}).to(dtype).cuda().expand({64, 48}),
                            randn({1 + 64 * 48}).to(dtype).cuda().slice(0, 1).view({64, 48}),
                            randn({64, 96}).to(dtype).cuda().slice(1, 0, 96, 2)};
    for (const Tensor& grad : grads) {
      const Tensor wg = w.cuda().clone().requires_grad_();
      const Tensor bg = zeros({48}).to(dtype).cuda().requires_grad_();
      F::linear(x.cuda(), wg, bg).backward(grad);
      const Tensor wide = grad.cpu().to(kFloat64);
      EXPECT_LT(error_of(wg.grad(), matmul(wide.t(), x.to(kFloat64))), tolerance);
      EXPECT_LT(error_of(bg.grad(), wide.sum({0})), tolerance);
    }
  }
}

// A sum in 16 bits would stop growing at 256 or 2048.
TEST_F(CudaMlp, BiasGradientsAreSummedInFloat32) {
  for (const DType dtype : {kFloat16, kBFloat16, kFloat32}) {
    const auto options = TensorOptions(dtype).device(kCUDA);
    const Tensor weight = ones({64, 32}, options).requires_grad_();
    const Tensor bias = zeros({64}, options).requires_grad_();
    F::linear(ones({16384, 32}, options), weight, bias).backward(ones({16384, 64}, options));
    expect_equal(bias.grad(), full({64}, 16384.0, TensorOptions(dtype)), "bias");
  }
}

TEST_F(CudaMlp, GradientsRepeatBitForBit) {
  for (const DType dtype : {kFloat32, kBFloat16}) {
    const auto options = TensorOptions(dtype).device(kCUDA);
    const Tensor x = randn({4096, 256}, options), w1 = randn({512, 256}, options),
                 w2 = randn({256, 512}, options), grad = randn({4096, 256}, options);
    Tensors first;
    for (int run = 0; run < 4; ++run) {
      Tensors leaves;
      for (const Tensor& tensor : {x, w1, w2, zeros({512}, options), zeros({256}, options)}) {
        leaves.push_back(tensor.clone().requires_grad_());
      }
      F::mlp(leaves[0], leaves[1], leaves[2], leaves[3], leaves[4], "gelu_tanh").backward(grad);
      for (size_t i = 0; i < leaves.size(); ++i) {
        if (run == 0) {
          first.push_back(leaves[i].grad());
        } else {
          expect_same_bits(leaves[i].grad(), first[i], concat(dtype, " input ", i));
        }
      }
    }
  }
}

// ---- mlp ----------------------------------------------------------------------------------------

struct MlpCase {
  const char* name;
  Dims input;
  int64_t hidden, out;
  bool has_bias1, has_bias2;
};
const MlpCase kMlpCases[] = {
    {"aligned", {64, 32}, 128, 32, true, true},
    {"three dims", {3, 21, 64}, 256, 64, true, true},
    {"odd", {5, 7}, 13, 3, true, true},
    {"no biases", {40, 24}, 96, 16, false, false},
    {"first bias", {40, 24}, 96, 16, true, false},
    {"odd hidden", {32, 16}, 36, 16, true, true},
    {"vector", {16}, 64, 8, true, true},
    {"large hidden layer", {1100, 24}, 1024, 16, true, true},
};
const char* const kActivations[] = {"relu", "gelu", "gelu_tanh"};

Tensors operands_of(const MlpCase& at, DType dtype) {
  const int64_t in = at.input.back();
  const double scale = 1 / std::sqrt(static_cast<double>(in));
  Tensors operands{randn(at.input).to(dtype), (randn({at.hidden, in}) * scale).to(dtype),
                   (randn({at.out, at.hidden}) * scale).to(dtype), Tensor(), Tensor()};
  if (at.has_bias1) operands[3] = randn({at.hidden}).to(dtype);
  if (at.has_bias2) operands[4] = randn({at.out}).to(dtype);
  return operands;
}

Tensor mlp_of(TensorList in, const std::string& activation) {
  return F::mlp(in[0], in[1], in[2], in[3], in[4], activation);
}

// Leaves of these values there; bit i of `wanted` says whether i requires grad.
Tensors leaves_of(const Tensors& operands, unsigned wanted, Device device, DType dtype) {
  Tensors leaves;
  for (size_t i = 0; i < operands.size(); ++i) {
    const Tensor& from = operands[i];
    leaves.push_back(from.defined() ? from.detach().to(device).to(dtype).clone().requires_grad_(
                                          (wanted >> i & 1u) != 0)
                                    : from);
  }
  return leaves;
}

TEST_F(CudaMlp, AgreesWithFloat64) {
  for (const MlpCase& at : kMlpCases) {
    for (const char* activation : kActivations) {
      for (const auto& [dtype, tolerance] : kPrecisions) {
        const Tensors operands = operands_of(at, dtype);
        const Tensors gpu = leaves_of(operands, 31, kCUDA, dtype);
        const Tensors cpu = leaves_of(operands, 31, kCPU, kFloat64);
        const Tensor output = mlp_of(gpu, activation), expected = mlp_of(cpu, activation);
        const std::string where = concat(at.name, " ", activation, " ", dtype);
        ASSERT_EQ(output.shape(), expected.shape()) << where;
        EXPECT_LT(error_of(output, expected), tolerance) << where;
        const Tensor grad = randn(expected.shape()).to(dtype);
        output.backward(grad.cuda());
        expected.backward(grad.to(kFloat64));
        for (size_t i = 0; i < gpu.size(); ++i) {
          if (!gpu[i].defined()) continue;
          EXPECT_LT(error_of(gpu[i].grad(), cpu[i].grad()), 2 * tolerance)
              << where << ", input " << i;
        }
        const NoGradGuard no_grad;
        EXPECT_LT(error_of(mlp_of(gpu, activation), expected), tolerance) << where << ", no grad";
      }
    }
  }
}

TEST_F(CudaMlp, GradientsAreThoseAskedFor) {
  const MlpCase at{"", {3, 8, 32}, 64, 16, true, true};
  const Tensors operands = operands_of(at, kBFloat16);
  const Tensor grad = randn({3, 8, 16}).to(kBFloat16);
  for (const char* activation : kActivations) {
    const Tensors cpu = leaves_of(operands, 31, kCPU, kFloat64);
    mlp_of(cpu, activation).backward(grad.to(kFloat64));
    for (unsigned wanted = 1; wanted < 32; ++wanted) {
      const Tensors gpu = leaves_of(operands, wanted, kCUDA, kBFloat16);
      mlp_of(gpu, activation).backward(grad.cuda());
      for (size_t i = 0; i < gpu.size(); ++i) {
        const std::string where = concat(activation, ", wanted ", wanted, ", input ", i);
        ASSERT_EQ(gpu[i].grad().defined(), (wanted >> i & 1u) != 0) << where;
        if (gpu[i].grad().defined()) {
          EXPECT_LT(error_of(gpu[i].grad(), cpu[i].grad()), 4e-2) << where;
        }
      }
    }
  }
}

TEST_F(CudaMlp, TakesOperandsAsTheyLie) {
  for (const char* activation : kActivations) {
    const Tensor x = randn({32, 40}), w1 = randn({32, 64}), w2 = randn({64, 48}), b1 = randn({128}),
                 b2 = randn({25});
    const auto call = [&](const auto& to) {
      return F::mlp(to(x).t(), to(w1).t(), to(w2).t().slice(0, 0, 48, 2),
                    to(b1).slice(0, 0, 128, 2), to(b2).slice(0, 1), activation);
    };
    const Tensor expected = call([](const Tensor& tensor) { return tensor.to(kFloat64); });
    EXPECT_LT(error_of(call([](const Tensor& tensor) { return tensor.cuda(); }), expected), 5e-6);
    const auto half = [](const Tensor& tensor) { return tensor.cuda().to(kBFloat16); };
    EXPECT_LT(error_of(call(half), expected), 3e-2);
  }
}

TEST_F(CudaMlp, OfNothing) {
  const MlpCase at{"", {2, 0, 32}, 64, 16, true, true};
  const Tensors gpu = leaves_of(operands_of(at, kBFloat16), 31, kCUDA, kBFloat16);
  const Tensor output = mlp_of(gpu, "gelu_tanh");
  EXPECT_EQ(output.shape(), (Dims{2, 0, 16}));
  output.sum().backward();
  EXPECT_EQ(gpu[1].grad().abs().sum().item<double>(), 0.0);
  EXPECT_EQ(gpu[3].grad().abs().sum().item<double>(), 0.0);
}

TEST_F(CudaMlp, ReluHasNoGradientAtZero) {
  const auto options = TensorOptions(kBFloat16).device(kCUDA);
  const Tensor x = zeros({32, 64}, options).requires_grad_();
  const Tensor w1 = ones({128, 64}, options), w2 = ones({64, 128}, options);
  F::mlp(x, w1, w2, zeros({128}, options), Tensor(), "relu").sum().backward();
  EXPECT_EQ(x.grad().abs().sum().item<double>(), 0.0);
}

TEST_F(CudaMlp, DifferentiatesTwice) {
  const MlpCase at{"", {4, 8}, 16, 8, true, true};
  for (const char* activation : kActivations) {
    const auto call = [&](TensorList in) { return Tensors{mlp_of(in, activation)}; };
    const Tensors wide = leaves_of(operands_of(at, kFloat64), 31, kCUDA, kFloat64);
    // Thousands of calls of the same kernels are nothing new to a tool.
    if (std::string(activation) != "relu" && !is_under_tool()) {
      autograd::gradcheck(call, wide);
      autograd::gradgradcheck(call, wide);
    }
    // What float32 fuses, its node must be able to differentiate again.
    const auto second = [&](Device device, DType dtype) {
      const Tensors in = leaves_of(wide, 31, device, dtype);
      const Tensor loss = mlp_of(in, activation).square().sum();
      const Tensors grads = autograd::grad(TensorList(&loss, 1), in, {}, std::nullopt,
                                           /*create_graph=*/true);
      Tensor total;
      for (const Tensor& grad : grads) {
        const Tensor part = grad.square().sum();
        total = total.defined() ? total + part : part;
      }
      total.backward();
      return in;
    };
    const Tensors gpu = second(kCUDA, kFloat32), cpu = second(kCPU, kFloat64);
    for (size_t i = 0; i < gpu.size(); ++i) {
      EXPECT_LT(error_of(gpu[i].grad(), cpu[i].grad()), 1e-4) << activation << ", input " << i;
    }
  }
}

TEST_F(CudaMlp, TiedLayersCountOnceInSecondDerivatives) {
  const auto second = [](Device device, DType dtype) {
    manual_seed(4);
    const auto leaf = [&](const Dims& shape) {
      return randn(shape).to(device).to(dtype).requires_grad_();
    };
    const Tensors in{leaf({8, 16}), leaf({16, 16}), leaf({16})};
    const Tensor loss = F::mlp(in[0], in[1], in[1], in[2], in[2] * 2, "gelu_tanh").square().sum();
    const Tensors grads =
        autograd::grad(TensorList(&loss, 1), in, {}, std::nullopt, /*create_graph=*/true);
    (grads[0].square().sum() + grads[1].square().sum() + grads[2].square().sum()).backward();
    return in;
  };
  const Tensors gpu = second(kCUDA, kFloat32), cpu = second(kCPU, kFloat64);
  for (size_t i = 0; i < gpu.size(); ++i) {
    EXPECT_LT(error_of(gpu[i].grad(), cpu[i].grad()), 1e-4) << "input " << i;
  }
}

// ---- Which products are fused -------------------------------------------------------------------

// The kernels alone: a (m, k), b (k, n), and what they say of whether they did it.
struct Fused {
  Tensor c, sums, kept;
  bool is_done = false;
};

Fused run_fused(Fusion fusion, Activation activation, const Tensor& a, const Tensor& b,
                const Tensor& bias, const Tensor& kept) {
  const auto options = a.options();
  const int64_t m = a.size(0), n = b.size(1);
  Fused result;
  result.c = empty({m, n}, options);
  if (fusion == Fusion::row_sums) result.sums = empty({m}, options);
  result.kept = kept;
  FusedGemmArgs args;
  args.keeps = fusion == Fusion::activation && activation != Activation::relu;
  if (args.keeps) result.kept = empty({m, n}, options);
  args.fusion = fusion;
  args.dtype = a.dtype();
  args.m = m;
  args.n = n;
  args.k = a.size(1);
  args.a = {a.data_ptr(), a.stride(0), a.stride(1), {}};
  args.b = {b.data_ptr(), b.stride(0), b.stride(1), {}};
  args.c = result.c.data_ptr();
  args.activation = activation;
  args.bias = bias.defined() ? bias.data_ptr() : nullptr;
  args.sums = result.sums.defined() ? result.sums.data_ptr() : nullptr;
  args.kept = result.kept.defined() ? result.kept.data_ptr() : nullptr;
  const kernels::MatmulKernels kernels = kernels::matmul_kernels_cuda();
  result.is_done = kernels.fused_gemm(args);
  EXPECT_TRUE(kernels.fuses(args) || !result.is_done);
  return result;
}

TEST_F(CudaMlp, SixteenBitProductsAreFused) {
  for (const DType dtype : {kBFloat16, kFloat16}) {
    const auto options = TensorOptions(dtype).device(kCUDA);
    const Tensor x = randn({128, 64}, options), w = randn({64, 256}, options),
                 bias = randn({256}, options), grad = randn({128, 256}, options);
    const Fused sums = run_fused(Fusion::row_sums, Activation::none, grad.t(), x, Tensor(), {});
    ASSERT_TRUE(sums.is_done) << concat(dtype);
    EXPECT_LT(error_of(sums.sums, grad.cpu().to(kFloat64).sum({0})), 1e-2);
    for (const Activation activation : {Activation::relu, Activation::gelu_tanh}) {
      const Fused hidden = run_fused(Fusion::activation, activation, x, w, bias, {});
      EXPECT_TRUE(hidden.is_done) << concat(dtype, " ", static_cast<int>(activation));
      const Fused inner = run_fused(Fusion::activation_gradient, activation,
                                    randn({128, 64}, options), w, Tensor(), hidden.kept);
      EXPECT_EQ(inner.is_done, activation == Activation::gelu_tanh) << concat(dtype);
    }
    const Tensors operands{x, w.t(), w, bias, Tensor()};
    const Tensors leaves = leaves_of(operands, 31, kCUDA, dtype);
    EXPECT_EQ(mlp_of(leaves, "gelu_tanh").grad_fn_name(), "mlp");
    EXPECT_EQ(mlp_of(leaves, "gelu").grad_fn_name(), "linear");
  }
}

// Which of float32's are is cuBLASLt's affair; the log tells.
TEST_F(CudaMlp, TellsWhichProductsOfFloat32AreFused) {
  const auto options = TensorOptions(kFloat32).device(kCUDA);
  const Tensor x = randn({128, 64}, options), w = randn({64, 256}, options),
               bias = randn({256}, options), grad = randn({128, 256}, options);
  const auto tell = [&](const char* what, const Fused& product) {
    RecordProperty(what, product.is_done ? "fused" : "composed");
    return product;
  };
  tell("row_sums", run_fused(Fusion::row_sums, Activation::none, grad.t(), x, Tensor(), {}));
  for (const Activation activation : {Activation::relu, Activation::gelu_tanh}) {
    const bool is_relu = activation == Activation::relu;
    const Fused hidden = tell(is_relu ? "relu" : "gelu_tanh",
                              run_fused(Fusion::activation, activation, x, w, bias, {}));
    if (!hidden.is_done || is_relu) continue;
    tell("gelu_tanh_gradient",
         run_fused(Fusion::activation_gradient, activation, x, w, Tensor(), hidden.kept));
  }
}

}  // namespace
}  // namespace taut::testing
