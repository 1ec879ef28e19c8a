#include "src/autograd/grad_slots.h"

#include <utility>

#include "src/autograd/meta.h"

namespace taut::autograd {

constinit TAUT_HOT_THREAD_LOCAL GradSlots* grad_slots_now = nullptr;

namespace {

Tensor held_by(Node& accumulator) {
  LeafState& state = leaf_state(accumulator);
  const std::lock_guard lock(state.mutex);
  return state.grad;
}

void fill(Node& accumulator, Tensor grad) {
  LeafState& state = leaf_state(accumulator);
  const std::lock_guard lock(state.mutex);
  std::swap(state.grad, grad);
}

}  // namespace

void GradSlots::note(Node& accumulator, bool is_replaced) {
  for (const Slot& slot : slots_) {
    if (slot.accumulator.get() == &accumulator) return;  // only the first time tells
  }
  accumulator.retain();
  slots_.push_back({Ref<Node>::adopt(&accumulator), is_replaced, held_by(accumulator), Tensor()});
}

void GradSlots::finish() {
  for (Slot& slot : slots_) {
    slot.after = held_by(*slot.accumulator);
    // What nobody asks for need not be kept.
    if (slot.is_replaced) slot.before = Tensor();
  }
}

bool GradSlots::fit() const {
  for (const Slot& slot : slots_) {
    if (!slot.is_replaced && !held_by(*slot.accumulator).is_same(slot.before)) return false;
  }
  return true;
}

void GradSlots::apply() const {
  for (const Slot& slot : slots_) fill(*slot.accumulator, slot.after);
}

void GradSlots::undo() const {
  for (const Slot& slot : slots_) fill(*slot.accumulator, slot.before);
}

GradSlotsGuard::GradSlotsGuard(GradSlots& slots)
    : previous_(std::exchange(grad_slots_now, &slots)) {}
GradSlotsGuard::~GradSlotsGuard() { grad_slots_now = previous_; }

}  // namespace taut::autograd
