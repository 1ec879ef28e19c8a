#include "taut/autograd/recompute.h"

#include <atomic>

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

void recompute_when_saved(const Tensor& output, RemakeFn remake) {
  AutogradMeta* meta = output.impl()->autograd;
  if (meta == nullptr || meta->is_leaf()) return;
  meta->remake = remake;
  meta->remade_version = output.version();
  has_remade_tensors.store(true, std::memory_order_relaxed);
}

Callback<Tensor()> way_to_remake(const Tensor& tensor) {
  const TensorImpl& whole = whole_of(tensor);
  const AutogradMeta* meta = whole.autograd;
  if (meta == nullptr || meta->remake == nullptr || tensor.version() != meta->remade_version ||
      tensor.dtype() != whole.dtype) {
    return nullptr;
  }
  return [remake = meta->remake, maker = meta->node, edge = gradient_edge(tensor),
          layout = tensor.layout(), dtype = tensor.dtype()] {
    Tensor remade;
    {
      const NoGradGuard no_grad;
      const BackwardContext context(*maker, {}, {});
      remade = Tensor(TensorImpl::make(remake(context).storage(), layout, dtype));
    }
    if (is_grad_enabled() && edge) set_history(remade, edge.node, edge.slot);
    return remade;
  };
}

}  // namespace taut::autograd
