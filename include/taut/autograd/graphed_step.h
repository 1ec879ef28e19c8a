#pragma once
// A function of tensors, such as a whole training step, that becomes a captured graph
// (taut/core/cuda_graph.h) once it has run a few times.
//   auto train = cuda::make_graphed([&](TensorList in) {
//     optimizer.zero_grad();
//     const Tensor loss = cross_entropy(model(in[0]), in[1]);
//     loss.backward();
//     optimizer.step();
//     return loss;
//   });
//   for (const auto& [x, y] : loader) loss = train({x, y})[0];
// Inputs may come from the host: those of the next call are copied to the GPU while it still works
// on this one. On the CPU the function is simply called.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "taut/base/callback.h"
#include "taut/core/tensor.h"

namespace taut::cuda {

struct GraphedOptions {
  /// Where the function works, and inputs are copied to: the current GPU if there is one. On kCPU
  /// there are no graphs.
  std::optional<Device> device = {};
  /// How many calls of each kind are run as they are before one is captured.
  int64_t warmup = 3;
  /// Whether results are copies, and not the memory that the next call writes to.
  bool clone_outputs = false;
  /// How many kinds of calls are kept; beyond it the one that was not used for longest is dropped.
  int64_t max_graphs = 4;
  /// Is told once what could not be captured, and why.
  Callback<void(const std::string& reason)> on_fallback = {};
};

/// Calls are of one kind when their inputs have the same shapes, dtypes and strides, and the modes
/// of this thread (grad mode, autocast, precision) agree. Each kind has a graph of its own, with
/// memory of its own. What cannot be captured is run as it is.
///
/// The function gets copies of its inputs; it must do the same for all calls of a kind, as host
/// code in it runs only at the capture. Results are outside of the tape, and good until the next
/// call. For one thread at a time.
class TAUT_API GraphedStep {
 public:
  using Step = Callback<Tensors(TensorList inputs)>;

  explicit GraphedStep(Step step, GraphedOptions options = {});
  GraphedStep(GraphedStep&&) noexcept;
  GraphedStep& operator=(GraphedStep&&) noexcept;
  ~GraphedStep();

  /// @throws ValueError for an input that requires grad. What the function throws is thrown on; the
  /// next call starts where this one did.
  Tensors operator()(const Tensors& inputs);
  /// The same for functions that take more than tensors: `step` has those arguments in it, and
  /// calls with another `key` are of another kind.
  Tensors call(const Tensors& inputs, std::string_view key, const Step& step);

  /// The number of the kind that the latest call was of; 0 where it was simply made.
  uint64_t latest_kind() const;
  /// The numbers of the kinds that are kept.
  std::vector<uint64_t> kinds() const;
  /// How many kinds have a graph now.
  int64_t graphs() const;
  /// Why a kind is run without a graph; empty when none is.
  const std::string& fallback_reason() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// A GraphedStep of a function that takes a TensorList and returns Tensors, a Tensor or nothing.
template <class Function>
GraphedStep make_graphed(Function function, GraphedOptions options = {}) {
  using Result = std::invoke_result_t<Function&, TensorList>;
  return GraphedStep(
      [function = std::move(function)](TensorList inputs) mutable -> Tensors {
        if constexpr (std::is_void_v<Result>) {
          function(inputs);
          return {};
        } else if constexpr (std::is_convertible_v<Result, Tensors>) {
          return function(inputs);
        } else {
          return {function(inputs)};
        }
      },
      std::move(options));
}

}  // namespace taut::cuda
