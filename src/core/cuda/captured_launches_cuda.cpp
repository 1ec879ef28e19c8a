#include <cstdlib>

#include "src/core/cuda/captured_launches.h"
#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"

namespace taut::cuda {
namespace {

// The node that was captured last on a stream: what comes next on it waits for that one alone.
cudaGraphNode_t last_node(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  const cudaGraphNode_t* nodes = nullptr;
  size_t count = 0;
#if CUDART_VERSION >= 13000
  const cudaGraphEdgeData* edges = nullptr;
  const cudaError_t result =
      cudaStreamGetCaptureInfo(stream, &status, nullptr, nullptr, &nodes, &edges, &count);
#elif CUDART_VERSION >= 12030
  const cudaGraphEdgeData* edges = nullptr;
  const cudaError_t result =
      cudaStreamGetCaptureInfo_v3(stream, &status, nullptr, nullptr, &nodes, &edges, &count);
#else
  const cudaError_t result =
      cudaStreamGetCaptureInfo_v2(stream, &status, nullptr, nullptr, &nodes, &count);
#endif
  check("graph: the captured launch", result);
  TAUT_CHECK(status == cudaStreamCaptureStatusActive && count == 1, CudaError,
             "graph: a launch on the stream was not captured");
  return nodes[0];
}

}  // namespace

CapturedLaunches::~CapturedLaunches() { std::free(nodes_); }

void CapturedLaunches::add() {
  const cudaGraphNode_t node = last_node(static_cast<cudaStream_t>(launch_stream()));
  void* grown = std::realloc(nodes_, (count_ + 1) * sizeof(void*));
  TAUT_CHECK(grown != nullptr, OutOfMemoryError, "graph: no memory for a captured launch");
  nodes_ = static_cast<void**>(grown);
  nodes_[count_++] = node;
}

void CapturedLaunches::set_next(const void* kernel, unsigned blocks, unsigned threads,
                                void** arguments) {
  TAUT_ASSERT(next_ < count_ && graph_to_replay() != nullptr);
  cudaKernelNodeParams launch{};
  launch.func = const_cast<void*>(kernel);
  launch.gridDim = dim3(blocks);
  launch.blockDim = dim3(threads);
  launch.kernelParams = arguments;
  check("graph: arguments of a replay",
        cudaGraphExecKernelNodeSetParams(graph_to_replay(),
                                         static_cast<cudaGraphNode_t>(nodes_[next_++]), &launch));
}

}  // namespace taut::cuda
