#pragma once
// From a schedule to CUDA C++ for its kernels, and how they are launched.

#include <cstdint>
#include <string>
#include <vector>

#include "src/fusion/graph.h"
#include "src/fusion/schedule.h"
#include "taut/base/macros.h"

namespace taut::fusion {

/// The name of every generated kernel.
inline constexpr const char* kKernelName = "taut::kernels::fusion::fused";
inline constexpr int kMostPointers = 24;
inline constexpr int kSizeCount = 4;

/// The one parameter of a generated kernel, as it is declared in its source.
struct KernelArguments {
  void* pointers[kMostPointers];
  int64_t sizes[kSizeCount];
};

/// What a kernel's pointer is.
struct Pointer {
  enum class Kind : uint8_t { argument, buffer, parts };
  Kind kind;
  int index;
};

struct KernelCode {
  std::string source;  // complete, for NVRTC
  std::string kernel;  // its own part, without what all have
  uint32_t grid[2] = {1, 1};
  uint32_t threads = 1;
  uint32_t shared_memory = 0;  // dynamic, in bytes
  std::vector<Pointer> pointers;
  int64_t sizes[kSizeCount] = {};
};

/// The parts of a sum that blocks leave, until the finish has added them.
struct Parts {
  DType dtype;
  int64_t numel;
};

struct GeneratedCode {
  std::vector<KernelCode> kernels;  // in the order in which they run
  std::vector<Parts> parts;
  std::string refusal;  // why there is none; empty otherwise
};

/// A graph's schedule and the code of its kernels.
struct Kernels {
  Schedule schedule;
  GeneratedCode code;
  std::string refusal;  // why there are none; empty otherwise
};

/// `alignments`: for each argument the bytes that its address is a multiple of, 16 at most; buffers
/// are aligned to 16. `share_results`: see ScheduleOptions. Nodes are added to the graph.
TAUT_API Kernels make_kernels(Graph& graph, const std::vector<NodeId>& roots,
                              const std::vector<int>& alignments, bool share_results);

}  // namespace taut::fusion
