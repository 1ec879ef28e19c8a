#include "taut/autograd/recompute.h"

#include <atomic>
#include <utility>

#include "src/autograd/meta.h"
#include "src/autograd/remade.h"

namespace taut::autograd {
namespace {

// The tensor whose storage it is: the base of a view.
const TensorImpl& whole_of(const Tensor& tensor) {
  const TensorImpl& impl = *tensor.impl();
  return impl.view_base ? *impl.view_base : impl;
}

}  // namespace

std::atomic<bool> has_remade_tensors{false};

void remake_when_saved(const Tensor& output, Callback<Tensor()> remake) {
  AutogradMeta* meta = output.impl()->autograd;
  if (meta == nullptr || meta->is_leaf()) return;
  meta->remake = std::move(remake);
  meta->remade_version = output.version();
  has_remade_tensors.store(true, std::memory_order_relaxed);
}

void recompute_when_saved(const Tensor& output, RemakeFn remake) {
  const AutogradMeta* meta = output.impl()->autograd;
  if (meta == nullptr) return;
  remake_when_saved(
      output, [remake, maker = meta->node] { return remake(BackwardContext(*maker, {}, {})); });
}

Callback<Tensor()> way_to_remake(const Tensor& tensor) {
  const TensorImpl& whole = whole_of(tensor);
  const AutogradMeta* meta = whole.autograd;
  if (meta == nullptr || !meta->remake || tensor.version() != meta->remade_version ||
      tensor.dtype() != whole.dtype) {
    return nullptr;
  }
  return [remake = meta->remake, edge = gradient_edge(tensor), layout = tensor.layout(),
          dtype = tensor.dtype()] {
    Tensor remade;
    {
      const NoGradGuard no_grad;
      remade = Tensor(TensorImpl::make(remake().storage(), layout, dtype));
    }
    if (is_grad_enabled() && edge) set_history(remade, edge.node, edge.slot);
    return remade;
  };
}

}  // namespace taut::autograd
