#include "src/fusion/graph.h"

#include <algorithm>
#include <bit>
#include <optional>

#include "src/ops/pointwise.h"
#include "taut/base/check.h"
#include "taut/core/tensor.h"

namespace taut::fusion {
namespace {

using kernels::Pointwise;

void append(std::vector<int64_t>& key, const Dims& dims) {
  key.push_back(dims.rank());
  key.insert(key.end(), dims.begin(), dims.end());
}

// All that a node is, as numbers.
std::vector<int64_t> key_of(const Node& node) {
  std::vector<int64_t> key = {static_cast<int64_t>(node.kind),
                              static_cast<int64_t>(node.dtype),
                              node.argument,
                              static_cast<int64_t>(node.op),
                              node.derivative,
                              static_cast<int64_t>(node.compute),
                              static_cast<int64_t>(node.view),
                              node.dim,
                              node.start,
                              node.step,
                              static_cast<int64_t>(node.reduce),
                              node.mask,
                              static_cast<int64_t>(node.value.dtype()),
                              node.layout.offset};
  key.push_back(std::bit_cast<int64_t>(node.value.to_double()));
  key.push_back(node.value.is_floating_point() ? 0 : node.value.to_int64());
  append(key, node.shape);
  append(key, node.layout.strides);
  append(key, node.order);
  for (const double parameter : node.parameters) key.push_back(std::bit_cast<int64_t>(parameter));
  key.insert(key.end(), node.inputs.begin(), node.inputs.end());
  return key;
}

// The power that a constant exponent asks for, as the functor that computes it at once.
std::optional<Pointwise> simpler_power(const Scalar& exponent) {
  const double value = exponent.to_double();
  if (value == 2) return Pointwise::Square;
  if (value == 0.5) return Pointwise::Sqrt;
  if (value == -0.5) return Pointwise::Rsqrt;
  if (value == -1) return Pointwise::Reciprocal;
  return std::nullopt;
}

constexpr double kNoParameters[kernels::kMaxPointwiseParameters] = {};
constexpr double kAlphaOfOne[kernels::kMaxPointwiseParameters] = {1};

}  // namespace

DType value_dtype(DType dtype) { return is_floating_point(dtype) ? compute_dtype(dtype) : dtype; }

NodeId Graph::add_node(Node node) {
  const auto [place, is_new] = known_.try_emplace(key_of(node), size());
  if (is_new) nodes_.push_back(std::move(node));
  return place->second;
}

NodeId Graph::leaf(int argument, DType dtype, const Layout& layout) {
  Node node;
  node.kind = NodeKind::leaf;
  node.dtype = dtype;
  node.shape = layout.shape;
  node.argument = argument;
  node.layout = layout;
  return add_node(std::move(node));
}

NodeId Graph::add_argument(int argument, DType dtype, const Layout& layout) {
  return arguments_[argument] = leaf(argument, dtype, layout);
}
NodeId Graph::argument_leaf(int argument) const {
  const auto found = arguments_.find(argument);
  return found == arguments_.end() ? -1 : found->second;
}

NodeId Graph::number(const Scalar& value) {
  Node node;
  node.kind = NodeKind::number;
  node.dtype = value.dtype();
  node.value = value;
  return add_node(std::move(node));
}

NodeId Graph::pointwise(Pointwise op, uint8_t derivative, std::vector<NodeId> inputs,
                        const double* parameters, DType compute, DType dtype) {
  const bool is_float_power = op == Pointwise::Pow && derivative == 0 && is_floating_point(dtype);
  if (is_float_power && (*this)[inputs[1]].kind == NodeKind::number) {
    const Scalar exponent = (*this)[inputs[1]].value;
    if (exponent.to_double() == 1 && (*this)[inputs[0]].dtype == dtype) return inputs[0];
    if (const std::optional<Pointwise> simpler = simpler_power(exponent)) {
      return pointwise(*simpler, 0, {inputs[0]}, kNoParameters, compute, dtype);
    }
  }
  Node node;
  node.kind = NodeKind::pointwise;
  node.op = op;
  node.derivative = derivative;
  node.compute = compute;
  node.dtype = dtype;
  std::copy_n(parameters, kernels::kMaxPointwiseParameters, node.parameters.begin());
  for (const NodeId input : inputs) {
    node.shape = broadcast_shapes("fuse", node.shape, (*this)[input].shape);
  }
  node.inputs = std::move(inputs);
  return add_node(std::move(node));
}

NodeId Graph::cast(NodeId input, DType dtype) {
  if ((*this)[input].dtype == dtype) return input;
  Node node;
  node.kind = NodeKind::cast;
  node.dtype = dtype;
  node.shape = (*this)[input].shape;
  node.inputs = {input};
  return add_node(std::move(node));
}

NodeId Graph::reshape(NodeId input, const Dims& shape) {
  const Node& source = (*this)[input];
  if (source.shape == shape) return input;
  if (source.kind == NodeKind::leaf) {
    if (const std::optional<Layout> layout = source.layout.view(shape)) {
      return leaf(source.argument, source.dtype, *layout);
    }
  }
  if (source.kind == NodeKind::view && source.view == ViewKind::reshape) {
    return reshape(source.inputs[0], shape);
  }
  Node node;
  node.kind = NodeKind::view;
  node.view = ViewKind::reshape;
  node.dtype = source.dtype;
  node.shape = shape;
  node.inputs = {input};
  return add_node(std::move(node));
}

NodeId Graph::permute(NodeId input, const Dims& order) {
  const Node& source = (*this)[input];
  if (source.kind == NodeKind::leaf) {
    return leaf(source.argument, source.dtype, source.layout.permute(order));
  }
  bool is_identity = true;
  Node node;
  node.kind = NodeKind::view;
  node.view = ViewKind::permute;
  node.dtype = source.dtype;
  node.order = order;
  for (int i = 0; i < order.rank(); ++i) {
    is_identity &= order[i] == i;
    node.shape.push_back(source.shape[static_cast<int>(order[i])]);
  }
  if (is_identity) return input;
  node.inputs = {input};
  return add_node(std::move(node));
}

NodeId Graph::expand(NodeId input, const Dims& shape) {
  const Node& source = (*this)[input];
  if (source.shape == shape) return input;
  if (source.kind == NodeKind::leaf) {
    return leaf(source.argument, source.dtype, source.layout.broadcast_to("fuse", shape));
  }
  Node node;
  node.kind = NodeKind::view;
  node.view = ViewKind::expand;
  node.dtype = source.dtype;
  node.shape = shape;
  node.inputs = {input};
  return add_node(std::move(node));
}

NodeId Graph::slice(NodeId input, int dim, int64_t start, int64_t length, int64_t step) {
  const Node& source = (*this)[input];
  if (start == 0 && step == 1 && length == source.shape[dim]) return input;
  if (source.kind == NodeKind::leaf) {
    const int64_t end = length == 0 ? start : start + (length - 1) * step + 1;
    return leaf(source.argument, source.dtype, source.layout.slice(dim, start, end, step));
  }
  Node node;
  node.kind = NodeKind::view;
  node.view = ViewKind::slice;
  node.dtype = source.dtype;
  node.shape = source.shape;
  node.shape[dim] = length;
  node.dim = dim;
  node.start = start;
  node.step = step;
  node.inputs = {input};
  return add_node(std::move(node));
}

NodeId Graph::select(NodeId input, int dim, int64_t index) {
  Dims shape = (*this)[input].shape;
  shape.erase(dim);
  return reshape(pushed_slice(input, dim, index, 1), shape);
}

NodeId Graph::join(std::vector<NodeId> inputs, int dim) {
  if (inputs.size() == 1) return inputs[0];
  Node node;
  node.kind = NodeKind::join;
  node.dtype = (*this)[inputs[0]].dtype;
  node.shape = (*this)[inputs[0]].shape;
  node.shape[dim] = 0;
  node.dim = dim;
  for (const NodeId input : inputs) node.shape[dim] += (*this)[input].shape[dim];
  node.inputs = std::move(inputs);
  return add_node(std::move(node));
}

NodeId Graph::overlay(NodeId base, NodeId part, int dim, int64_t start, int64_t step) {
  Node node;
  node.kind = NodeKind::overlay;
  node.dtype = (*this)[base].dtype;
  node.shape = (*this)[base].shape;
  node.dim = dim;
  node.start = start;
  node.step = step;
  node.inputs = {base, part};
  return add_node(std::move(node));
}

namespace {

// The last dims of the mask that follow each other, but for dims of size 1 between them.
uint32_t last_run(const Dims& shape, uint32_t mask) {
  uint32_t run = 0;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    const bool is_reduced = (mask >> i & 1u) != 0;
    if (is_reduced && shape[i] != 1) run |= 1u << i;
    if (!is_reduced && shape[i] != 1 && run != 0) break;
  }
  return run;
}

}  // namespace

