#include "taut/extension/custom_op.h"

#include <algorithm>

#include "src/extension/call_arguments.h"
#include "src/extension/op_registry.h"
#include "src/ops/autocast.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/record.h"
#include "taut/base/check.h"
#include "taut/ops/view.h"

namespace taut {

using autograd::FunctionContext;
using detail::attribute_values;
using detail::cast_inputs;
using detail::check_inputs;
using detail::common_device;
using detail::RegisteredOp;

// ---- a call -----------------------------------------------------------------------------------

const Scalar& CustomCall::attribute(std::string_view name) const {
  const CustomAttributes& attributes = op_->definition.attributes;
  for (size_t i = 0; i < attributes.size(); ++i) {
    if (attributes[i].name == name) return (*values_)[i];
  }
  detail::raise<ValueError>(op_->definition.name, ": it has no attribute '", name, "'");
}

FunctionContext& CustomCall::context() const {
  TAUT_CHECK(context_ != nullptr, AutogradError, op_->definition.name,
             ": this can be asked in forward and backward only, not in check and composed");
  return *context_;
}

void CustomCall::save_for_backward(Tensors tensors) {
  context();
  to_save_ = std::move(tensors);
}
void CustomCall::mark_non_differentiable(Tensors outputs) {
  context().mark_non_differentiable(std::move(outputs));
}
bool CustomCall::needs_input_grad(size_t input) const {
  const size_t count = op_->definition.inputs.size();
  TAUT_CHECK(input < count, IndexError, op_->definition.name, ": there is no input ", input,
             "; it has ", count);
  return context().needs_input_grad(input);
}
Tensors CustomCall::saved_tensors() const { return context().saved_tensors(0, saved_count_); }

// ---- running an op ----------------------------------------------------------------------------

struct CustomOpRunner {
  using Values = CustomCall::Values;
  using Version = RegisteredOp::Version;

  static Tensors run(const RegisteredOp& op, Tensors inputs, const CustomAttributes& given) {
    check_inputs(op.definition, inputs);
    const AutocastPolicy policy = op.definition.autocast;
    if (policy == AutocastPolicy::as_they_are || !ops::is_autocast()) {
      return run_on_device(op, inputs, attribute_values(op.definition, given));
    }
    const ops::AutocastPause pause;
    cast_inputs(policy, inputs);
    return run_on_device(op, inputs, attribute_values(op.definition, given));
  }

  static Tensors run_on_device(const RegisteredOp& op, const Tensors& inputs,
                               const Values& values) {
    const Device device = common_device(op.definition, inputs);
    CustomCall plain(op, values);
    if (op.definition.check) op.definition.check(plain, inputs);
    const Version* version = op.version(device.type());
    if (version != nullptr) return run_version(op, *version, inputs, values);
    TAUT_CHECK(static_cast<bool>(op.definition.composed), NotImplementedError, op.definition.name,
               ": it has no version for ", device, " and none composed of other ops");
    return op.definition.composed(plain, inputs);
  }

  static Tensors run_version(const RegisteredOp& op, const Version& version, const Tensors& inputs,
                             const Values& values) {
    // Forward tells how many tensors it saved before backward can be asked for them.
    const auto saved_count = std::make_shared<size_t>(0);
    const CustomOpDefinition& definition = op.definition;
    return autograd::apply_function(
        definition.name.c_str(), inputs,
        [&](FunctionContext& context) {
          CustomCall call(op, values, &context);
          Tensors outputs = forward(version, call, inputs);
          *saved_count = call.to_save_.size();
          if (definition.differentiable_backward) check_saved(call, inputs, outputs);
          Tensors to_save = std::move(call.to_save_);
          if (needs_composed(op, version)) {
            to_save.insert(to_save.end(), inputs.begin(), inputs.end());
          }
          context.save_for_backward(std::move(to_save));
          return outputs;
        },
        [&op, &version, values, saved_count](FunctionContext& context, const Tensors& grads) {
          CustomCall call(op, values, &context, *saved_count);
          return backward(op, version, call, grads);
        });
  }

  static const CustomFunction& backward_of(const RegisteredOp& op, const Version& version) {
    const CustomFunction& own = version.implementation.backward;
    return own ? own : op.definition.backward;
  }

  // Whether a backward may call composed, which needs the inputs.
  static bool needs_composed(const RegisteredOp& op, const Version& version) {
    const bool is_enough = backward_of(op, version) && op.definition.differentiable_backward;
    return op.definition.composed && !is_enough;
  }

  static Tensors forward(const Version& version, CustomCall& call, const Tensors& inputs) {
    std::vector<uint32_t> before;
    for (const Tensor& input : inputs) {
      before.push_back(input.defined() ? input.storage()->version() : 0);
    }
    Tensors outputs = version.implementation.forward(call, inputs);
    const CustomOpDefinition& definition = call.op_->definition;
    for (size_t i = 0; i < inputs.size(); ++i) {
      TAUT_CHECK(!inputs[i].defined() || inputs[i].storage()->version() == before[i], ValueError,
                 definition.name, ": forward wrote to ", definition.inputs[i],
                 " in place; an op returns new tensors");
    }
    TAUT_CHECK(!outputs.empty(), ValueError, definition.name, ": forward returned no tensor");
    return outputs;
  }

