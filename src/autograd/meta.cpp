#include "src/autograd/meta.h"

#include <mutex>
#include <new>

#include "src/autograd/grad_slots.h"
#include "src/autograd/view_history.h"
#include "taut/autograd/record.h"
#include "taut/base/pool.h"

namespace taut::autograd {
namespace {

void destroy_leaf_state(void* attributes) noexcept {
  static_cast<LeafState*>(attributes)->~LeafState();
}

// Two threads may ask for the same leaf's accumulator or metadata at once.
std::mutex& creation_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

AutogradMeta* make_meta() {
  return new (taut::detail::pool_allocate(sizeof(AutogradMeta))) AutogradMeta;
}

bool is_stale_view(const TensorImpl& impl) {
  if (!impl.view_base || impl.view_base->autograd == nullptr) return false;
  const uint32_t seen = impl.autograd == nullptr ? 0 : impl.autograd->seen_generation;
  return impl.view_base->autograd->generation.load(std::memory_order_acquire) != seen;
}

// See Note [History of views].
void refresh_view(const Tensor& view) {
  const Tensor base(view.impl()->view_base);
  AutogradMeta& meta = ensure_meta(view);
  meta.node = make_view_history(base, view.layout());
  meta.has_accumulator.store(false, std::memory_order_relaxed);
  meta.slot = 0;
  meta.requires_grad = false;
  meta.seen_generation = base.impl()->autograd->generation.load(std::memory_order_acquire);
}

}  // namespace

void destroy_meta(AutogradMeta* meta) noexcept {
  meta->~AutogradMeta();
  taut::detail::pool_free(meta, sizeof(AutogradMeta));
}

AutogradMeta& ensure_meta(const Tensor& tensor) {
  TensorImpl& impl = *tensor.impl();
  if (impl.autograd == nullptr) impl.autograd = make_meta();
  return *impl.autograd;
}

TensorMeta meta_of(const Tensor& tensor) {
  return {tensor.shape(), tensor.dtype(), tensor.device()};
}

Ref<Node> accumulator_of(const Tensor& leaf) {
  AutogradMeta& meta = ensure_meta(leaf);
  if (TAUT_LIKELY(meta.has_accumulator.load(std::memory_order_acquire))) return meta.node;
  const std::lock_guard lock(creation_mutex());
  if (!meta.node) {
    Ref<Node> node = Node::make("accumulate_grad", nullptr,
                                {.outputs = 1, .attribute_bytes = sizeof(LeafState)});
    new (node->attributes()) LeafState;
    node->set_attribute_destructor(destroy_leaf_state);
    node->mark_accumulator();
    node->outputs()[0] = meta_of(leaf);
    meta.node = std::move(node);
    meta.has_accumulator.store(true, std::memory_order_release);
  }
  return meta.node;
}

bool requires_grad(const Tensor& tensor) {
  const TensorImpl& impl = *tensor.impl();
  if (TAUT_UNLIKELY(is_stale_view(impl))) return true;
  const AutogradMeta* meta = impl.autograd;
  return meta != nullptr && (meta->requires_grad || !meta->is_leaf());
}

Edge gradient_edge(const Tensor& tensor) {
  if (!tensor.defined() || !requires_grad(tensor)) return {};
  if (is_stale_view(*tensor.impl())) refresh_view(tensor);
  AutogradMeta& meta = *tensor.impl()->autograd;
  if (meta.is_leaf()) return {accumulator_of(tensor), 0};
  return {meta.node, meta.slot};
}

void set_history(const Tensor& tensor, Ref<Node> node, uint32_t slot) {
  AutogradMeta& meta = ensure_meta(tensor);
  meta.node = std::move(node);
  meta.has_accumulator.store(false, std::memory_order_relaxed);
  meta.slot = slot;
  meta.requires_grad = false;
}

LeafState& leaf_state(Node& accumulator) {
  return *static_cast<LeafState*>(accumulator.attributes());
}

Tensor accumulated_grad(Node& accumulator) {
  note_grad_slot(accumulator, /*is_replaced=*/false);
  LeafState& state = leaf_state(accumulator);
  const std::lock_guard lock(state.mutex);
  return state.grad;
}

void set_accumulated_grad(Node& accumulator, Tensor grad) {
  note_grad_slot(accumulator, /*is_replaced=*/true);
  LeafState& state = leaf_state(accumulator);
  const std::lock_guard lock(state.mutex);
  std::swap(state.grad, grad);
}

}  // namespace taut::autograd
