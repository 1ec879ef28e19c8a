#pragma once
// Generated kernels of one graph, compiled and launched.

#include <cstdint>
#include <string>
#include <vector>

#include "src/fusion/codegen.h"
#include "src/fusion/graph.h"
#include "taut/core/tensor.h"

namespace taut::fusion {

/// What computes the roots of a graph for arguments like those that it was made for.
class Program {
 public:
  /// `alignments`: see make_kernels.
  Program(Graph& graph, const std::vector<NodeId>& roots, const std::vector<int>& alignments,
          bool share_results);

  /// Why there are no kernels; empty when there are.
  const std::string& refusal() const { return kernels_.refusal; }
  const GeneratedCode& code() const { return kernels_.code; }

  /// Runs the compiler where the disk does not know the kernels, for an architecture of
  /// kernels/jit. Needs no GPU. @throws CudaError, DeviceError.
  void compile(const std::string& architecture);
  /// Gives the kernels to the driver of the current device. @throws CudaError.
  void load();

  /// Puts the kernels on the current stream; arguments that no kernel reads may be undefined. A
  /// result that is an argument unchanged is that argument.
  Tensors run(Device device, const Tensor* arguments) const;

 private:
  // Where a kernel finds a pointer, or run() a result.
  struct Place {
    enum class Kind : uint8_t { argument, result, scratch };
    Kind kind;
    int index;
  };
  void find_places();

  Kernels kernels_;
  std::vector<Buffer> scratch_;             // memory that is no result
  std::vector<std::vector<Place>> places_;  // of each kernel's pointers
  std::vector<Place> results_;
  std::vector<const void*> compiled_;
  std::vector<void*> loaded_;
};

}  // namespace taut::fusion
