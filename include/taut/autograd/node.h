#pragma once
// The tape: a Node for each recorded op, which knows how to turn gradients of its outputs into
// gradients of its inputs, and Edges from it to the nodes that made those inputs.
//
// A node is one pooled block: this header, then what its outputs were like, its edges, its saved
// tensors and its attributes. Nodes hold no closures: a backward function is captureless and finds
// all it needs in its BackwardContext. Destruction does not recurse, however long the chain.

#include <cstdint>
#include <span>

#include "taut/autograd/saved_tensor.h"
#include "taut/base/ref.h"
#include "taut/core/tensor.h"

namespace taut::autograd {

class BackwardContext;
class Node;
struct NodeHooks;

/// Computes the gradients of a node's inputs: reads context.grad() and context.saved(i), and calls
/// context.set(i, gradient) for each input that context.needs(i). Gradients may have the shape that
/// broadcasting gave the input, and a floating dtype of another width: the engine undoes both.
using BackwardFn = void (*)(BackwardContext& context);

/// Where a gradient goes: output `slot` of `node`.
struct Edge {
  Ref<Node> node;
  uint32_t slot = 0;
  explicit operator bool() const { return static_cast<bool>(node); }
};

/// What an output was like, to check the gradients that come back for it.
struct TensorMeta {
  Dims shape;
  DType dtype = DType::float32;
  Device device;
};

/// How many parts a new node has.
struct NodeSizes {
  int outputs = 1;
  int edges = 0;
  int saved = 0;
  size_t attribute_bytes = 0;
  /// What the attributes start as; null for zeros.
  const void* attributes = nullptr;
};

class TAUT_API Node final : public RefCounted {
 public:
  /// A node with empty edges, empty saved tensors, without a place in the order.
  static Ref<Node> make(const char* name, BackwardFn backward, const NodeSizes& sizes);
  /// Gives it its place in the order, once it has its edges.
  void take_number();

  const char* name() const { return name_; }
  BackwardFn backward() const { return backward_; }
  /// A node's edges lead to smaller ones, and of one thread's nodes the newer has the larger.
  uint64_t sequence() const { return sequence_; }

  std::span<TensorMeta> outputs() { return {outputs_, output_count_}; }
  std::span<Edge> edges() { return {edges_, edge_count_}; }
  std::span<SavedTensor> saved() { return {saved_, saved_count_}; }
  void* attributes() { return attributes_; }
  /// Called on the attributes when the node goes, for those that own something.
  void set_attribute_destructor(void (*destructor)(void*) noexcept) {
    attribute_destructor_ = destructor;
  }

  /// A leaf's sink: it adds to the leaf's grad and outlives the graphs that lead to it.
  bool is_accumulator() const { return sequence_ == kAccumulatorSequence; }
  void mark_accumulator() { sequence_ = kAccumulatorSequence; }

  /// Drops the saved tensors; a later backward through this node is an error.
  void release_saved();
  bool was_released() const { return released_; }

  NodeHooks* hooks() const { return hooks_; }
  NodeHooks& ensure_hooks();

  /// Where the op was called, kept in anomaly mode; empty otherwise.
  const std::string* call_site() const { return call_site_; }
  void set_call_site(std::string text);

  void destroy() noexcept;

 private:
  static constexpr uint64_t kAccumulatorSequence = ~uint64_t{0};

  Node(const char* name, BackwardFn backward, const NodeSizes& sizes, size_t bytes);
  ~Node();
  void free_parts() noexcept;

  const char* name_;
  BackwardFn backward_;
  uint64_t sequence_ = 0;
  TensorMeta* outputs_;
  Edge* edges_;
  SavedTensor* saved_;
  void* attributes_;
  void (*attribute_destructor_)(void*) noexcept = nullptr;
  NodeHooks* hooks_ = nullptr;
  std::string* call_site_ = nullptr;
  Node* next_to_destroy_ = nullptr;
  uint32_t bytes_;
  uint16_t output_count_;
  uint16_t edge_count_;
  uint16_t saved_count_;
  bool released_ = false;
};

/// Where the gradient of `tensor` goes: its op's node, or a leaf's accumulator; empty when it needs
/// none.
TAUT_API Edge gradient_edge(const Tensor& tensor);

/// What a backward function sees of its node and of the gradients at hand.
class TAUT_API BackwardContext {
 public:
  BackwardContext(Node& node, std::span<Tensor> grads, std::span<Tensor> results,
                  const bool* needed = nullptr, bool is_last = false)
      : node_(node), grads_(grads), results_(results), needed_(needed), is_last_(is_last) {}

  const char* name() const { return node_.name(); }
  int outputs() const { return static_cast<int>(grads_.size()); }
  int inputs() const { return static_cast<int>(results_.size()); }
  /// The gradient of an output; undefined when that output of several got none.
  const Tensor& grad(int output = 0) const { return grads_[static_cast<size_t>(output)]; }
  /// The same, zeros when it got none.
  Tensor grad_or_zeros(int output) const;
  /// The tensor that the gradients of all outputs are views of, when they are all that is left of
  /// it: where they lie in it side by side they need not be put together. Undefined otherwise.
  Tensor base_of_grads() const;
  const TensorMeta& output_meta(int output = 0) const {
    return node_.outputs()[static_cast<size_t>(output)];
  }
  /// Whether somebody wants the gradient of an input.
  bool needs(int input) const {
    return static_cast<bool>(node_.edges()[static_cast<size_t>(input)]) &&
           (needed_ == nullptr || needed_[input]);
  }
  void set(int input, Tensor gradient) {
    results_[static_cast<size_t>(input)] = std::move(gradient);
  }
  int saved_count() const { return static_cast<int>(node_.saved().size()); }
  /// A saved tensor. @throws AutogradError when it was overwritten since, or the graph was freed.
  Tensor saved(int i) const;
  /// The memory of saved(i) for results to be written to, as a tensor without history. Undefined
  /// unless nobody else shows it and this is the last walk through the node.
  Tensor reusable(int i) const;
  template <class Attributes>
  const Attributes& attributes() const {
    return *static_cast<const Attributes*>(node_.attributes());
  }
  Node& node() const { return node_; }

 private:
  Node& node_;
  std::span<Tensor> grads_;
  std::span<Tensor> results_;
  const bool* needed_;
  bool is_last_;
};

}  // namespace taut::autograd
