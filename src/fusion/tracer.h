#pragma once
// Watches a function run, op by op, and keeps what it computes as a graph.

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "src/fusion/graph.h"
#include "taut/autograd/record.h"
#include "taut/core/tensor.h"

namespace taut::fusion {

/// Made before the function is called, with its arguments; watches this thread as long as it
/// lives. A value is known by the memory that it lies in, whatever tensor shows it.
class TAUT_API Tracer final : public autograd::OpObserver {
 public:
  explicit Tracer(Graph& graph);
  ~Tracer() override;

  /// Whether there is one on this thread.
  static bool is_tracing();

  /// Tensors that are given, as the graph's arguments `first`, first + 1, ...; undefined ones are
  /// counted and not there.
  void add_arguments(TensorList arguments, int first);
  /// The node of a tensor that the function made or was given; refuses others.
  NodeId node_of(const Tensor& tensor);

  void on_op(const autograd::OpRecord& record) override;

  /// Why the function cannot be a graph; empty while it can.
  const std::string& refusal() const { return refusal_; }

 private:
  struct Value {
    Layout layout;
    DType dtype;
    NodeId node;
  };
  // What is known of a piece of memory. The first value is the one that it was made for.
  struct Memory {
    std::vector<Value> values;
    bool is_argument = false;
  };
  friend struct Handlers;

  void refuse(std::string reason);
  void define(const Tensor& tensor, NodeId node);
  void write(const Tensor& target, NodeId node, const char* op);
  const Value* find(const Tensor& tensor) const;

  Graph& graph_;
  std::map<const void*, Memory> memory_;
  Tensors kept_;  // so that memory is not given to another tensor meanwhile
  std::string refusal_;
};

}  // namespace taut::fusion
