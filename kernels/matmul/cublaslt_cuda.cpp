#include <cuda_runtime_api.h>

#include <cstring>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "kernels/api/cuda_library.h"
#include "kernels/api/matmul.h"
#include "kernels/matmul/cublaslt.h"
#include "src/core/cuda/launch_context.h"
#include "taut/base/check.h"

namespace taut::kernels::cuda {
namespace {

struct Functions {
  decltype(&::cublasLtCreate) create;
  decltype(&::cublasLtMatmul) matmul;
  decltype(&::cublasLtMatmulDescCreate) desc_create;
  decltype(&::cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&::cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&::cublasLtMatrixLayoutCreate) layout_create;
  decltype(&::cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&::cublasLtMatrixLayoutSetAttribute) layout_set;
  decltype(&::cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&::cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&::cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&::cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&::cublasLtGetStatusString) status_string;
};

const Functions& functions() {
  static const Functions found = [] {
    const CudaLibrary library("cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"});
    Functions f{};
    library.find(f.create, "cublasLtCreate");
    library.find(f.matmul, "cublasLtMatmul");
    library.find(f.desc_create, "cublasLtMatmulDescCreate");
    library.find(f.desc_destroy, "cublasLtMatmulDescDestroy");
    library.find(f.desc_set, "cublasLtMatmulDescSetAttribute");
    library.find(f.layout_create, "cublasLtMatrixLayoutCreate");
    library.find(f.layout_destroy, "cublasLtMatrixLayoutDestroy");
    library.find(f.layout_set, "cublasLtMatrixLayoutSetAttribute");
    library.find(f.preference_create, "cublasLtMatmulPreferenceCreate");
    library.find(f.preference_destroy, "cublasLtMatmulPreferenceDestroy");
    library.find(f.preference_set, "cublasLtMatmulPreferenceSetAttribute");
    library.find(f.heuristic, "cublasLtMatmulAlgoGetHeuristic");
    library.find(f.status_string, "cublasLtGetStatusString");
    return f;
  }();
  return found;
}

void check(cublasStatus_t status, const char* what) {
  TAUT_CHECK(status == CUBLAS_STATUS_SUCCESS, CudaError, "matmul: ", what, ": ",
             functions().status_string(status));
}

cublasLtHandle_t handle_of(int device) {
  static std::mutex mutex;
  static cublasLtHandle_t handles[64] = {};
  const std::lock_guard lock(mutex);
  if (handles[device] == nullptr) check(functions().create(&handles[device]), "cublasLtCreate");
  return handles[device];
}

cudaDataType_t data_type(DType dtype) {
  switch (dtype) {
    case DType::float64: return CUDA_R_64F;
    case DType::float16: return CUDA_R_16F;
    case DType::bfloat16: return CUDA_R_16BF;
    default: return CUDA_R_32F;
  }
}

cublasComputeType_t compute_type(const GemmKey& key) {
  if (static_cast<DType>(key.dtype) == DType::float64) return CUBLAS_COMPUTE_64F;
  if (static_cast<DType>(key.dtype) != DType::float32) return CUBLAS_COMPUTE_32F;
  switch (static_cast<Float32Precision>(key.precision)) {
    case Float32Precision::high: return CUBLAS_COMPUTE_32F_FAST_TF32;
    case Float32Precision::medium: return CUBLAS_COMPUTE_32F_FAST_16BF;
    default: return CUBLAS_COMPUTE_32F;
  }
}

// More helps only kernels of Hopper, which ask for 32 MiB.
constexpr size_t kWorkspace = size_t{32} << 20;

// The descriptors of one product and the kernel that was chosen for it.
class GemmPlan {
 public:
  explicit GemmPlan(const GemmKey& key) {
    const cudaDataType_t type = data_type(static_cast<DType>(key.dtype));
    const cudaDataType_t scale = type == CUDA_R_64F ? CUDA_R_64F : CUDA_R_32F;
    check(functions().desc_create(&desc_, compute_type(key), scale), "cublasLtMatmulDescCreate");
    set_operation(CUBLASLT_MATMUL_DESC_TRANSA, key.transpose_a);
    set_operation(CUBLASLT_MATMUL_DESC_TRANSB, key.transpose_b);
    set_desc(CUBLASLT_MATMUL_DESC_EPILOGUE, static_cast<uint32_t>(key.epilogue));
    const bool ta = key.transpose_a != 0;
    const bool tb = key.transpose_b != 0;
    make_layout(a_, type, ta ? key.k : key.m, ta ? key.m : key.k, key.lda, key.batch, key.stride_a);
    make_layout(b_, type, tb ? key.n : key.k, tb ? key.k : key.n, key.ldb, key.batch, key.stride_b);
    make_layout(d_, type, key.m, key.n, key.ldd, key.batch, key.stride_d);
    if (has_bias(key)) {
      set_desc(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<int32_t>(type));
      set_desc(CUBLASLT_MATMUL_DESC_BIAS_POINTER, address_aligned_to(key.bias_alignment));
    }
    if (key.ld_aux != 0) {
      set_desc(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, key.ld_aux);
      set_desc(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, address_aligned_to(key.aux_alignment));
    }
    choose(key);
  }
  GemmPlan(const GemmPlan&) = delete;
  GemmPlan& operator=(const GemmPlan&) = delete;
  ~GemmPlan() {
    for (cublasLtMatrixLayout_t layout : {a_, b_, d_}) {
      if (layout != nullptr) functions().layout_destroy(layout);
    }
    if (desc_ != nullptr) functions().desc_destroy(desc_);
  }

