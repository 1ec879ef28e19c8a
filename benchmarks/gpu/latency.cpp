// What small ops cost the host: nanoseconds a call, beside a bare launch of an empty kernel.

#include <dlfcn.h>

#include <cstdio>

#include "benchmarks/gpu/rate.h"
#include "taut/taut.h"

namespace {

using taut::Tensor;

constexpr const char* kEmptyKernel = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry empty(.param .u64 a, .param .u64 b) { ret; }
)";

// By the driver itself, without a toolkit to link to.
class EmptyKernel {
 public:
  EmptyKernel() {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    const auto find = [&](const char* name) { return dlsym(driver, name); };
    const auto load = reinterpret_cast<int (*)(void**, const void*)>(find("cuModuleLoadData"));
    const auto get =
        reinterpret_cast<int (*)(void**, void*, const char*)>(find("cuModuleGetFunction"));
    launch_ = reinterpret_cast<Launch>(find("cuLaunchKernel"));
    void* module = nullptr;
    if (load(&module, kEmptyKernel) != 0 || get(&kernel_, module, "empty") != 0) {
      std::puts("the empty kernel does not load");
    }
  }
  void operator()() {
    void* arguments[] = {&first_, &second_};
    launch_(kernel_, 1, 1, 1, 256, 1, 1, 0, nullptr, arguments, nullptr);
  }

 private:
  using Launch = int (*)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                         unsigned, void*, void**, void**);
  Launch launch_ = nullptr;
  void* kernel_ = nullptr;
  void* first_ = nullptr;
  void* second_ = nullptr;
};

double nanoseconds_of(const std::function<void()>& run) { return seconds_of(run, 2000, 7) * 1e9; }

}  // namespace

int main() {
  if (!taut::cuda::is_available()) {
    std::puts("no GPU");
    return 0;
  }
  const auto options = taut::TensorOptions(taut::kFloat32).device(taut::kCUDA);
  const Tensor a = taut::rand({64}, options);
  const Tensor b = taut::rand({64}, options);
  const Tensor wanting = taut::rand({64}, options).requires_grad_();
  const Tensor matrix = taut::rand({64, 64}, options);
  taut::cuda::synchronize();
  EmptyKernel empty_kernel;
  const double bare = nanoseconds_of([&] { empty_kernel(); });
  const auto report = [&](const char* name, const std::function<void()>& run) {
    const double time = nanoseconds_of(run);
    std::printf("%-36s %8.0f ns %6.2f of a launch\n", name, time, time / bare);
  };
  std::printf("%-36s %8.0f ns\n", "a bare launch", bare);
  report("a + b, 64 floats", [&] { a.add(b); });
  report("a + 1.0, 64 floats", [&] { a.add(1.0); });
  report("a.add_(b)", [&] { a.add_(b); });
  report("a + b on the tape", [&] { wanting.add(b); });
  report("exp", [&] { taut::exp(a); });
  report("empty, 64 floats", [&] { taut::empty({64}, options); });
  report("empty, 16 MiB", [&] { taut::empty({4 << 20}, options); });
  report("zeros, 64 floats", [&] { taut::zeros({64}, options); });
  report("sum, 64 floats", [&] { a.sum(); });
  report("softmax, 64 x 64", [&] { taut::softmax(matrix, -1); });
  report("matmul, 64 x 64", [&] { taut::matmul(matrix, matrix); });
  report("a[3] (a view)", [&] { matrix.select(0, 3); });
  return 0;
}
