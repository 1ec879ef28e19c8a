#include "src/fusion/fused_op.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory_resource>
#include <new>
#include <utility>
#include <vector>

#include "src/autograd/autocast_state.h"
#include "src/autograd/hot_mode.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::fusion {

using autograd::BackwardContext;
using autograd::TensorRef;
using autograd::TensorRefs;

namespace {

constexpr const char* kName = "fused";

// What a node owns. It saves all inputs, which second derivatives need, and behind them the outputs
// that its kernels read. Its outputs are those that have gradients.
struct NodeState {
  Ref<Plan> plan;
  Function function;

  static void destroy(void* attributes) noexcept {
    static_cast<NodeState*>(attributes)->~NodeState();
  }
};

// A list within a function: on the heap only where it is long.
template <class T>
class LocalList {
 public:
  explicit LocalList(size_t capacity) : items_(&memory_) { items_.reserve(capacity); }
  std::pmr::vector<T>* operator->() { return &items_; }
  std::pmr::vector<T>& operator*() { return items_; }

 private:
  alignas(T) std::array<std::byte, 24 * sizeof(T)> room_;
  std::pmr::monotonic_buffer_resource memory_{room_.data(), room_.size()};
  std::pmr::vector<T> items_;
};

// The function's own derivative. It gets aliases, so that an input that was given twice does not
// count what goes to the other.
void eager_backward(BackwardContext& context, const Plan& plan, const Function& function) {
  const EnableGradGuard enable_grad;
  const size_t count = plan.wanted().size();
  Tensors inputs, wanted;
  std::vector<int> places;
  for (size_t i = 0; i < count; ++i) {
    const int at = static_cast<int>(i);
    inputs.push_back(context.saved(at));
    if (!context.needs(at)) continue;
    if (i + plan.referred() < count) inputs[i] = alias(inputs[i]);
    wanted.push_back(inputs[i]);
    places.push_back(at);
  }
  Tensors outputs;
  {
    const autograd::AutocastSettingsGuard autocast(plan.autocast());
    outputs = function(given_of(inputs, plan.referred()));
  }
  Tensors roots, root_grads;
  int slot = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (plan.is_constant()[i]) continue;
    Tensor grad = context.grad_or_zeros(slot++);
    if (!autograd::requires_grad(outputs[i])) continue;
    roots.push_back(outputs[i]);
    root_grads.push_back(std::move(grad));
  }
  if (roots.empty()) return;
  const Tensors found = autograd::grad(roots, wanted, root_grads, /*retain_graph=*/true,
                                       /*create_graph=*/true, /*allow_unused=*/true);
  for (size_t i = 0; i < places.size(); ++i) context.set(places[i], found[i]);
}

// A gradient as the kernels read it.
Tensor as_read(const Tensor& grad) {
  Tensor whole = contiguous(grad);
  return alignment_of(whole) < kPackBytes ? clone(whole) : whole;
}

void fused_backward(BackwardContext& context) {
  const NodeState& state = context.attributes<NodeState>();
  const Plan& plan = *state.plan;
  // Grad mode is on while the walk itself is recorded, with create_graph.
  if (is_grad_enabled()) return eager_backward(context, plan, state.function);
  const size_t inputs = plan.wanted().size();
  const size_t outputs = plan.is_constant().size();
  LocalList<Tensor> arguments(inputs + 2 * outputs);
  arguments->resize(inputs + 2 * outputs);
  for (const int i : plan.read_inputs()) (*arguments)[static_cast<size_t>(i)] = context.saved(i);
  int next = static_cast<int>(inputs);
  for (const int i : plan.read_outputs()) {
    (*arguments)[inputs + static_cast<size_t>(i)] = context.saved(next++);
  }
  int slot = 0;
  for (size_t i = 0; i < outputs; ++i) {
    if (plan.is_constant()[i]) continue;
    (*arguments)[inputs + outputs + i] = as_read(context.grad_or_zeros(slot++));
  }
  const Tensors found = plan.backward()->run(plan.device(), arguments->data());
  for (size_t i = 0; i < inputs; ++i) {
    const int place = plan.places()[i];
    if (place >= 0) context.set(static_cast<int>(i), found[static_cast<size_t>(place)]);
  }
}

// An output that is an input unchanged becomes a view of it, so that the two have their own
// histories.
void separate_outputs(TensorList inputs, Tensors& outputs) {
  for (Tensor& output : outputs) {
    const bool is_input = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& input) {
      return input.defined() && input.is_same(output);
    });
    if (is_input) output = autograd::make_view(output, output.layout());
  }
}

void record_fused(Plan& plan, TensorList inputs, Tensors& outputs, const Function& function) {
  separate_outputs(inputs, outputs);
  LocalList<TensorRef> saved(inputs.size() + plan.read_outputs().size());
  for (const Tensor& input : inputs) saved->emplace_back(input);
  for (const int i : plan.read_outputs()) saved->emplace_back(outputs[static_cast<size_t>(i)]);
  LocalList<TensorRef> differentiable(outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!plan.is_constant()[i]) differentiable->emplace_back(outputs[i]);
  }
  autograd::detail::record(kName, TensorRefs(*saved).first(inputs.size()), *differentiable, *saved,
                           fused_backward, nullptr, sizeof(NodeState));
  autograd::Node& node = *autograd::gradient_edge(*differentiable->front()).node;
  new (node.attributes()) NodeState{Ref<Plan>::share(&plan), function};
  node.set_attribute_destructor(NodeState::destroy);
}

// For those who watch.
void show_fused(TensorList inputs, const Tensors& outputs) {
  const std::vector<TensorRef> from(inputs.begin(), inputs.end());
  const std::vector<TensorRef> to(outputs.begin(), outputs.end());
  autograd::record_all(kName, from, to, {}, nullptr);
}

}  // namespace

Tensors run_fused(Plan& plan, TensorList inputs, const Function& function) {
  const TraceScope scope(ScopeKind::op, kName);
  Tensors outputs = plan.forward().run(plan.device(), inputs.data());
  if (plan.backward() != nullptr) {
    record_fused(plan, inputs, outputs, function);
  } else if (TAUT_UNLIKELY(detail::hot_mode.observed)) {
    show_fused(inputs, outputs);
  }
  return outputs;
}

}  // namespace taut::fusion
