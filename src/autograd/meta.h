#pragma once
// The autograd data of a tensor, made when it first matters.
//
// Note [Versions]
// Every in-place write raises the version of the storage, shared by all views of it. A saved tensor
// remembers the version it was saved at, and unpacking it at another is an error.
//
// Note [History of views]
// A view knows its base. An in-place write to a view rewrites the base's history with one
// CopySlices node and raises the base's generation; every other view of that base whose generation
// is older gets a new history, an as_strided of the base, when it is next asked for.

#include <atomic>
#include <memory>
#include <mutex>

#include "taut/autograd/node.h"
#include "taut/base/callback.h"

namespace taut::autograd {

/// Whether the tensor, or the view with its base, is all that shows a storage.
inline bool is_only_reference(const Tensor& tensor) {
  const TensorImpl& impl = *tensor.impl();
  if (impl.use_count() != 1) return false;
  if (!tensor.is_view()) return tensor.storage()->use_count() == 1;
  return impl.view_base->use_count() == 1 && !impl.view_base->view_base &&
         tensor.storage()->use_count() == (impl.borrows_storage ? 1U : 2U);
}

class AutogradMeta {
 public:
  /// A leaf that the user asked gradients for.
  bool requires_grad = false;
  /// The node that made the tensor, or a leaf's accumulator once it has one.
  Ref<Node> node;
  uint32_t slot = 0;
  /// Whether `node` is a leaf's accumulator, for threads that find it made by another.
  std::atomic<bool> has_accumulator{false};
  /// Counts the in-place writes to views of this tensor that went on the tape.
  std::atomic<uint32_t> generation{0};
  /// For a view: the generation of the base that `node` belongs to.
  uint32_t seen_generation = 0;
  /// Makes the tensor's storage, as it is at a version, again; null where it is kept itself.
  Callback<Tensor()> remake;
  uint32_t remade_version = 0;
  /// The gradient of a non-leaf that was asked to keep it.
  std::shared_ptr<Tensor> retained_grad;
  /// For hooks that must find the tensor but not keep it: null once it is gone.
  std::shared_ptr<TensorImpl*> self;

  AutogradMeta() = default;
  AutogradMeta(const AutogradMeta&) = delete;
  AutogradMeta& operator=(const AutogradMeta&) = delete;
  ~AutogradMeta() {
    if (self) *self = nullptr;
  }
  bool is_leaf() const { return !node || node->is_accumulator(); }
};

AutogradMeta& ensure_meta(const Tensor& tensor);

/// The accumulator of a leaf, made at first need.
Ref<Node> accumulator_of(const Tensor& leaf);

/// Makes `node`'s output `slot` the history of `tensor`.
void set_history(const Tensor& tensor, Ref<Node> node, uint32_t slot);

/// The state of an accumulator: the leaf's gradient, which two walks may add to at once.
struct LeafState {
  std::mutex mutex;
  Tensor grad;
};
LeafState& leaf_state(Node& accumulator);

/// The gradient, read and replaced under the mutex.
Tensor accumulated_grad(Node& accumulator);
void set_accumulated_grad(Node& accumulator, Tensor grad);

TensorMeta meta_of(const Tensor& tensor);

}  // namespace taut::autograd
