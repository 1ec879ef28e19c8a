#include "src/ops/autocast.h"

#include <optional>

#include "src/autograd/autocast_state.h"
#include "src/autograd/remade.h"
#include "taut/ops/copy.h"

namespace taut::ops {
namespace {

using autograd::autocast_state;
using autograd::AutocastState;
using autograd::CachedCast;

bool is_followed(const Tensor& tensor) {
  return tensor.defined() && tensor.is_floating_point() && tensor.dtype() != kFloat64 &&
         autocast_state().enabled[static_cast<size_t>(tensor.device().type())];
}

// A weight is cast once for all its uses, and its gradients meet in that one cast.
bool is_kept(const AutocastState& state, const Tensor& tensor) {
  return state.cache_enabled && tensor.dtype() == kFloat32 && tensor.requires_grad() &&
         tensor.is_leaf() && !tensor.is_view() && is_grad_enabled();
}

// A cast of what is made again in backward is made again, too: a product saves the cast.
Tensor cast_to(const Tensor& tensor, DType dtype) {
  Tensor cast = to(tensor, dtype);
  if (!autograd::has_remade_tensors.load(std::memory_order_relaxed)) return cast;
  if (const Callback<Tensor()> remake = autograd::way_to_remake(tensor)) {
    autograd::remake_when_saved(cast, [remake, dtype] { return to(remake(), dtype); });
  }
  return cast;
}

}  // namespace

Tensor lowered(const Tensor& tensor) {
  if (!is_followed(tensor)) return tensor;
  AutocastState& state = autocast_state();
  const DType dtype = state.dtype[static_cast<size_t>(tensor.device().type())];
  if (tensor.dtype() == dtype) return tensor;
  if (!is_kept(state, tensor)) return cast_to(tensor, dtype);
  const auto found = state.casts.find(tensor.impl());
  if (found != state.casts.end() && found->second.is_current() &&
      found->second.cast.dtype() == dtype) {
    return found->second.cast;
  }
  Tensor cast = to(tensor, dtype);
  state.casts.insert_or_assign(
      tensor.impl(), CachedCast{tensor, cast, tensor.storage(), tensor.storage()->version()});
  return cast;
}

Tensor raised(const Tensor& tensor) {
  return is_followed(tensor) && tensor.dtype() != kFloat32 ? cast_to(tensor, kFloat32) : tensor;
}

DType widest_dtype(TensorList tensors) {
  std::optional<DType> widest;
  for (const Tensor& tensor : tensors) {
    if (!is_followed(tensor)) continue;
    widest = widest.has_value() ? promote_types(*widest, tensor.dtype()) : tensor.dtype();
  }
  return widest.value_or(kFloat32);
}

Tensor widened(const Tensor& tensor, DType dtype) {
  return is_followed(tensor) && tensor.dtype() != dtype ? cast_to(tensor, dtype) : tensor;
}

}  // namespace taut::ops
