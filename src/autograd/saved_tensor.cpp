#include "taut/autograd/saved_tensor.h"

#include <vector>

#include "src/autograd/meta.h"
#include "src/autograd/remade.h"
#include "taut/autograd/grad_mode.h"
#include "taut/autograd/record.h"

namespace taut::autograd {
namespace {

thread_local std::vector<PackHook> pack_hooks;
// Whether there are any: read for each saved tensor.
constinit TAUT_HOT_THREAD_LOCAL bool has_pack_hooks = false;

Tensor alias_without_history(const Tensor& tensor) {
  return Tensor(TensorImpl::make(tensor.storage(), tensor.layout(), tensor.dtype()));
}

}  // namespace

SavedTensorsHooks::SavedTensorsHooks(PackHook pack) {
  pack_hooks.push_back(std::move(pack));
  has_pack_hooks = true;
}
SavedTensorsHooks::~SavedTensorsHooks() {
  pack_hooks.pop_back();
  has_pack_hooks = !pack_hooks.empty();
}

void SavedTensor::save_input(const Tensor& tensor) {
  if (!tensor.defined()) return;
  TAUT_CHECK(
      !tensor.is_inference(), AutogradError,
      "backward: a tensor made under inference_mode cannot be saved for backward; got shape ",
      tensor.shape(), "; clone it outside inference_mode first");
  is_output_ = false;
  version_ = tensor.version();
  tensor_ = tensor;
  if (TAUT_UNLIKELY(has_pack_hooks)) return pack_if_hooked(tensor);
  if (TAUT_UNLIKELY(has_remade_tensors.load(std::memory_order_relaxed))) {
    unpack_hook_ = way_to_remake(tensor);
    if (unpack_hook_) tensor_ = Tensor();
  }
}

void SavedTensor::save_output(const Tensor& tensor, uint32_t slot) {
  is_output_ = true;
  slot_ = slot;
  version_ = tensor.version();
  tensor_ = alias_without_history(tensor);
  if (TAUT_UNLIKELY(has_pack_hooks)) pack_if_hooked(tensor_);
}

void SavedTensor::pack_if_hooked(const Tensor& tensor) {
  // The hook computes with plain tensors: it must not record onto the graph it belongs to, nor be
  // called for what it saves itself.
  std::vector<PackHook> outer;
  outer.swap(pack_hooks);
  has_pack_hooks = false;
  try {
    const NoGradGuard no_grad;
    unpack_hook_ = outer.back()(tensor.detach());
  } catch (...) {
    pack_hooks.swap(outer);
    has_pack_hooks = true;
    throw;
  }
  pack_hooks.swap(outer);
  has_pack_hooks = true;
  // A leaf keeps its identity, so that gradients still reach it; what must not stay is the memory.
  if (is_output_ || !tensor.is_leaf() || !tensor.requires_grad()) tensor_ = Tensor();
}

Tensor SavedTensor::unshared() const {
  if (!tensor_.defined() || unpack_hook_ || tensor_.is_leaf()) return Tensor();
  return is_only_reference(tensor_) ? alias_without_history(tensor_) : Tensor();
}

Tensor SavedTensor::unpack(Node& owner) const {
  if (unpack_hook_) {
    Tensor tensor = unpack_hook_();
    if (is_output_ && is_grad_enabled() && taut::is_floating_point(tensor.dtype())) {
      tensor = alias_without_history(tensor);
      set_history(tensor, Ref<Node>::share(&owner), slot_);
    }
    return tensor_.defined() ? tensor_ : tensor;
  }
  if (!tensor_.defined()) return Tensor();
  const uint32_t current = tensor_.version();
  TAUT_CHECK(current == version_, AutogradError, "backward: a tensor that ", owner.name(),
             " needs was overwritten in place: shape ", tensor_.shape(), ", ", tensor_.dtype(),
             is_output_ ? ", its output" : ", its input", ", is at version ", current,
             "; expected version ", version_, "; clone it before the in-place op");
  if (!is_output_ || !is_grad_enabled()) return tensor_;
  Tensor with_history = alias_without_history(tensor_);
  set_history(with_history, Ref<Node>::share(&owner), slot_);
  return with_history;
}

void SavedTensor::reset() {
  tensor_ = Tensor();
  unpack_hook_ = nullptr;
}

}  // namespace taut::autograd
