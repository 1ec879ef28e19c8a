// Attention on the GPU in FLOP/s: of a shape that is new, which Taut's own kernels serve, and of
// one that has turned up often enough for a plan of cuDNN's: call after call, where the chip lowers
// its clock to keep within its power, and in bursts with pauses between them, where it need not.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "benchmarks/gpu/rate.h"
#include "taut/taut.h"

namespace {

using taut::Tensor;
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

// Calls in a row, all of them or the forward alone.
class Attention {
 public:
  explicit Attention(const Case& c) : causal_(c.causal) {
    const taut::Dims shape = {c.batch, c.heads, c.length, c.width};
    const auto options = taut::TensorOptions(c.dtype).device(taut::kCUDA);
    for (Tensor& input : inputs_) input = taut::randn(shape, options).requires_grad_();
    grad_ = taut::randn(shape, options);
  }
  double seconds(int calls, bool with_backward) const {
    taut::cuda::synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) {
      const Tensor y = F::scaled_dot_product_attention(inputs_[0], inputs_[1], inputs_[2], Tensor(),
                                                       0.0, causal_);
      if (!with_backward) continue;
      taut::autograd::grad(taut::TensorList(&y, 1), inputs_, taut::TensorList(&grad_, 1));
    }
    taut::cuda::synchronize();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    return elapsed.count() / calls;
  }

 private:
  bool causal_;
  Tensor inputs_[3];
  Tensor grad_;
};

// The median of a few bursts, each of some milliseconds.
double seconds_in_bursts(const Attention& attention, bool with_backward) {
  constexpr int kBursts = 7, kCalls = 10;
  double seconds[kBursts];
  for (double& burst : seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    burst = attention.seconds(kCalls, with_backward);
  }
  std::nth_element(seconds, seconds + kBursts / 2, seconds + kBursts);
  return seconds[kBursts / 2];
}

void report(const Case& c) {
  const auto line = [&](const char* what, double forward, double both) {
    std::printf(
        "B%lld H%lld T%lld D%lld %-8s %-6s %-9s forward %6.1f, with backward %6.1f TFLOP/s\n",
        static_cast<long long>(c.batch), static_cast<long long>(c.heads),
        static_cast<long long>(c.length), static_cast<long long>(c.width),
        std::string(taut::name(c.dtype)).c_str(), c.causal ? "causal" : "full", what,
        flops_of(c) / forward / 1e12, 3.5 * flops_of(c) / both / 1e12);
  };
  const Case other = {c.batch, c.heads, c.length - 64, c.width, c.causal, c.dtype};
  Attention(other).seconds(2, true);  // loads the kernels
  const Attention attention(c);
  constexpr int kFew = 6;
  const double new_forward = attention.seconds(kFew, false);
  line("new", new_forward, attention.seconds(kFew, true));
  attention.seconds(400, true);
  double forward = 1e9, both = 1e9;
  for (int turn = 0; turn < 3; ++turn) {
    forward = std::min(forward, attention.seconds(30, false));
    both = std::min(both, attention.seconds(30, true));
  }
  line("known", forward, both);
  line("in bursts", seconds_in_bursts(attention, false), seconds_in_bursts(attention, true));
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
    report(c);
  }
  return 0;
}
