#pragma once
// Results that are computed again in backward instead of being kept for it: of cheap ops whose
// inputs are kept anyway. An op that may do so calls, once it is recorded,
//   if (recompute) autograd::recompute_when_saved(output, remake);
//
// Note [Recomputation]
// What keeps the result of an activation or a norm alive is not the op itself but those that come
// after it, a product say, which save it for their gradients. Where such a result, or a view of it,
// is saved, the way to make it again is saved in its place: the op's node, with what that saved.
// The memory goes when the forward is done with it. In backward the ops after this one come first,
// so the node's saved tensors are still there, unless an earlier backward freed them. Every op that
// saved the result makes it again.

#include "taut/autograd/node.h"
#include "taut/autograd/record.h"

namespace taut::autograd {

/// The output of a node again, bit for bit, from what the node saved: context.saved(i) and
/// attributes. Called with grad mode off.
using RemakeFn = Tensor (*)(const BackwardContext& context);

/// From now on saving `output`, which an op has just made and recorded, saves the way to make it
/// again. Does nothing for a result that is not on the tape. In-place writes to the output end it,
/// saved tensor hooks (SavedTensorsHooks) see the tensor itself.
TAUT_API void recompute_when_saved(const Tensor& output, RemakeFn remake);

}  // namespace taut::autograd
