// The speed of elementwise kernels on the GPU, in bytes moved each second, beside a copy.

#include <chrono>
#include <cstdio>

#include "taut/taut.h"

namespace {

using taut::Tensor;

constexpr int64_t kElements = int64_t{1} << 28;
constexpr int kRepeats = 20;

template <class Run>
void report(const char* name, double bytes, Run run) {
  for (int i = 0; i < 3; ++i) run();
  taut::cuda::synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRepeats; ++i) run();
  taut::cuda::synchronize();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  std::printf("%-24s %7.1f GB/s\n", name, bytes * kRepeats / elapsed.count() / 1e9);
}

}  // namespace

int main() {
  if (!taut::cuda::is_available()) {
    std::puts("no GPU");
    return 0;
  }
  const Tensor x = taut::full({kElements}, 0.5, taut::TensorOptions(taut::kCUDA));
  const double bytes = 2.0 * static_cast<double>(x.nbytes());
  report("copy", bytes, [&] { x.clone(); });
  report("exp", bytes, [&] { taut::exp(x); });
  report("log1p", bytes, [&] { taut::log1p(x); });
  report("sigmoid", bytes, [&] { taut::sigmoid(x); });
  return 0;
}
