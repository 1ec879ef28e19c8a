#pragma once
// Ops of your own with a name: versions for the CPU and for CUDA, one made of other ops, and a
// derivative. Constructing a CustomOp registers it, so an object of namespace scope in a plugin
// does so when the plugin is loaded.
//   const CustomOp cube({
//       .name = "my_ops::cube",
//       .inputs = {"x"},
//       .cpu = {.forward = [](CustomCall& call, const Tensors& in) { ... }},
//       .composed = [](CustomCall&, const Tensors& in) { return Tensors{in[0] * in[0] * in[0]}; },
//   });
//   Tensor y = cube({x})[0];
//
// Which version runs: that of the inputs' device, else `composed`. Which derivative: the backward
// of that device, else the common one, else that of `composed`. Second derivatives go through
// `composed` unless backward is said to be differentiable. What is missing is an error that says
// so.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "taut/autograd/function.h"
#include "taut/base/callback.h"
#include "taut/core/scalar.h"
#include "taut/core/tensor.h"
#include "taut/extension/plugin_abi.h"

namespace taut {

namespace detail {
struct RegisteredOp;
}

/// The line of a source where something is called: a default argument `CodePlace::here()` is that
/// of the caller.
struct CodePlace {
  const char* file;
  int line;
  static constexpr CodePlace here(const char* file = __builtin_FILE(),
                                  int line = __builtin_LINE()) {
    return {file, line};
  }
};

/// A number or a switch that a call gives beside its tensors: {"scale", 0.5}.
struct CustomAttribute {
  std::string name;
  Scalar value;
};
using CustomAttributes = std::vector<CustomAttribute>;

/// One call of an op, as its functions see it.
class TAUT_API CustomCall {
 public:
  /// The value of an attribute that the definition lists. @throws ValueError for another name.
  const Scalar& attribute(std::string_view name) const;
  bool flag(std::string_view name) const { return attribute(name).to_bool(); }
  int64_t integer(std::string_view name) const { return attribute(name).to_int64(); }
  double number(std::string_view name) const { return attribute(name).to_double(); }
  /// All of them, in the order of the definition.
  const std::vector<Scalar>& attributes() const { return *values_; }

  // ---- In forward -----------------------------------------------------------------------------

  /// Keeps tensors for backward, checked for later in-place writes: inputs, outputs, and, unless
  /// backward is said to be differentiable, others.
  void save_for_backward(Tensors tensors);
  /// Outputs through which no gradient flows; integers and bools are such by themselves.
  void mark_non_differentiable(Tensors outputs);

  // ---- In forward and backward ----------------------------------------------------------------

  /// Whether the gradient of an input is wanted.
  bool needs_input_grad(size_t input) const;

  // ---- In backward ----------------------------------------------------------------------------

  /// What forward saved. @throws AutogradError when one was overwritten since.
  Tensors saved_tensors() const;

 private:
  friend struct CustomOpRunner;
  using Values = std::shared_ptr<const std::vector<Scalar>>;
  CustomCall(const detail::RegisteredOp& op, Values values,
             autograd::FunctionContext* context = nullptr, size_t saved_count = 0)
      : op_(&op), values_(std::move(values)), context_(context), saved_count_(saved_count) {}
  autograd::FunctionContext& context() const;

  const detail::RegisteredOp* op_;
  Values values_;
  autograd::FunctionContext* context_;  // null where nothing is recorded: in check and composed
  size_t saved_count_;
  Tensors to_save_;
};

/// Forward and composed: from the inputs to the outputs. Backward: from the gradients of the
/// outputs, zeros where there is none, to one for each input, undefined where there is none.
using CustomFunction = Callback<Tensors(CustomCall&, const Tensors&)>;
/// Looks at the inputs and throws ShapeError, DTypeError or ValueError.
using CustomCheck = Callback<void(CustomCall&, const Tensors&)>;

/// What an op does on one type of device. Forward runs off the tape and returns new tensors.
struct CustomImplementation {
  CustomFunction forward = {};
  CustomFunction backward = {};
};

/// What autocast does to the inputs of an op; see autocast_mode.h.
enum class AutocastPolicy : uint8_t { as_they_are, lower_dtype, float32, widest_dtype };

struct CustomOpDefinition {
  /// "namespace::name", both identifiers; the namespace "taut" is the library's own.
  std::string name;
  /// What the inputs are called; with a "?" at its end one may be undefined.
  std::vector<std::string> inputs;
  /// The attributes and what they are unless a call says otherwise. A call gives a bool for a bool,
  /// an integer for an integer, any number for a float.
  CustomAttributes attributes = {};
  /// Called first, on every device.
  CustomCheck check = {};
  CustomImplementation cpu = {};
  CustomImplementation cuda = {};
  /// The same made of differentiable ops, for devices without a version and for derivatives that
  /// nothing else gives.
  CustomFunction composed = {};
  /// For devices whose implementation has none of its own.
  CustomFunction backward = {};
  /// Whether backward calls differentiable ops only, so that it is its own second derivative. It
  /// then serves with create_graph too, and nothing is kept for `composed`.
  bool differentiable_backward = false;
  AutocastPolicy autocast = AutocastPolicy::as_they_are;
};

/// A handle of a registered op, which is never unregistered. Calls are safe from many threads.
class TAUT_API CustomOp {
 public:
  /// Registers the op. @throws ValueError for a bad name, a name that is taken (with the place of
  /// the other registration) or a definition that cannot run anywhere.
  explicit CustomOp(CustomOpDefinition definition, CodePlace place = CodePlace::here());
  /// The same from another language, whose place is a text.
  CustomOp(CustomOpDefinition definition, std::string place);

  /// The registered op of a name. @throws ValueError that names what is registered.
  static CustomOp find(std::string_view name);
  /// The names of all registered ops, sorted.
  static std::vector<std::string> names();

  /// Adds what the op does on a type of device; for ops whose versions are made in several places.
  /// @throws ValueError when it has one already.
  void implement(DeviceType device, CustomImplementation implementation,
                 CodePlace place = CodePlace::here()) const;
  void implement(DeviceType device, CustomImplementation implementation, std::string place) const;

  /// Runs it on one tensor for each input, all on one device.
  /// @throws ValueError for a wrong number of inputs or an unknown attribute, DeviceError for
  /// several devices, NotImplementedError where there is no version for the device.
  Tensors operator()(TensorList inputs, const CustomAttributes& attributes = {}) const;
  Tensors operator()(std::initializer_list<Tensor> inputs,
                     const CustomAttributes& attributes = {}) const {
    return (*this)(TensorList(inputs.begin(), inputs.size()), attributes);
  }

  const CustomOpDefinition& definition() const;
  const std::string& name() const { return definition().name; }

 private:
  explicit CustomOp(detail::RegisteredOp* op) : op_(op) {}
  detail::RegisteredOp& op() const;

  detail::RegisteredOp* op_ = nullptr;  // null when load_library holds what its registration threw
};

}  // namespace taut
