// Attention on the GPU by Taut's own kernels, and by whichever is chosen, in FLOP/s.

#include <cstdio>

#include "benchmarks/gpu/rate.h"
#include "kernels/attention/flash_attention.h"
#include "taut/taut.h"

namespace {

using taut::Tensor;
using taut::kernels::cuda::AttentionKernelSet;
namespace F = taut::nn::functional;

struct Case {
  int64_t batch, heads, length, width;
  bool causal;
  taut::DType dtype;
};

// Of the products alone, as others count: half of the scores are left out when causal; the backward
// makes five products where the forward makes two.
double flops_of(const Case& c) {
  const double scores = static_cast<double>(c.batch * c.heads * c.length) *
                        static_cast<double>(c.length) * (c.causal ? 0.5 : 1.0);
  return 4 * scores * static_cast<double>(c.width);
}

void report(const Case& c, AttentionKernelSet set, const char* whose) {
  taut::kernels::cuda::limit_attention_kernels(set);
  const taut::Dims shape = {c.batch, c.heads, c.length, c.width};
  const auto make = [&] {
    return taut::randn(shape, taut::TensorOptions(c.dtype).device(taut::kCUDA)).requires_grad_();
  };
  const Tensor inputs[] = {make(), make(), make()};
  const Tensor grad = taut::randn(shape, inputs[0].options().requires_grad(false));
  const auto forward = [&] {
    return F::scaled_dot_product_attention(inputs[0], inputs[1], inputs[2], Tensor(), 0.0,
                                           c.causal);
  };
  const double forward_seconds = seconds_of([&] { forward(); }, 30);
  const double both_seconds = seconds_of(
      [&] {
        const Tensor y = forward();
        taut::autograd::grad(taut::TensorList(&y, 1), inputs, taut::TensorList(&grad, 1));
      },
      30);
  std::printf(
      "B%lld H%lld T%lld D%lld %-8s %-6s %-10s forward %6.1f, with backward %6.1f TFLOP/s\n",
      static_cast<long long>(c.batch), static_cast<long long>(c.heads),
      static_cast<long long>(c.length), static_cast<long long>(c.width),
      std::string(taut::name(c.dtype)).c_str(), c.causal ? "causal" : "full", whose,
      flops_of(c) / forward_seconds / 1e12, 3.5 * flops_of(c) / both_seconds / 1e12);
  taut::kernels::cuda::limit_attention_kernels(AttentionKernelSet::all);
}

}  // namespace

int main() {
  if (!taut::cuda::is_available()) {
    std::puts("no GPU");
    return 0;
  }
  for (const Case& c :
       {Case{4, 16, 4096, 128, true, taut::kBFloat16},
        Case{16, 12, 1024, 64, true, taut::kBFloat16},
        Case{16, 12, 1024, 64, false, taut::kBFloat16},
        Case{2, 8, 2048, 256, true, taut::kBFloat16}, Case{4, 8, 2048, 64, true, taut::kFloat32}}) {
    report(c, AttentionKernelSet::own, "own");
    report(c, AttentionKernelSet::cudnn, "chosen");
  }
  return 0;
}