  // A tensor of forward's own has no history: a second derivative through it would be lost.
  static void check_saved(const CustomCall& call, const Tensors& inputs, const Tensors& outputs) {
    const auto contains = [](const Tensors& list, const Tensor& tensor) {
      return std::any_of(list.begin(), list.end(),
                         [&](const Tensor& entry) { return entry.is_same(tensor); });
    };
    for (const Tensor& tensor : call.to_save_) {
      TAUT_CHECK(contains(inputs, tensor) || contains(outputs, tensor), AutogradError,
                 call.op_->definition.name,
                 ": forward saved a tensor that is neither input nor output, through which a "
                 "differentiable backward would lose its derivative; return it as an output");
    }
  }

  static Tensors backward(const RegisteredOp& op, const Version& version, CustomCall& call,
                          const Tensors& grads) {
    const CustomOpDefinition& definition = op.definition;
    const CustomFunction& own = backward_of(op, version);
    // Grad mode is on while the walk itself is recorded, with create_graph.
    const bool is_recorded = is_grad_enabled();
    if (own && (!is_recorded || definition.differentiable_backward)) return own(call, grads);
    if (definition.composed) return composed_backward(op, call, grads, is_recorded);
    TAUT_CHECK(!static_cast<bool>(own), NotImplementedError, definition.name,
               ": it has no second derivative: its backward is not said to be differentiable, and "
               "it has no composed version");
    detail::raise<NotImplementedError>(definition.name, ": it has no derivative on ",
                                       grads[0].device(),
                                       ": neither a backward nor a composed version");
  }

  // The derivative of the composed version. It gets aliases, since an input that was given twice,
  // or made of another, must not count what goes to the other.
  static Tensors composed_backward(const RegisteredOp& op, const CustomCall& call,
                                   const Tensors& grads, bool create_graph) {
    const EnableGradGuard enable_grad;
    const size_t count = op.definition.inputs.size();
    Tensors inputs = call.context_->saved_tensors(call.saved_count_, count);
    Tensors wanted;
    std::vector<size_t> places;
    for (size_t i = 0; i < count; ++i) {
      if (!call.needs_input_grad(i)) continue;
      inputs[i] = alias(inputs[i]);
      wanted.push_back(inputs[i]);
      places.push_back(i);
    }
    CustomCall plain(op, call.values_);
    const Tensors outputs = op.definition.composed(plain, inputs);
    TAUT_CHECK(outputs.size() == grads.size(), AutogradError, op.definition.name,
               ": its composed version returned ", outputs.size(), " tensors; expected ",
               grads.size(), " as from forward");
    Tensors roots;
    Tensors root_grads;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].defined() || !autograd::requires_grad(outputs[i])) continue;
      roots.push_back(outputs[i]);
      root_grads.push_back(grads[i]);
    }
    Tensors results(count);
    if (roots.empty()) return results;
    const Tensors found = autograd::grad(roots, wanted, root_grads, /*retain_graph=*/create_graph,
                                         create_graph, /*allow_unused=*/true);
    for (size_t i = 0; i < places.size(); ++i) results[places[i]] = found[i];
    return results;
  }
};

// ---- the handle -------------------------------------------------------------------------------

namespace {

std::string text_of(CodePlace place) { return concat(place.file, ":", place.line); }

}  // namespace

CustomOp::CustomOp(CustomOpDefinition definition, CodePlace place)
    : CustomOp(std::move(definition), text_of(place)) {}

CustomOp::CustomOp(CustomOpDefinition definition, std::string place) {
  try {
    op_ = &detail::register_op(std::move(definition), std::move(place));
  } catch (const Error&) {
    detail::PluginLoad* load = detail::PluginLoad::current();
    if (load == nullptr) throw;
    load->fail(std::current_exception());
  }
}

CustomOp CustomOp::find(std::string_view name) { return CustomOp(&detail::find_op(name)); }
std::vector<std::string> CustomOp::names() { return detail::op_names(); }

RegisteredOp& CustomOp::op() const {
  TAUT_CHECK(op_ != nullptr, ValueError, "custom op: it was not registered");
  return *op_;
}

const CustomOpDefinition& CustomOp::definition() const { return op().definition; }

void CustomOp::implement(DeviceType device, CustomImplementation implementation,
                         CodePlace place) const {
  implement(device, std::move(implementation), text_of(place));
}
void CustomOp::implement(DeviceType device, CustomImplementation implementation,
                         std::string place) const {
  detail::add_version(op(), device, std::move(implementation), std::move(place));
}

Tensors CustomOp::operator()(TensorList inputs, const CustomAttributes& attributes) const {
  return CustomOpRunner::run(op(), Tensors(inputs.begin(), inputs.end()), attributes);
}

}  // namespace taut
