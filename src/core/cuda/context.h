#pragma once
// The CUDA runtime as src/core/cuda uses it: checks of status codes, the device and the streams
// that are current on this thread. Only for files of a build with CUDA.

#include <cuda_runtime_api.h>

#include <string>

#include "taut/base/check.h"
#include "taut/core/device.h"

namespace taut::cuda {

inline constexpr int kMaxDevices = 16;

/// @throws CudaError that names what was tried, or IndexError where a kernel met such an index.
inline void check(const char* what, cudaError_t status) {
  TAUT_CHECK(status == cudaSuccess, CudaError, what, ": ", cudaGetErrorString(status));
}

/// @throws DeviceError when the machine has no such GPU.
void check_device(Device device);

/// Makes the runtime's device that of the argument, unless it is already.
void make_current(Device device);

/// Makes a device the runtime's for a scope.
class RuntimeGuard {
 public:
  explicit RuntimeGuard(Device device) {
    check("cudaGetDevice", cudaGetDevice(&previous_));
    if (previous_ != device.index()) check("cudaSetDevice", cudaSetDevice(device.index()));
    current_ = device.index();
  }
  RuntimeGuard(const RuntimeGuard&) = delete;
  RuntimeGuard& operator=(const RuntimeGuard&) = delete;
  ~RuntimeGuard() {
    if (previous_ != current_) cudaSetDevice(previous_);
  }

 private:
  int previous_ = 0;
  int current_ = 0;
};

/// This thread's current stream on a device, without looking at what is current.
cudaStream_t stream_on(int device);

inline bool is_captured(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  return cudaStreamIsCapturing(stream, &status) == cudaSuccess &&
         status != cudaStreamCaptureStatusNone;
}

/// @throws CudaError that names `what`, which makes the host wait for this thread's stream on
/// `device`, while that is being captured into a graph.
void check_can_wait(const char* what, Device device);

/// Notes why this thread's capture fails, if it is capturing a Graph; the first reason stays.
void note_capture_refusal(const std::string& reason);

/// The graph whose callbacks this thread runs before a replay; null at other times.
cudaGraphExec_t graph_to_replay();

/// Throws the IndexError of a fault that a kernel reported, after a synchronisation.
void throw_index_fault(Device device);

}  // namespace taut::cuda