NodeId Graph::reduce(ReduceKind kind, NodeId input, uint32_t mask) {
  const Node& source = (*this)[input];
  const uint32_t run = last_run(source.shape, mask);
  if (run == 0) return input;
  Node node;
  node.kind = NodeKind::reduce;
  node.reduce = kind;
  node.dtype = source.dtype;
  node.mask = run;
  node.shape = source.shape;
  for (int i = 0; i < source.shape.rank(); ++i) {
    if ((run >> i & 1u) != 0) node.shape[i] = 1;
  }
  node.inputs = {input};
  return reduce(kind, add_node(std::move(node)), mask);
}

namespace {

DType common_dtype(const Node& a, const Node& b) {
  return a.kind == NodeKind::number ? b.dtype : a.dtype;
}

}  // namespace

NodeId Graph::add(NodeId a, NodeId b) {
  const DType dtype = common_dtype((*this)[a], (*this)[b]);
  return pointwise(Pointwise::Add, 0, {a, b}, kAlphaOfOne, value_dtype(dtype), dtype);
}
NodeId Graph::subtract(NodeId a, NodeId b) {
  const DType dtype = common_dtype((*this)[a], (*this)[b]);
  return pointwise(Pointwise::Sub, 0, {a, b}, kAlphaOfOne, value_dtype(dtype), dtype);
}
NodeId Graph::multiply(NodeId a, NodeId b) {
  const DType dtype = common_dtype((*this)[a], (*this)[b]);
  return pointwise(Pointwise::Mul, 0, {a, b}, kNoParameters, value_dtype(dtype), dtype);
}
NodeId Graph::divide(NodeId a, NodeId b) {
  const DType dtype = common_dtype((*this)[a], (*this)[b]);
  return pointwise(Pointwise::TrueDivide, 0, {a, b}, kNoParameters, value_dtype(dtype), dtype);
}
NodeId Graph::unary(Pointwise op, NodeId input) {
  const DType dtype = (*this)[input].dtype;
  return pointwise(op, 0, {input}, kNoParameters, value_dtype(dtype), dtype);
}

