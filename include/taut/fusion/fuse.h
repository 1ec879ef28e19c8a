#pragma once
// Functions of tensors whose elementwise ops, views and reductions become a few generated kernels.
//   auto geglu = taut::fuse([](const Tensor& x) {
//     const Tensors parts = chunk(x, 2, -1);
//     return parts[0] * nn::functional::gelu(parts[1]);
//   });
//   Tensor y = geglu(x)[0];
// The first call of a kind (shapes, dtypes, strides, which inputs require grad) runs the function
// as it is and notes its ops; kernels for it, and for its gradients, are compiled in the background
// while further calls run as it is, too. On the CPU it always runs as it is.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "taut/base/callback.h"
#include "taut/base/macros.h"
#include "taut/core/tensor.h"

namespace taut {

struct FuseOptions {
  /// Whether the first call of a kind waits until its kernels are compiled, for the next one.
  bool wait = false;
  /// How many kinds of calls get kernels; others run as they are.
  int64_t max_kinds = 64;
  /// Is told once of a function that runs as it is on the GPU, and why.
  Callback<void(const std::string& reason)> on_fallback = {};
};

/// What a fused function does with calls of one kind.
struct FusedKind {
  /// The inputs: dtypes and shapes.
  std::string inputs;
  /// Whether its kernels are there.
  bool is_ready = false;
  /// Why it has none; empty when it has, or will have, some.
  std::string refusal;
  /// How many kernels forward and backward launch.
  int64_t forward_kernels = 0;
  int64_t backward_kernels = 0;
  /// The generated CUDA C++ of them, without what all have in common.
  std::string source;
};

/// A function that gives the same results in fewer kernels, within rounding: 16-bit floats are
/// rounded where the function casts and where it returns, not after each op.
///
/// The function must do the same for all calls of a kind: it is run for the first of them only, and
/// once more then. It may not read values on the host, draw random numbers,
/// write to its inputs in place or use tensors that are no inputs; then it runs as it is, and
/// kinds() tells why. May be called by several threads at once.
class TAUT_API FusedFunction {
 public:
  using Function = Callback<Tensors(TensorList inputs)>;

  explicit FusedFunction(Function function, FuseOptions options = {});
  FusedFunction(FusedFunction&&) noexcept;
  FusedFunction& operator=(FusedFunction&&) noexcept;
  ~FusedFunction();

  /// @throws what the function throws.
  Tensors operator()(TensorList inputs);
  template <std::same_as<Tensor>... Rest>
  Tensors operator()(const Tensor& first, const Rest&... rest) {
    const Tensor inputs[] = {first, rest...};
    return (*this)(TensorList(inputs));
  }
  /// Makes the kernels for calls like this one, and waits for them; the function is run. Returns
  /// whether there are kernels.
  bool compile(TensorList inputs);

  /// A call of a function that takes more than tensors.
  struct Call {
    TensorList inputs;
    /// The function with its other arguments in it.
    const Function& function;
    /// Calls with another key are of another kind.
    std::string_view key = {};
    /// How many of the inputs, the last ones, the function does not take but refers to: the
    /// parameters and buffers of a module.
    size_t referred = 0;
  };
  /// `kind`, if given, gets the number of the call's kind, from 1 on; 0 where it has none.
  Tensors call(const Call& call, uint64_t* kind = nullptr);
  bool compile(const Call& call, uint64_t* kind = nullptr);
  /// The same as call() where the kernels are there, without a run of the function; nothing, and
  /// nothing done, where they are not.
  std::optional<Tensors> call_if_ready(const Call& call, uint64_t* kind = nullptr);

  /// What became of the calls so far, the kinds in the order of their first calls.
  std::vector<FusedKind> kinds() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

namespace detail {

// A function of TensorList, or of up to four tensors, that returns Tensors or a Tensor.
template <class Function>
FusedFunction::Function as_list_function(Function function) {
  return [function = std::move(function)](TensorList inputs) mutable -> Tensors {
    const auto call = [&]() -> decltype(auto) {
      if constexpr (std::is_invocable_v<Function&, TensorList>) {
        return function(inputs);
      } else if constexpr (std::is_invocable_v<Function&, const Tensor&>) {
        return function(inputs[0]);
      } else if constexpr (std::is_invocable_v<Function&, const Tensor&, const Tensor&>) {
        return function(inputs[0], inputs[1]);
      } else if constexpr (std::is_invocable_v<Function&, const Tensor&, const Tensor&,
                                               const Tensor&>) {
        return function(inputs[0], inputs[1], inputs[2]);
      } else {
        return function(inputs[0], inputs[1], inputs[2], inputs[3]);
      }
    };
    if constexpr (std::is_convertible_v<decltype(call()), Tensor>) {
      return {call()};
    } else {
      return call();
    }
  };
}

}  // namespace detail

/// The function as a FusedFunction. It takes a TensorList, or up to four tensors, and returns
/// Tensors or a Tensor.
template <class Function>
FusedFunction fuse(Function function, FuseOptions options = {}) {
  return FusedFunction(detail::as_list_function(std::move(function)), std::move(options));
}

}  // namespace taut
