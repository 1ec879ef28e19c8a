// What epilogues gain: a step of two layers as one op beside the three ops, and linear's gradients
// beside the bare products that they need.

#include <cstdio>

#include "benchmarks/gpu/rate.h"
#include "taut/taut.h"

namespace {

namespace F = taut::nn::functional;
using taut::Tensor;

constexpr int kCalls = 20;

const char* name_of(taut::DType dtype) { return dtype == taut::kBFloat16 ? "bfloat16" : "float32"; }

void compare_mlp(taut::DType dtype, int64_t rows, int64_t width, const char* activation) {
  const auto options = taut::TensorOptions(dtype).device(taut::kCUDA);
  const auto leaf = [&](const taut::Dims& shape) {
    return (taut::randn(shape, options) * 0.02).requires_grad_();
  };
  const Tensor x = leaf({rows, width}), w1 = leaf({4 * width, width}), b1 = leaf({4 * width}),
               w2 = leaf({width, 4 * width}), b2 = leaf({width});
  const Tensor grad = taut::randn({rows, width}, options);
  const auto step = [&](const Tensor& output) {
    taut::autograd::grad(taut::TensorList(&output, 1), taut::Tensors{x, w1, w2, b1, b2},
                         taut::TensorList(&grad, 1));
  };
  const bool is_relu = activation[0] == 'r';
  const auto one = [&] { return F::mlp(x, w1, w2, b1, b2, activation); };
  const auto parts = [&] {
    const Tensor hidden = F::linear(x, w1, b1);
    return F::linear(is_relu ? F::relu(hidden) : F::gelu(hidden, "tanh"), w2, b2);
  };
  const auto report = [&](const char* what, double fused, double apart) {
    std::printf("mlp %6lld x %5lld, %-9s %-9s %-13s %8.1f us, in parts %8.1f us, ratio %.3f\n",
                static_cast<long long>(rows), static_cast<long long>(width), name_of(dtype),
                activation, what, fused * 1e6, apart * 1e6, fused / apart);
  };
  {
    const taut::NoGradGuard no_grad;
    report("inference", seconds_of([&] { one(); }, kCalls), seconds_of([&] { parts(); }, kCalls));
  }
  report("forward", seconds_of([&] { one(); }, kCalls), seconds_of([&] { parts(); }, kCalls));
  report("with backward", seconds_of([&] { step(one()); }, kCalls),
         seconds_of([&] { step(parts()); }, kCalls));
}

void compare_linear(taut::DType dtype, int64_t rows, int64_t width) {
  const auto options = taut::TensorOptions(dtype).device(taut::kCUDA);
  const Tensor x = taut::randn({rows, width}, options);
  const Tensor weight = taut::randn({width, width}, options).requires_grad_();
  const Tensor bias = taut::randn({width}, options).requires_grad_();
  const Tensor grad = taut::randn({rows, width}, options);
  const Tensor output = F::linear(x, weight, bias);
  const auto gradients = [&](const taut::Tensors& wanted) {
    return seconds_of(
        [&] {
          taut::autograd::grad(taut::TensorList(&output, 1), wanted, taut::TensorList(&grad, 1),
                               /*retain_graph=*/true);
        },
        kCalls);
  };
  const double both = gradients({weight, bias});
  const double apart = gradients({weight}) + gradients({bias});
  std::printf("linear's gradients %6lld x %5lld, %-9s %8.1f us, one by one %8.1f us, ratio %.3f\n",
              static_cast<long long>(rows), static_cast<long long>(width), name_of(dtype),
              both * 1e6, apart * 1e6, both / apart);
}

}  // namespace

int main() {
  if (!taut::cuda::is_available()) {
    std::puts("no GPU");
    return 0;
  }
  for (const taut::DType dtype : {taut::kBFloat16, taut::kFloat32}) {
    for (const int64_t width : {768, 2048}) {
      for (const char* activation : {"gelu_tanh", "relu"}) {
        compare_mlp(dtype, 8192, width, activation);
      }
      compare_linear(dtype, 8192, width);
    }
  }
  return 0;
}
