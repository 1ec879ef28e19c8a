#pragma once
// The expression that a function of tensors computes, as its trace shows it: pointwise functors,
// views, joins and reductions. Nodes are never changed and equal ones are one, so that what forward
// and backward share is computed once.

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernels/api/pointwise.h"
#include "taut/base/macros.h"
#include "taut/core/dtype.h"
#include "taut/core/layout.h"
#include "taut/core/scalar.h"

namespace taut::fusion {

enum class NodeKind : uint8_t {
  leaf,       // elements of an argument
  number,     // the same for all elements
  pointwise,  // a functor, or a derivative of one
  cast,
  view,     // elements of another node, in other places
  join,     // nodes one behind the other along a dim (cat)
  overlay,  // inputs[0] with a part of it replaced by inputs[1]
  reduce,
};

enum class ViewKind : uint8_t {
  reshape,  // the same elements in the same order
  permute,  // dim i is dim order[i] of the input
  expand,
  slice,  // index i of `dim` is start + i step of the input
};

enum class ReduceKind : uint8_t { sum, max, min };

using NodeId = int;

struct Node {
  NodeKind kind = NodeKind::number;
  /// Of the value. 16-bit floats are held in float and rounded by `cast` only.
  DType dtype = DType::float32;
  Dims shape;
  std::vector<NodeId> inputs;

  // leaf: which argument, and where its elements lie, from the argument's first element on
  int argument = -1;
  Layout layout;
  // number
  Scalar value;
  // pointwise: derivative 0 is the functor itself, i its derivative by input i - 1, as in
  // PointwiseArgs; computed in `compute`
  kernels::Pointwise op{};
  uint8_t derivative = 0;
  DType compute = DType::float32;
  std::array<double, kernels::kMaxPointwiseParameters> parameters = {};
  // view, join and overlay
  ViewKind view{};
  Dims order;
  int dim = 0;
  int64_t start = 0;
  int64_t step = 1;
  // reduce: the dims of the mask become 1; they follow each other, but for dims of size 1
  ReduceKind reduce{};
  uint32_t mask = 0;
};

class TAUT_API Graph {
 public:
  const Node& operator[](NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  int size() const { return static_cast<int>(nodes_.size()); }

  NodeId leaf(int argument, DType dtype, const Layout& layout);
  /// The leaf that is all of an argument; argument_leaf finds it again, or -1.
  NodeId add_argument(int argument, DType dtype, const Layout& layout);
  NodeId argument_leaf(int argument) const;
  NodeId number(const Scalar& value);
  /// `dtype` is that of the value, `compute` that in which the functor computes.
  NodeId pointwise(kernels::Pointwise op, uint8_t derivative, std::vector<NodeId> inputs,
                   const double* parameters, DType compute, DType dtype);
  NodeId cast(NodeId input, DType dtype);
  NodeId reshape(NodeId input, const Dims& shape);
  NodeId permute(NodeId input, const Dims& order);
  NodeId expand(NodeId input, const Dims& shape);
  NodeId slice(NodeId input, int dim, int64_t start, int64_t length, int64_t step);
  NodeId select(NodeId input, int dim, int64_t index);
  NodeId join(std::vector<NodeId> inputs, int dim);
  /// `base` with indices start, start + step, ... of `dim` replaced by those of `part`.
  NodeId overlay(NodeId base, NodeId part, int dim, int64_t start, int64_t step);
  /// The dims of the mask become 1: by a node for each run of neighbouring dims, the last run
  /// first.
  NodeId reduce(ReduceKind kind, NodeId input, uint32_t mask);

  /// Arithmetic in a floating dtype, for what ops are made of.
  NodeId add(NodeId a, NodeId b);
  NodeId subtract(NodeId a, NodeId b);
  NodeId multiply(NodeId a, NodeId b);
  NodeId divide(NodeId a, NodeId b);
  NodeId unary(kernels::Pointwise op, NodeId input);
  NodeId mean(NodeId input, uint32_t mask);

  /// Indices start, ... of `dim` as a node of its own, moved down to where the elements come from:
  /// a slice of a sum is a sum of slices, a slice of a join the input it falls on.
  NodeId pushed_slice(NodeId input, int dim, int64_t start, int64_t length);

  /// `roots` with leaves of some arguments in the place of nodes: replaced[id] is the leaf, or -1.
  std::vector<NodeId> with_replaced(const std::vector<NodeId>& roots,
                                    const std::vector<NodeId>& replaced);

  /// Every node that the roots need, inputs before those that use them.
  std::vector<NodeId> reachable(const std::vector<NodeId>& roots) const;

  std::string to_string(const std::vector<NodeId>& roots) const;

 private:
  NodeId add_node(Node node);
  NodeId with_inputs(NodeId id, std::vector<NodeId> inputs);

  std::vector<Node> nodes_;
  std::map<std::vector<int64_t>, NodeId> known_;
  std::map<int, NodeId> arguments_;
};

/// The dtype that values of `dtype` are computed in: float for 16-bit floats.
TAUT_API DType value_dtype(DType dtype);

}  // namespace taut::fusion