  bool is_possible() const { return is_possible_; }

  // Returns false when the library changes its mind.
  bool run(const GemmKey& key, const GemmPointers& pointers, double alpha, double beta) {
    if (has_bias(key)) set_desc(CUBLASLT_MATMUL_DESC_BIAS_POINTER, pointers.bias);
    if (key.ld_aux != 0) set_desc(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, pointers.aux);
    const float alpha_single = static_cast<float>(alpha);
    const float beta_single = static_cast<float>(beta);
    const bool is_double = static_cast<DType>(key.dtype) == DType::float64;
    const void* by_alpha = is_double ? static_cast<const void*>(&alpha) : &alpha_single;
    const void* by_beta = is_double ? static_cast<const void*>(&beta) : &beta_single;
    const taut::cuda::Scratch workspace(workspace_bytes_);
    const cublasStatus_t status = functions().matmul(
        handle_of(key.device), desc_, by_alpha, pointers.a, a_, pointers.b, b_, by_beta, pointers.d,
        d_, pointers.d, d_, &algorithm_, workspace.data(), workspace_bytes_,
        static_cast<cudaStream_t>(taut::cuda::launch_stream()));
    is_possible_ = status != CUBLAS_STATUS_NOT_SUPPORTED;
    if (is_possible_) check(status, "cublasLtMatmul");
    return is_possible_;
  }

