// Products on the GPU beside the fastest of cuBLASLt's kernels, which are tried one by one.

#include <cublasLt.h>
#include <dlfcn.h>

#include <cstdio>

#include "benchmarks/gpu/rate.h"
#include "taut/taut.h"

namespace {

using taut::Tensor;

// cuBLASLt without Taut: c = a b of square matrices of bfloat16 or float32.
class BareProduct {
 public:
  BareProduct(int64_t size, bool is_half) {
    void* library = dlopen("libcublasLt.so.13", RTLD_NOW);
    const auto find = [&](auto& function, const char* name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    };
    decltype(&::cublasLtCreate) create;
    decltype(&::cublasLtMatmulDescCreate) desc_create;
    decltype(&::cublasLtMatrixLayoutCreate) layout_create;
    decltype(&::cublasLtMatmulPreferenceCreate) preference_create;
    decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
    decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;
    find(matmul_, "cublasLtMatmul");
    find(create, "cublasLtCreate");
    find(desc_create, "cublasLtMatmulDescCreate");
    find(layout_create, "cublasLtMatrixLayoutCreate");
    find(preference_create, "cublasLtMatmulPreferenceCreate");
    find(preference_set, "cublasLtMatmulPreferenceSetAttribute");
    find(heuristic, "cublasLtMatmulAlgoGetHeuristic");
    create(&handle_);
    desc_create(&desc_, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    const auto side = static_cast<uint64_t>(size);
    layout_create(&layout_, is_half ? CUDA_R_16BF : CUDA_R_32F, side, side, size);
    cublasLtMatmulPreference_t preference;
    preference_create(&preference);
    const size_t bytes = kWorkspace;
    preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &bytes, sizeof bytes);
    heuristic(handle_, desc_, layout_, layout_, layout_, layout_, preference, kMost, results_,
              &count_);
    workspace_ = taut::empty({static_cast<int64_t>(kWorkspace)},
                             taut::TensorOptions(taut::kUInt8).device(taut::kCUDA));
  }

  double best_seconds(const Tensor& a, const Tensor& b, const Tensor& c, int calls) {
    const float one = 1, zero = 0;
    double best = 1e9;
    for (int i = 0; i < count_; ++i) {
      const auto run = [&] {
        matmul_(handle_, desc_, &one, b.data_ptr(), layout_, a.data_ptr(), layout_, &zero,
                c.data_ptr(), layout_, c.data_ptr(), layout_, &results_[i].algo,
                workspace_.data_ptr(), kWorkspace, nullptr);
      };
      best = std::min(best, seconds_of(run, calls));
    }
    return best;
  }

 private:
  static constexpr size_t kWorkspace = size_t{32} << 20;
  static constexpr int kMost = 16;
  decltype(&::cublasLtMatmul) matmul_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t layout_ = nullptr;
  cublasLtMatmulHeuristicResult_t results_[kMost];
  int count_ = 0;
  Tensor workspace_;
};

void compare(taut::DType dtype, int64_t size) {
  const auto options = taut::TensorOptions(dtype).device(taut::kCUDA);
  const Tensor a = taut::randn({size, size}, options);
  const Tensor b = taut::randn({size, size}, options);
  const Tensor c = taut::empty({size, size}, options);
  const int calls = size > 4096 ? 10 : 50;
  const double side = static_cast<double>(size);
  const double flops = 2 * side * side * side;
  const double ours = flops / seconds_of([&] { taut::matmul(a, b); }, calls) / 1e12;
  BareProduct bare(size, dtype == taut::kBFloat16);
  const double theirs = flops / bare.best_seconds(a, b, c, calls) / 1e12;
  std::printf("matmul %5lld, %-9s %7.1f TFLOP/s, the best of cuBLASLt %7.1f, ratio %.3f\n",
              static_cast<long long>(size), dtype == taut::kBFloat16 ? "bfloat16" : "float32", ours,
              theirs, ours / theirs);
}

}  // namespace

int main() {
  if (!taut::cuda::is_available()) {
    std::puts("no GPU");
    return 0;
  }
  for (const int64_t size : {1024, 4096, 8192}) compare(taut::kBFloat16, size);
  for (const int64_t size : {1024, 4096}) compare(taut::kFloat32, size);
  return 0;
}
