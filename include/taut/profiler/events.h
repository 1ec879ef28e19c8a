#pragma once
// What a profile consists of. Times are nanoseconds since the profile began, on one clock for the
// CPU and for GPUs; "self" leaves out what happened in scopes within.

#include <cstdint>
#include <string>
#include <vector>

#include "taut/base/trace.h"
#include "taut/core/device.h"
#include "taut/core/dtype.h"

namespace taut::profiler {

/// The run of one scope on a CPU thread: an op, a backward function, a module, a step of an
/// optimizer, a range of the user. From the call to the return; on a GPU that is the time that the
/// host takes to queue the work.
struct Event {
  std::string name;
  ScopeKind kind = ScopeKind::op;
  int64_t start = 0;
  int64_t end = 0;
  int64_t thread = 0;  // as the system numbers threads
  int parent = -1;     // the scope around it on its thread: a position among the events
  /// Of a backward function: the op whose derivative it is, -1 when that is not in the profile.
  int forward = -1;
  /// The tape's node that an op became, or that a backward function belongs to; 0 for none.
  uint64_t sequence = 0;
  /// The path of the module that it belongs to; of a backward function that of its op. Empty when
  /// there is none.
  std::string module;
  /// Of the inputs, when shapes are recorded. The shape of an undefined tensor is empty.
  std::vector<std::vector<int64_t>> input_shapes;
  std::vector<DType> input_dtypes;
  Device device;                 // where it computed
  DType dtype = DType::float32;  // and in what
  double flops = 0;              // floating-point operations of its own
  double bytes = 0;              // read and written by itself
  int64_t cpu_memory = 0;        // bytes allocated less bytes freed by itself
  int64_t cuda_memory = 0;
  std::vector<int> device_events;  // what it put on GPUs itself: positions

  int64_t duration() const { return end - start; }
};

/// A kernel, a copy or a fill on a GPU.
struct DeviceEvent {
  enum class Kind : uint8_t { kernel, memcpy, memset };

  std::string name;
  Kind kind = Kind::kernel;
  int64_t start = 0;
  int64_t end = 0;
  int device = 0;
  int64_t stream = 0;
  uint32_t correlation = 0;  // that of the launch that put it there
  int event = -1;            // the scope that put it there, -1 for none
  int64_t bytes = 0;         // of a copy or a fill
  int grid[3] = {0, 0, 0};
  int block[3] = {0, 0, 0};
  int registers = 0;          // of each thread
  int64_t shared_memory = 0;  // bytes of each block
  uint32_t graph = 0;         // the captured graph that it is part of, 0 for none

  int64_t duration() const { return end - start; }
};

/// A call of the CUDA runtime or driver.
struct LaunchEvent {
  std::string name;
  int64_t start = 0;
  int64_t end = 0;
  int64_t thread = 0;
  uint32_t correlation = 0;
  int event = -1;  // the scope that made it, -1 for none
};

/// Memory that an allocator handed out or took back.
struct MemoryEvent {
  int64_t time = 0;
  Device device;
  uint64_t address = 0;
  int64_t bytes = 0;      // negative when it was given back
  int64_t allocated = 0;  // of the device in all, after it
  int event = -1;         // the scope in which it happened, -1 for none
};

}  // namespace taut::profiler