 private:
  static bool has_bias(const GemmKey& key) { return key.bias_alignment != 0; }
  // The heuristic judges pointers by their alignment alone, so that what it is shown must follow
  // from the key.
  static void* address_aligned_to(int32_t alignment) {
    return reinterpret_cast<void*>(uintptr_t{1} << alignment);
  }
  template <class T>
  void set_desc(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(functions().desc_set(desc_, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  }
  void set_operation(cublasLtMatmulDescAttributes_t attribute, int32_t transpose) {
    set_desc(attribute, static_cast<int32_t>(transpose != 0 ? CUBLAS_OP_T : CUBLAS_OP_N));
  }

  static void make_layout(cublasLtMatrixLayout_t& layout, cudaDataType_t type, int64_t rows,
                          int64_t cols, int64_t leading, int64_t batch, int64_t stride) {
    check(functions().layout_create(&layout, type, static_cast<uint64_t>(rows),
                                    static_cast<uint64_t>(cols), leading),
          "cublasLtMatrixLayoutCreate");
    if (batch == 1) return;
    const auto count = static_cast<int32_t>(batch);
    check(functions().layout_set(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
          "cublasLtMatrixLayoutSetAttribute");
    check(functions().layout_set(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride,
                                 sizeof stride),
          "cublasLtMatrixLayoutSetAttribute");
  }

  void choose(const GemmKey& key) {
    cublasLtMatmulPreference_t preference = nullptr;
    check(functions().preference_create(&preference), "cublasLtMatmulPreferenceCreate");
    const std::unique_ptr<cublasLtMatmulPreferenceOpaque_t,
                          decltype(&::cublasLtMatmulPreferenceDestroy)>
        owner(preference, functions().preference_destroy);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t attribute, const auto& value) {
      check(functions().preference_set(preference, attribute, &value, sizeof value),
            "cublasLtMatmulPreferenceSetAttribute");
    };
    const size_t workspace = kWorkspace;
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
    const uint32_t alignment = 1u << key.alignment;
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
    cublasLtMatmulHeuristicResult_t result{};
    int found = 0;
    const cublasStatus_t status = functions().heuristic(handle_of(key.device), desc_, a_, b_, d_,
                                                        d_, preference, 1, &result, &found);
    is_possible_ =
        status == CUBLAS_STATUS_SUCCESS && found > 0 && result.state == CUBLAS_STATUS_SUCCESS;
    algorithm_ = result.algo;
    workspace_bytes_ = result.workspaceSize;
  }

  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr;
  cublasLtMatrixLayout_t b_ = nullptr;
  cublasLtMatrixLayout_t d_ = nullptr;
  cublasLtMatmulAlgo_t algorithm_{};
  size_t workspace_bytes_ = 0;
  bool is_possible_ = false;
};

static_assert(sizeof(GemmKey) == 11 * 8 + 10 * 4, "keys are compared byte by byte");

struct HashKey {
  size_t operator()(const GemmKey& key) const {
    uint64_t words[sizeof(GemmKey) / 8];
    std::memcpy(words, &key, sizeof key);
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (const uint64_t word : words)
      hash = (hash ^ word) * 0xFF51AFD7ED558CCDu, hash ^= hash >> 32;
    return hash;
  }
};
struct EqualKey {
  bool operator()(const GemmKey& a, const GemmKey& b) const {
    return std::memcmp(&a, &b, sizeof a) == 0;
  }
};

// Plans by key, each thread's own since a run writes to the descriptor; the longest unused is
// dropped.
class PlanCache {
 public:
  GemmPlan& find(const GemmKey& key) {
    const auto found = plans_.find(key);
    if (found != plans_.end()) {
      order_.splice(order_.begin(), order_, found->second.place);
      return *found->second.plan;
    }
    auto plan = std::make_unique<GemmPlan>(key);
    if (plans_.size() >= kCapacity) {
      plans_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(key);
    return *plans_.emplace(key, Entry{std::move(plan), order_.begin()}).first->second.plan;
  }

 private:
  static constexpr size_t kCapacity = 1024;
  struct Entry {
    std::unique_ptr<GemmPlan> plan;
    std::list<GemmKey>::iterator place;
  };
  std::list<GemmKey> order_;
  std::unordered_map<GemmKey, Entry, HashKey, EqualKey> plans_;
};

}  // namespace

bool run_gemm(const GemmKey& key, const GemmPointers& pointers, double alpha, double beta) {
  thread_local const auto cache = std::make_unique<PlanCache>();
  GemmPlan& plan = cache->find(key);
  return plan.is_possible() && plan.run(key, pointers, alpha, beta);
}

}  // namespace taut::kernels::cuda
