#pragma once
// The one door to cuDNN: a handle, and graphs of cudnn-frontend made into plans.
// https://docs.nvidia.com/deeplearning/cudnn: "Graph API"

#include <memory>
#include <unordered_map>

// Its functions are found in the library that is opened at first use.
#define NV_CUDNN_FRONTEND_USE_DYNAMIC_LOADING
#include <cudnn_frontend.h>

#include "kernels/api/precision.h"
#include "taut/core/dtype.h"

namespace taut::kernels::cuda {

namespace fe = cudnn_frontend;

/// This thread's handle for the current device, set to the current stream. @throws DeviceError
/// without the library.
cudnnHandle_t cudnn_handle();

/// The version of the library, as in 91900.
size_t cudnn_version();

/// An empty graph that reads and writes `dtype` and computes in float32. Graphs come from here
/// alone: cudnn-frontend asks the library while one is put together, so it must be open by then.
/// @throws DeviceError without the library.
std::shared_ptr<fe::graph::Graph> new_cudnn_graph(DType dtype);

/// A graph that was compiled for one device.
struct CudnnPlan {
  std::shared_ptr<fe::graph::Graph> graph;
  int64_t workspace_bytes = 0;
};

/// What a plan may and may not do: keep to the precision of float32, give the same bits in every
/// run.
struct CudnnTerms {
  DType dtype;
  Float32Precision precision;
  bool must_repeat;
};

/// Compiles a graph by the first of the kernels that `mode` proposes which keeps to the terms. The
/// plan is empty when there is none.
CudnnPlan make_cudnn_plan(const std::shared_ptr<fe::graph::Graph>& graph, const CudnnTerms& terms,
                          fe::HeurMode_t mode);

/// The same by cuDNN's heuristic or, where that proposes nothing that runs, by the kernels that
/// cuDNN falls back to. To list those takes it several times as long. `build` makes the graph.
template <class Build>
CudnnPlan make_cudnn_plan(const Build& build, const CudnnTerms& terms) {
  CudnnPlan plan = make_cudnn_plan(build(), terms, fe::HeurMode_t::A);
  if (plan.graph == nullptr) plan = make_cudnn_plan(build(), terms, fe::HeurMode_t::FALLBACK);
  return plan;
}

/// Runs a plan on the current stream; `tensors` are pointers by the uids of the graph.
/// @throws CudaError in the name of `op`.
void run_cudnn_plan(const char* op, const CudnnPlan& plan,
                    std::unordered_map<int64_t, void*>& tensors);

}  // namespace taut::kernels::cuda
