#pragma once
// What a CUDA kernel's launcher needs of the core: the stream to launch on, memory for intermediate
// results, and a place where kernels report indices that are out of range.
//
// Note [Ambient stream]
// A kernel does not get its stream as an argument: kernels_of(device) makes the tensor's device
// current, and launchers ask launch_stream() for that device's current stream on this thread. So no
// op can forget to pass the stream on, which would show only in a capture or as a race.

#include <cstddef>
#include <cstdint>

#include "taut/core/device.h"

namespace taut::cuda {

/// The current stream of this thread on the device that is current: a cudaStream_t.
void* launch_stream();
/// The index of the device that is current on this thread.
int launch_device();

/// Blocks of a grid, or threads of a block.
struct LaunchDims {
  unsigned x = 1, y = 1, z = 1;
};

/// Puts a kernel on the stream; check_launch() tells whether that went well. From Hopper on it may
/// begin while the kernel before it ends: see Note [Overlapped launches].
void launch(const void* kernel, const LaunchDims& grid, const LaunchDims& block,
            size_t shared_bytes, void** arguments);
/// @throws CudaError that names the op when one of its kernels since the last check could not be
/// launched.
void check_launch(const char* op);

/// A function of the driver, found by way of the runtime, so that nothing links to libcuda.
/// @throws CudaError when the driver is older than CUDA 12, the oldest that Taut is built with.
void* driver_function(const char* name);
/// One that drivers have since `version` (12040 for 12.4); null in an older one.
void* find_driver_function(const char* name, unsigned version);

/// Uninitialised device memory for the work of one op, aligned to 512 bytes. It goes back to the
/// allocator at the end of the scope; whatever is launched on the stream later may use it again.
class Scratch {
 public:
  /// @throws OutOfMemoryError.
  explicit Scratch(size_t bytes);
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();

  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  void* block_ = nullptr;
};

// Note [Index faults]
// The host cannot look at indices that lie on the GPU without waiting for it. A kernel that meets
// an index out of range leaves that element alone (never follows it) and fills the device's one
// IndexFault, which lies in host memory that the GPU can write. The next synchronisation finds it,
// clears it and throws the IndexError; the context stays usable. Of several faults in between the
// first to come is told. Which thread that is, is settled in the device's own memory: atomics on
// the host's need hardware that not every machine has.

/// One report; the fields are those of kernels::IndexResult. Values that an op does not take are
/// told in the same way: then `expected` says in words what it takes, and `value` is what came.
struct IndexFault {
  unsigned int complete = 0;
  const char* op = nullptr;  // a host address: the name of the op, which never goes away
  const char* expected = nullptr;
  int64_t index = 0;
  int64_t size = 0;
  int64_t position = 0;
  int64_t operand = 0;
  double value = 0;
};

/// Where kernels on one device report, by the addresses that they use.
struct IndexFaultSlot {
  unsigned int* claimed = nullptr;  // on the device: set by the thread that writes the report
  IndexFault* report = nullptr;     // in host memory
};

/// The current device's.
IndexFaultSlot index_fault();

/// Waits for the current stream and throws what went wrong in `op`, when the debug switch for it is
/// on (see set_sync_debug_mode in taut/core/cuda.h); not during a capture.
void synchronize_when_debugging(const char* op);

/// Whether this thread's current stream is being captured into a graph.
bool is_launch_captured();

/// To be called before `op` copies something to the host and waits for it.
/// @throws CudaError while the current stream is being captured into a graph.
void check_can_wait(const char* op);

}  // namespace taut::cuda
