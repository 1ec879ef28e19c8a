#pragma once
// The hooks of a node, made at first need so that nodes without any stay small.

#include <mutex>
#include <vector>

#include "taut/autograd/hooks.h"

namespace taut::autograd {

template <class Hook>
struct RegisteredHook {
  uint64_t id;
  uint32_t slot;
  Hook hook;
};

struct NodeHooks {
  std::mutex mutex;
  uint64_t next_id = 1;
  /// On the gradient of an output, before the node runs.
  std::vector<RegisteredHook<TensorHook>> tensor_hooks;
  /// After all tensor hooks of a slot: where retain_grad keeps the gradient.
  std::vector<RegisteredHook<TensorHook>> retain_hooks;
  /// On an accumulator, after it added to its leaf's grad.
  std::vector<RegisteredHook<Callback<void()>>> post_accumulate_hooks;
};

}  // namespace taut::autograd