NodeId Graph::mean(NodeId input, uint32_t mask) {
  const Dims shape = (*this)[input].shape;
  int64_t count = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if ((mask >> i & 1u) != 0) count *= shape[i];
  }
  return multiply(reduce(ReduceKind::sum, input, mask),
                  number(Scalar(1.0 / static_cast<double>(count))));
}

NodeId Graph::with_inputs(NodeId id, std::vector<NodeId> inputs) {
  const Node node = (*this)[id];
  if (node.inputs == inputs) return id;
  switch (node.kind) {
    case NodeKind::leaf:
    case NodeKind::number: return id;
    case NodeKind::pointwise:
      return pointwise(node.op, node.derivative, std::move(inputs), node.parameters.data(),
                       node.compute, node.dtype);
    case NodeKind::cast: return cast(inputs[0], node.dtype);
    case NodeKind::view:
      switch (node.view) {
        case ViewKind::reshape: return reshape(inputs[0], node.shape);
        case ViewKind::permute: return permute(inputs[0], node.order);
        case ViewKind::expand: return expand(inputs[0], node.shape);
        case ViewKind::slice:
          return slice(inputs[0], node.dim, node.start, node.shape[node.dim], node.step);
      }
      return id;
    case NodeKind::join: return join(std::move(inputs), node.dim);
    case NodeKind::overlay: return overlay(inputs[0], inputs[1], node.dim, node.start, node.step);
    case NodeKind::reduce: return reduce(node.reduce, inputs[0], node.mask);
  }
  return id;
}

