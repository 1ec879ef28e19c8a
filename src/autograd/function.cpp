#include "taut/autograd/function.h"

#include <algorithm>
#include <new>

#include "src/autograd/meta.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::autograd {

// Reaches the private parts of FunctionContext on behalf of the tape.
struct FunctionRunner {
  struct State {
    Ref<FunctionContext> context;
    FunctionBackward backward;
  };

  static void destroy_state(void* attributes) noexcept {
    static_cast<State*>(attributes)->~State();
  }

  static bool contains(const Tensors& list, const Tensor& tensor) {
    return std::any_of(list.begin(), list.end(),
                       [&](const Tensor& entry) { return entry.is_same(tensor); });
  }

  static void backward(BackwardContext& context) {
    const State& state = context.attributes<State>();
    TAUT_CHECK(!context.node().was_released(), AutogradError, "backward: the graph through ",
               context.name(),
               " was freed by an earlier backward; pass retain_graph=True to go through it twice");
    Tensors grads;
    for (int i = 0; i < context.outputs(); ++i) {
      grads.push_back(state.context->materialize_grads_ ? context.grad_or_zeros(i)
                                                        : context.grad(i));
    }
    Tensors results = state.backward(*state.context, grads);
    TAUT_CHECK(results.size() == static_cast<size_t>(context.inputs()), AutogradError,
               context.name(), ": backward returned ", results.size(), " gradients; expected ",
               context.inputs());
    for (int i = 0; i < context.inputs(); ++i) {
      if (context.needs(i)) context.set(i, results[static_cast<size_t>(i)]);
    }
  }

  // An output that is an input unchanged becomes a view of it, so that the two have their own
  // histories.
  static void separate_outputs(const FunctionContext& context, TensorList inputs,
                               Tensors& outputs) {
    for (Tensor& output : outputs) {
      if (!output.defined() || contains(context.dirty_, output)) continue;
      const bool is_input = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
        return input.defined() && input.is_same(output);
      });
      if (is_input) output = make_view(output, output.layout());
    }
  }

  static Tensors run(const char* name, TensorList inputs, const FunctionForward& forward,
                     FunctionBackward backward_fn) {
    const TraceScope scope(ScopeKind::op, name);
    const Ref<FunctionContext> context = FunctionContext::make();
    std::vector<TensorRef> refs;
    for (const Tensor& input : inputs) {
      refs.emplace_back(input);
      context->needs_input_grad_.push_back(input.defined() && requires_grad(input));
    }
    const bool recording = is_recording(TensorRefs(refs));
    std::vector<Edge> edges;
    if (recording) {
      for (const Tensor& input : inputs) edges.push_back(gradient_edge(input));
    }
    Tensors outputs;
    {
      const NoGradGuard no_grad;
      outputs = forward(*context);
    }
    for (const Tensor& dirty : context->dirty_) {
      dirty.storage()->bump_version();
    }
    if (!recording) {
      context->to_save_.clear();
      return outputs;
    }
    separate_outputs(*context, inputs, outputs);
    Ref<Node> node = Node::make(name, &FunctionRunner::backward,
                                {.outputs = static_cast<int>(outputs.size()),
                                 .edges = static_cast<int>(edges.size()),
                                 .saved = static_cast<int>(context->to_save_.size()),
                                 .attribute_bytes = sizeof(State)});
    new (node->attributes()) State{context, std::move(backward_fn)};
    node->set_attribute_destructor(destroy_state);
    context->node_ = node.get();
    for (size_t i = 0; i < edges.size(); ++i) node->edges()[i] = std::move(edges[i]);
    node->take_number();
    trace_node(node->sequence());
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!outputs[i].defined()) continue;
      node->outputs()[i] = meta_of(outputs[i]);
      if (!outputs[i].is_floating_point() || contains(context->non_differentiable_, outputs[i])) {
        continue;
      }
      set_history(outputs[i], node, static_cast<uint32_t>(i));
    }
    save(*context, *node, outputs);
    return outputs;
  }

  static void save(FunctionContext& context, Node& node, const Tensors& outputs) {
    for (size_t i = 0; i < context.to_save_.size(); ++i) {
      const Tensor& tensor = context.to_save_[i];
      bool is_output = false;
      for (size_t k = 0; k < outputs.size(); ++k) {
        if (!tensor.defined() || !outputs[k].defined() || !tensor.is_same(outputs[k])) continue;
        node.saved()[i].save_output(tensor, static_cast<uint32_t>(k));
        is_output = true;
        break;
      }
      if (!is_output) node.saved()[i].save_input(tensor);
    }
    context.to_save_.clear();
    context.non_differentiable_.clear();
    context.dirty_.clear();
  }

  static Tensors saved(const FunctionContext& context, size_t first, size_t count) {
    TAUT_CHECK(context.node_ != nullptr, AutogradError,
               "function: saved_tensors is there in backward only");
    TAUT_CHECK(!context.node_->was_released(), AutogradError, "backward: the saved tensors of ",
               context.node_->name(), " were freed by an earlier backward; pass retain_graph=True");
    const std::span<SavedTensor> all = context.node_->saved();
    Tensors result;
    for (const SavedTensor& tensor : all.subspan(first, std::min(count, all.size() - first))) {
      result.push_back(tensor.unpack(*context.node_));
    }
    return result;
  }
};

Ref<FunctionContext> FunctionContext::make() {
  return Ref<FunctionContext>::adopt(new FunctionContext);
}

Tensors FunctionContext::saved_tensors() const {
  return FunctionRunner::saved(*this, 0, std::dynamic_extent);
}
Tensors FunctionContext::saved_tensors(size_t first, size_t count) const {
  return FunctionRunner::saved(*this, first, count);
}

Tensors apply_function(const char* name, TensorList inputs, const FunctionForward& forward,
                       FunctionBackward backward) {
  return FunctionRunner::run(name, inputs, forward, std::move(backward));
}

}  // namespace taut::autograd
