#pragma once
// What an in-place write to a view does to the tape; see Note [History of views].

#include "taut/autograd/node.h"

namespace taut::autograd {

/// The history of a base after the op `write` wrote to its view: the gradient of the base without
/// the view's part goes on, the view's part goes through `write`.
Ref<Node> make_copy_slices(const Tensor& base, const Layout& view, Ref<Node> write);

/// The history of a view of `base` as it is now: as_strided.
Ref<Node> make_view_history(const Tensor& base, const Layout& view);

}  // namespace taut::autograd
