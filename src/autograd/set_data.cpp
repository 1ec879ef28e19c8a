#include "taut/autograd/set_data.h"

#include "src/autograd/meta.h"
#include "taut/autograd/record.h"

namespace taut::autograd {

void set_data(const Tensor& tensor, const Tensor& data, const Tensor& grad) {
  TAUT_CHECK(tensor.is_leaf(), AutogradError, "set_data: expected a leaf; got the result of ",
             tensor.grad_fn_name());
  TAUT_CHECK(!tensor.requires_grad() || data.is_floating_point(), AutogradError,
             "set_data: a tensor that requires grad cannot become ", data.dtype());
  TensorImpl& impl = *tensor.impl();
  impl.set_storage(data.storage());
  impl.dtype = data.dtype();
  impl.set_layout(data.layout());
  impl.forget_base();
  // The accumulator stays, and with it the hooks: it only learns what gradients now look like.
  if (impl.autograd == nullptr || !impl.autograd->node) return;
  Node& accumulator = *impl.autograd->node;
  set_accumulated_grad(accumulator, grad);
  accumulator.outputs()[0] = meta_of(tensor);
}

}  // namespace taut::autograd
