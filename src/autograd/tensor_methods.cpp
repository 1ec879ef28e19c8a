// The methods of Tensor that concern gradients, and hooks.

#include <algorithm>

#include "src/autograd/meta.h"
#include "src/autograd/node_hooks.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/hooks.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut {

using autograd::AutogradMeta;
using autograd::Edge;
using autograd::Node;
using autograd::NodeHooks;

namespace {

const AutogradMeta* meta_or_null(const Tensor& tensor) { return tensor.impl()->autograd; }

// A hook's place, found again by identity when it is removed.
template <class Hooks>
HookHandle removable(const Ref<Node>& node, Hooks NodeHooks::*list, uint64_t id) {
  return HookHandle([node, list, id]() {
    NodeHooks& hooks = *node->hooks();
    const std::lock_guard lock(hooks.mutex);
    auto& entries = hooks.*list;
    std::erase_if(entries, [id](const auto& entry) { return entry.id == id; });
  });
}

template <class Hooks, class Hook>
HookHandle add_hook(const Edge& edge, Hooks NodeHooks::*list, Hook hook) {
  NodeHooks& hooks = edge.node->ensure_hooks();
  const std::lock_guard lock(hooks.mutex);
  const uint64_t id = hooks.next_id++;
  (hooks.*list).push_back({id, edge.slot, std::move(hook)});
  return removable(edge.node, list, id);
}

}  // namespace

bool Tensor::requires_grad() const { return autograd::requires_grad(*this); }

bool Tensor::is_leaf() const {
  if (!autograd::requires_grad(*this)) return true;
  const Edge edge = autograd::gradient_edge(*this);
  return edge.node->is_accumulator();
}

const Tensor& Tensor::requires_grad_(bool wanted) const {
  TAUT_CHECK(!wanted || is_floating_point(), AutogradError,
             "requires_grad_: only floating tensors can require gradients; got ", dtype());
  TAUT_CHECK(!wanted || !is_inference(), AutogradError,
             "requires_grad_: a tensor made under inference_mode cannot require gradients");
  if (!is_leaf()) {
    TAUT_CHECK(wanted, AutogradError,
               "requires_grad_: only leaves can stop requiring gradients; use detach()");
    return *this;
  }
  if (!wanted && meta_or_null(*this) == nullptr) return *this;
  autograd::ensure_meta(*this).requires_grad = wanted;
  return *this;
}

Tensor Tensor::grad() const {
  const AutogradMeta* meta = meta_or_null(*this);
  if (meta == nullptr) return Tensor();
  if (meta->node && meta->node->is_accumulator()) return autograd::accumulated_grad(*meta->node);
  return meta->retained_grad ? *meta->retained_grad : Tensor();
}

void Tensor::set_grad(const Tensor& grad) const {
  if (grad.defined()) {
    TAUT_CHECK(grad.shape() == shape(), ShapeError, "grad: expected shape ", shape(), "; got ",
               grad.shape());
    TAUT_CHECK(grad.device() == device(), DeviceError, "grad: expected ", device(), "; got ",
               grad.device());
    TAUT_CHECK(grad.dtype() == dtype(), DTypeError, "grad: expected ", dtype(), "; got ",
               grad.dtype());
    TAUT_CHECK(!grad.is_same(*this), ValueError, "grad: a tensor cannot be its own gradient");
  } else if (meta_or_null(*this) == nullptr) {
    return;
  }
  TAUT_CHECK(is_leaf(), AutogradError, "grad: only leaves have a gradient that can be set");
  autograd::set_accumulated_grad(*autograd::accumulator_of(*this), grad);
}

std::string Tensor::grad_fn_name() const {
  if (is_leaf()) return {};
  return autograd::gradient_edge(*this).node->name();
}

void Tensor::retain_grad() const {
  TAUT_CHECK(requires_grad(), AutogradError, "retain_grad: the tensor does not require grad");
  if (is_leaf() || retains_grad()) return;
  const Edge edge = autograd::gradient_edge(*this);
  auto kept = std::make_shared<Tensor>();
  autograd::ensure_meta(*this).retained_grad = kept;
  add_hook(edge, &NodeHooks::retain_hooks, TensorHook([kept](const Tensor& grad) {
             *kept = kept->defined() ? taut::add(*kept, grad) : grad;
             return Tensor();
           }));
}

bool Tensor::retains_grad() const {
  return !is_leaf() && meta_or_null(*this)->retained_grad != nullptr;
}

const Tensor& Tensor::detach_() const {
  TAUT_CHECK(!is_view(), AutogradError, "detach_: not possible for a view; use detach()");
  AutogradMeta* meta = impl_->autograd;
  if (meta != nullptr) {
    meta->requires_grad = false;
    meta->node.reset();
    meta->retained_grad.reset();
  }
  return *this;
}

void Tensor::backward(const Tensor& gradient, std::optional<bool> retain_graph,
                      bool create_graph) const {
  const Tensor grads[] = {gradient};
  autograd::backward({this, 1}, {grads, gradient.defined() ? 1u : 0u}, retain_graph, create_graph);
}

HookHandle register_hook(const Tensor& tensor, TensorHook hook) {
  TAUT_CHECK(tensor.requires_grad(), AutogradError,
             "register_hook: the tensor does not require grad");
  return add_hook(autograd::gradient_edge(tensor), &NodeHooks::tensor_hooks, std::move(hook));
}

HookHandle register_post_accumulate_grad_hook(const Tensor& leaf, PostAccumulateHook hook) {
  TAUT_CHECK(leaf.requires_grad() && leaf.is_leaf(), AutogradError,
             "register_post_accumulate_grad_hook: expected a leaf that requires grad");
  // The accumulator may outlive the leaf, so its hook only knows whether the leaf is still there.
  AutogradMeta& meta = autograd::ensure_meta(leaf);
  if (!meta.self) meta.self = std::make_shared<TensorImpl*>(leaf.impl());
  return add_hook(autograd::gradient_edge(leaf), &NodeHooks::post_accumulate_hooks,
                  Callback<void()>([self = meta.self, hook = std::move(hook)]() {
                    if (*self != nullptr) hook(Tensor(Ref<TensorImpl>::share(*self)));
                  }));
}

}  // namespace taut