NodeId Graph::pushed_slice(NodeId id, int dim, int64_t start, int64_t length) {
  const Node node = (*this)[id];
  if (start == 0 && length == node.shape[dim]) return id;
  switch (node.kind) {
    case NodeKind::cast: return cast(pushed_slice(node.inputs[0], dim, start, length), node.dtype);
    case NodeKind::pointwise: {
      std::vector<NodeId> inputs;
      for (const NodeId input : node.inputs) {
        const Dims& shape = (*this)[input].shape;
        const int at = dim - (node.shape.rank() - shape.rank());
        const bool varies = at >= 0 && shape[at] != 1;
        inputs.push_back(varies ? pushed_slice(input, at, start, length) : input);
      }
      return with_inputs(id, std::move(inputs));
    }
    case NodeKind::join: {
      std::vector<NodeId> parts;
      int64_t first = 0;
      for (const NodeId input : node.inputs) {
        const int64_t size = (*this)[input].shape[node.dim];
        if (dim != node.dim) {
          parts.push_back(pushed_slice(input, dim, start, length));
        } else {
          const int64_t from = std::max(start, first);
          const int64_t to = std::min(start + length, first + size);
          if (from < to) parts.push_back(pushed_slice(input, dim, from - first, to - from));
        }
        first += size;
      }
      return join(std::move(parts), node.dim);
    }
    case NodeKind::overlay: {
      const int64_t size = (*this)[node.inputs[1]].shape[node.dim];
      if (dim == node.dim && node.step == 1) {
        if (start >= node.start && start + length <= node.start + size) {
          return pushed_slice(node.inputs[1], dim, start - node.start, length);
        }
        if (start + length <= node.start || start >= node.start + size) {
          return pushed_slice(node.inputs[0], dim, start, length);
        }
      }
      return slice(id, dim, start, length, 1);
    }
    case NodeKind::view:
      if (node.view == ViewKind::permute) {
        const int at = static_cast<int>(node.order[dim]);
        return permute(pushed_slice(node.inputs[0], at, start, length), node.order);
      }
      if (node.view == ViewKind::expand) {
        const Dims& shape = (*this)[node.inputs[0]].shape;
        const int at = dim - (node.shape.rank() - shape.rank());
        const bool varies = at >= 0 && shape[at] != 1;
        Dims target = node.shape;
        target[dim] = length;
        return expand(varies ? pushed_slice(node.inputs[0], at, start, length) : node.inputs[0],
                      target);
      }
      return slice(id, dim, start, length, 1);
    case NodeKind::reduce:
      if ((node.mask >> dim & 1u) == 0) {
        return reduce(node.reduce, pushed_slice(node.inputs[0], dim, start, length), node.mask);
      }
      return slice(id, dim, start, length, 1);
    case NodeKind::leaf:
    case NodeKind::number: return slice(id, dim, start, length, 1);
  }
  return id;
}

std::vector<NodeId> Graph::reachable(const std::vector<NodeId>& roots) const {
  std::vector<bool> found(nodes_.size());
  for (const NodeId root : roots) found[static_cast<size_t>(root)] = true;
  // Inputs have smaller numbers than what uses them.
  std::vector<NodeId> result;
  for (NodeId id = size() - 1; id >= 0; --id) {
    if (!found[static_cast<size_t>(id)]) continue;
    for (const NodeId input : (*this)[id].inputs) found[static_cast<size_t>(input)] = true;
  }
  for (NodeId id = 0; id < size(); ++id) {
    if (found[static_cast<size_t>(id)]) result.push_back(id);
  }
  return result;
}

std::vector<NodeId> Graph::with_replaced(const std::vector<NodeId>& roots,
                                         const std::vector<NodeId>& replaced) {
  std::vector<NodeId> now(nodes_.size(), -1);
  for (const NodeId id : reachable(roots)) {
    const auto at = static_cast<size_t>(id);
    if (at < replaced.size() && replaced[at] >= 0) {
      now[at] = replaced[at];
      continue;
    }
    std::vector<NodeId> inputs;
    inputs.reserve((*this)[id].inputs.size());
    for (const NodeId input : (*this)[id].inputs) inputs.push_back(now[static_cast<size_t>(input)]);
    now[at] = with_inputs(id, std::move(inputs));
  }
  std::vector<NodeId> result;
  result.reserve(roots.size());
  for (const NodeId root : roots) result.push_back(now[static_cast<size_t>(root)]);
  return result;
}

namespace {

const char* view_name(ViewKind kind) {
  switch (kind) {
    case ViewKind::reshape: return "reshape";
    case ViewKind::permute: return "permute";
    case ViewKind::expand: return "expand";
    case ViewKind::slice: return "slice";
  }
  return "";
}
const char* reduce_name(ReduceKind kind) {
  return kind == ReduceKind::sum ? "sum" : kind == ReduceKind::max ? "amax" : "amin";
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case NodeKind::leaf: return concat("argument ", node.argument);
    case NodeKind::number: return concat(node.value.to_double());
    case NodeKind::pointwise:
      return concat(ops::functor_info(node.op).name,
                    node.derivative == 0 ? "" : concat("'", int{node.derivative}));
    case NodeKind::cast: return "to";
    case NodeKind::view: return view_name(node.view);
    case NodeKind::join: return "cat";
    case NodeKind::overlay: return "overlay";
    case NodeKind::reduce: return reduce_name(node.reduce);
  }
  return "";
}

}  // namespace

std::string Graph::to_string(const std::vector<NodeId>& roots) const {
  std::string text;
  for (const NodeId id : reachable(roots)) {
    const Node& node = (*this)[id];
    text += concat("%", id, " = ", describe(node));
    for (const NodeId input : node.inputs) text += concat(" %", input);
    text += concat("  ", node.dtype, " ", node.shape, "\n");
  }
  return text;
}

}  // namespace taut::fusion
