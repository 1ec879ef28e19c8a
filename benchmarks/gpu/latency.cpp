// What small ops cost: nanoseconds a call, beside a bare launch of an empty kernel. The first
// number is what the host takes to queue a call, the second what a call takes in a long row of
// them, where the GPU may be the slower of the two.

#include <dlfcn.h>

#include <chrono>
#include <cstdio>

#include "benchmarks/gpu/rate.h"
#include "taut/taut.h"

namespace {

using taut::Tensor;

constexpr const char* kKernels = R"(
.version 7.0
.target sm_70
.address_size 64
.visible .entry empty(.param .u64 a, .param .u64 b, .param .u64 c) { ret; }
.visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c) {
  .reg .u32 %t;
  .reg .u64 %o, %p, %q, %r;
  .reg .f32 %x, %y;
  mov.u32 %t, %tid.x;
  mul.wide.u32 %o, %t, 4;
  ld.param.u64 %p, [a];
  ld.param.u64 %q, [b];
  ld.param.u64 %r, [c];
  cvta.to.global.u64 %p, %p;
  cvta.to.global.u64 %q, %q;
  cvta.to.global.u64 %r, %r;
  add.u64 %p, %p, %o;
  add.u64 %q, %q, %o;
  add.u64 %r, %r, %o;
  ld.global.f32 %x, [%p];
  ld.global.f32 %y, [%q];
  add.f32 %x, %x, %y;
  st.global.f32 [%r], %x;
  ret;
}
)";

// A kernel of those above, launched by the driver itself, without a toolkit to link to.
class BareKernel {
 public:
  BareKernel(const char* name, const Tensor& a, const Tensor& b, const Tensor& c)
      : threads_(static_cast<unsigned>(a.numel())),
        pointers_{a.data_ptr(), b.data_ptr(), c.data_ptr()} {
    void* driver = dlopen("libcuda.so.1", RTLD_NOW);
    const auto find = [&](const char* symbol) { return dlsym(driver, symbol); };
    const auto load = reinterpret_cast<int (*)(void**, const void*)>(find("cuModuleLoadData"));
    const auto get =
        reinterpret_cast<int (*)(void**, void*, const char*)>(find("cuModuleGetFunction"));
    launch_ = reinterpret_cast<Launch>(find("cuLaunchKernel"));
    void* module = nullptr;
    if (load(&module, kKernels) != 0 || get(&kernel_, module, name) != 0) {
      std::printf("the kernel %s does not load\n", name);
    }
  }
  void operator()() {
    void* arguments[] = {&pointers_[0], &pointers_[1], &pointers_[2]};
    launch_(kernel_, 1, 1, 1, threads_, 1, 1, 0, nullptr, arguments, nullptr);
  }

 private:
  using Launch = int (*)(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                         unsigned, void*, void**, void**);
  Launch launch_ = nullptr;
  void* kernel_ = nullptr;
  unsigned threads_;
  void* pointers_[3];
};

struct Cost {
  double host;    // nanoseconds to queue a call
  double in_all;  // nanoseconds until it is done, in a row of them
};

// Fewer calls than fit into the GPU's queue, so that the host never waits for room in it.
double host_nanoseconds_of(const std::function<void()>& run) {
  constexpr int kCalls = 100;
  double best = 1e9;
  for (int turn = 0; turn < 60; ++turn) {
    taut::cuda::synchronize();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) run();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
    best = std::min(best, elapsed.count() / kCalls);
  }
  taut::cuda::synchronize();
  return best * 1e9;
}

Cost cost_of(const std::function<void()>& run) {
  return {host_nanoseconds_of(run), seconds_of(run, 2000, 7) * 1e9};
}

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
  const Tensor c = taut::empty({64}, options);
  BareKernel empty_kernel("empty", a, b, c);
  BareKernel add_kernel("add", a, b, c);
  const Cost bare = cost_of([&] { empty_kernel(); });
  const auto report = [&](const char* name, const std::function<void()>& run) {
    const Cost cost = cost_of(run);
    std::printf("%-28s host %6.0f ns %5.2f of a launch, in all %6.0f ns %5.2f of a launch\n", name,
                cost.host, cost.host / bare.host, cost.in_all, cost.in_all / bare.in_all);
  };
  std::printf("%-28s host %6.0f ns                   in all %6.0f ns\n", "a bare launch", bare.host,
              bare.in_all);
  report("a bare launch of an add", [&] { add_kernel(); });
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
