#pragma once
// What a captured piece of work does to the gradients of leaves, beside computing them.
//
// Note [Gradients of graphs]
// `leaf.grad` is a slot that the host fills: a capture fills it with a tensor of its graph's
// memory, and a replay, which runs no host code, fills nothing. So what the capture did to the
// slots is noted, and done again after each replay. A capture that found a gradient in a slot, and
// read it or added to it, is good only for calls that find the same tensor there; one that replaced
// it first is good for any. A capture that was given up puts back what it found.

#include <vector>

#include "taut/autograd/node.h"
#include "taut/base/macros.h"

namespace taut::autograd {

class TAUT_API GradSlots {
 public:
  /// Called before the slot is read, added to or, with `is_replaced`, given another tensor.
  void note(Node& accumulator, bool is_replaced);
  /// Notes what the slots hold in the end.
  void finish();

  /// Whether the slots hold what the work found in them, as far as it looked.
  bool fit() const;
  /// Fills the slots as the work left them.
  void apply() const;
  /// Fills them as it found them.
  void undo() const;
  void clear() { slots_.clear(); }

 private:
  struct Slot {
    Ref<Node> accumulator;
    bool is_replaced;
    Tensor before;
    Tensor after;
  };
  std::vector<Slot> slots_;
};

/// Notes what this thread does to slots in its scope.
class TAUT_API GradSlotsGuard {
 public:
  explicit GradSlotsGuard(GradSlots& slots);
  GradSlotsGuard(const GradSlotsGuard&) = delete;
  GradSlotsGuard& operator=(const GradSlotsGuard&) = delete;
  ~GradSlotsGuard();

 private:
  GradSlots* previous_;
};

/// Where this thread notes; null at most times, which a load tells.
extern constinit TAUT_HOT_THREAD_LOCAL GradSlots* grad_slots_now;

inline void note_grad_slot(Node& accumulator, bool is_replaced) {
  if (TAUT_UNLIKELY(grad_slots_now != nullptr)) grad_slots_now->note(accumulator, is_replaced);
}

}  // namespace taut::autograd
