#pragma once
// Running the tape backwards.
//   backward({loss});                      // adds to the grad of every leaf
//   auto [gx, gw] = grad({loss}, {x, w});  // returns gradients, touches no leaf

#include <optional>
#include <vector>

#include "taut/core/tensor.h"

namespace taut::autograd {

/// Sums d(tensors)/d(leaf), weighted by grad_tensors (ones for single elements), into the grad of
/// each leaf, or of `inputs` only when given. The graph is freed as it is walked unless
/// retain_graph, which defaults to create_graph; create_graph records the walk itself.
/// @throws AutogradError when nothing requires grad, a gradient is missing, or the graph was freed.
TAUT_API void backward(TensorList tensors, TensorList grad_tensors = {},
                       std::optional<bool> retain_graph = std::nullopt, bool create_graph = false,
                       TensorList inputs = {});

/// The gradients of sum(outputs * grad_outputs) with respect to `inputs`. An input that the outputs
/// do not depend on is an error, or an undefined tensor with allow_unused, or zeros with
/// materialize_grads.
TAUT_API Tensors grad(TensorList outputs, TensorList inputs, TensorList grad_outputs = {},
                      std::optional<bool> retain_graph = std::nullopt, bool create_graph = false,
                      bool allow_unused = false, bool materialize_grads = false);

inline Tensors grad(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> inputs) {
  return grad(TensorList(outputs.begin(), outputs.size()),
              TensorList(inputs.begin(), inputs.size()));
}

/// Reports the first gradient that is not finite as an error that names the op and where it was
/// called. Costly: for debugging.
class TAUT_API AnomalyMode {
 public:
  explicit AnomalyMode(bool enabled = true, bool check_nan = true);
  AnomalyMode(const AnomalyMode&) = delete;
  AnomalyMode& operator=(const AnomalyMode&) = delete;
  ~AnomalyMode();
  static bool is_enabled();
  static bool checks_nan();

 private:
  bool previous_enabled_;
  bool previous_check_;
};

/// Tells anomaly mode where the current op was called from; the Python package sets it.
using CallSiteFn = std::string (*)();
TAUT_API void set_call_site_provider(CallSiteFn provider);

}  // namespace taut::autograd
