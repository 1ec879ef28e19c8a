#pragma once
// Generated kernels of one graph, compiled and launched.

#include <memory>
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
  Kernels kernels_;
  std::vector<const void*> compiled_;
  std::vector<void*> loaded_;
};

}  // namespace taut::fusion
