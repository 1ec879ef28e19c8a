#pragma once
// A function as a graph: what it returns, and the gradients of that by its inputs.

#include <cstddef>
#include <string>
#include <vector>

#include "src/fusion/graph.h"
#include "taut/base/callback.h"
#include "taut/base/macros.h"
#include "taut/core/tensor.h"

namespace taut::fusion {

using Function = Callback<Tensors(TensorList inputs)>;

/// The arguments of `backward` are the inputs, then the outputs, then the outputs' gradients.
struct Trace {
  Graph graph;
  std::vector<NodeId> outputs;
  /// One for each input; -1 where there is no gradient. Empty where no output has any.
  std::vector<NodeId> gradients;
  /// Outputs through which no gradient flows.
  std::vector<bool> is_constant;
  /// Why the function cannot be fused; empty when it can.
  std::string refusal;
};

/// Runs the function under a tracer, and puts its results in `results`. An input that shows the
/// same elements as another, or as a tensor that the function refers to, is taken for it; whether
/// the function can be fused does not depend on that.
TAUT_API Trace trace_call(const Function& function, TensorList inputs, Tensors& results);

/// Runs it on tensors of the inputs' elements, of which those of `wanted` require grad, and its
/// derivative with it. The last `referred` inputs stay as they are: the function uses them without
/// being given them. For functions that trace_call did not refuse, as these write to no input.
TAUT_API Trace trace_with_gradients(const Function& function, TensorList inputs,
                                    const std::vector<bool>& wanted, size_t referred = 0);

/// Outputs in the place of what they were computed from, where the gradients have fewer bytes to
/// read then.
TAUT_API void read_outputs(Trace& trace);

}  // namespace taut::fusion
