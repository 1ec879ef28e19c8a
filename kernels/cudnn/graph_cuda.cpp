#include "taut/base/config.h"

#if TAUT_HAS_CUDNN

#include <dlfcn.h>

#include "kernels/api/cuda_library.h"
#include "kernels/cudnn/graph.h"
#include "src/core/cuda/launch_context.h"
#include "taut/base/check.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;
}

namespace taut::kernels::cuda {
namespace {

void open_cudnn() {
  static const bool opened = [] {
    static const CudaLibrary library("cuDNN 9", {"libcudnn.so.9"});
    cudnn_frontend::cudnn_dlhandle = library.handle();
    return true;
  }();
  static_cast<void>(opened);
}

// One for each device that this thread has used; a handle must not be shared among threads.
class Handles {
 public:
  ~Handles() {
    for (cudnnHandle_t handle : handles_) {
      if (handle != nullptr) fe::detail::destroy_handle(handle);
    }
  }
  cudnnHandle_t& operator[](int device) { return handles_[device]; }

 private:
  cudnnHandle_t handles_[64] = {};
};

fe::DataType_t cudnn_type(DType dtype) {
  switch (dtype) {
    case DType::float64: return fe::DataType_t::DOUBLE;
    case DType::float16: return fe::DataType_t::HALF;
    case DType::bfloat16: return fe::DataType_t::BFLOAT16;
    default: return fe::DataType_t::FLOAT;
  }
}

}  // namespace

cudnnHandle_t cudnn_handle() {
  open_cudnn();
  thread_local const auto handles = std::make_unique<Handles>();
  cudnnHandle_t& handle = (*handles)[taut::cuda::launch_device()];
  if (handle == nullptr) {
    const cudnnStatus_t status = fe::detail::create_handle(&handle);
    TAUT_CHECK(status == CUDNN_STATUS_SUCCESS, CudaError,
               "cudnn: cannot start: ", fe::detail::get_error_string(status));
  }
  fe::detail::set_stream(handle, static_cast<cudaStream_t>(taut::cuda::launch_stream()));
  return handle;
}

size_t cudnn_version() {
  open_cudnn();
  return fe::detail::get_backend_version();
}

std::shared_ptr<fe::graph::Graph> new_cudnn_graph(DType dtype) {
  open_cudnn();
  auto graph = std::make_shared<fe::graph::Graph>();
  graph->set_io_data_type(cudnn_type(dtype))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  return graph;
}

CudnnPlan make_cudnn_plan(const std::shared_ptr<fe::graph::Graph>& graph, const CudnnTerms& terms,
                          fe::HeurMode_t mode) {
  const cudnnHandle_t handle = cudnn_handle();
  if (graph->validate().is_bad() || graph->build_operation_graph(handle).is_bad()) return {};
  if (graph->create_execution_plans({mode}).is_bad()) return {};
  std::vector<fe::NumericalNote_t> refused = {fe::NumericalNote_t::DOWN_CONVERT_INPUTS,
                                              fe::NumericalNote_t::REDUCED_PRECISION_REDUCTION};
  if (terms.must_repeat) refused.push_back(fe::NumericalNote_t::NONDETERMINISTIC);
  if (terms.dtype == DType::float32 && terms.precision == Float32Precision::highest) {
    refused.push_back(fe::NumericalNote_t::TENSOR_CORE);  // which rounds the factors to tf32
  }
  graph->deselect_numeric_notes(refused);
  if (graph->check_support().is_bad()) return {};
  if (graph->build_plans(fe::BuildPlanPolicy_t::HEURISTICS_CHOICE).is_bad()) return {};
  CudnnPlan plan;
  if (graph->get_workspace_size(plan.workspace_bytes).is_bad()) return {};
  plan.graph = graph;
  return plan;
}

void run_cudnn_plan(const char* op, const CudnnPlan& plan,
                    std::unordered_map<int64_t, void*>& tensors) {
  const taut::cuda::Scratch workspace(static_cast<size_t>(plan.workspace_bytes));
  auto status = plan.graph->execute(cudnn_handle(), tensors, workspace.data());
  TAUT_CHECK(!status.is_bad(), CudaError, op, ": cuDNN: ", status.get_message());
  taut::cuda::synchronize_when_debugging(op);
}

}  // namespace taut::kernels::cuda

#endif
