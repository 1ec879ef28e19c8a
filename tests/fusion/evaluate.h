#pragma once
// What a graph means, op by op on tensors of the CPU: the reference for traces and for kernels.

#include <map>
#include <vector>

#include "src/fusion/graph.h"
#include "src/ops/pointwise.h"
#include "taut/ops/ops.h"

namespace taut::fusion {

class Evaluator {
 public:
  Evaluator(const Graph& graph, const Tensors& arguments) : graph_(graph), arguments_(arguments) {}

  /// The node's value in its dtype.
  Tensor result(NodeId id) {
    const Node& node = graph_[id];
    return to(expand(value(id), node.shape), node.dtype);
  }

 private:
  Tensor value(NodeId id) {
    const auto found = values_.find(id);
    if (found != values_.end()) return found->second;
    const Node& node = graph_[id];
    // 16-bit floats are rounded by casts only.
    return values_[id] = to(compute(node), value_dtype(node.dtype));
  }

  Tensor compute(const Node& node) {
    switch (node.kind) {
      case NodeKind::leaf: {
        const Tensor& argument = arguments_[static_cast<size_t>(node.argument)];
        return as_strided(argument, node.shape, node.layout.strides,
                          argument.storage_offset() + node.layout.offset);
      }
      case NodeKind::number: return tensor(node.value);
      case NodeKind::pointwise: return functor(node);
      case NodeKind::cast:
        return to(to(value(node.inputs[0]), node.dtype), value_dtype(node.dtype));
      case NodeKind::view: return view(node);
      case NodeKind::join: {
        Tensors parts;
        for (const NodeId input : node.inputs) parts.push_back(value(input));
        return cat(parts, node.dim);
      }
      case NodeKind::overlay: {
        Tensor whole = clone(expand(value(node.inputs[0]), node.shape), MemoryFormat::contiguous);
        const int64_t length = graph_[node.inputs[1]].shape[node.dim];
        slice(whole, node.dim, node.start, node.start + (length - 1) * node.step + 1, node.step)
            .copy_(value(node.inputs[1]));
        return whole;
      }
      case NodeKind::reduce: {
        Dims dims;
        for (int i = 0; i < node.shape.rank(); ++i) {
          if ((node.mask >> i & 1u) != 0) dims.push_back(i);
        }
        const Tensor input = expand(value(node.inputs[0]), graph_[node.inputs[0]].shape);
        return node.reduce == ReduceKind::sum   ? sum(input, dims, true)
               : node.reduce == ReduceKind::max ? amax(input, dims, true)
                                                : amin(input, dims, true);
      }
    }
    return {};
  }

  Tensor view(const Node& node) {
    const Tensor input = expand(value(node.inputs[0]), graph_[node.inputs[0]].shape);
    switch (node.view) {
      case ViewKind::reshape: return reshape(input, node.shape);
      case ViewKind::permute: return permute(input, node.order);
      case ViewKind::expand: return expand(input, node.shape);
      case ViewKind::slice:
        return slice(input, node.dim, node.start,
                     node.start + (node.shape[node.dim] - 1) * node.step + 1, node.step);
    }
    return {};
  }

  Tensor functor(const Node& node) {
    Tensor operands[kernels::kMaxPointwiseOperands];
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      operands[i] = to(value(node.inputs[i]), node.compute);
    }
    if (node.derivative > 0) {
      return ops::functor_info(node.op).vjp[node.derivative - 1](node.parameters.data(), operands);
    }
    const std::initializer_list<double> parameters = {node.parameters[0], node.parameters[1],
                                                      node.parameters[2], node.parameters[3]};
    switch (node.inputs.size()) {
      case 1: return ops::apply(node.op, {operands[0]}, parameters);
      case 2: return ops::apply(node.op, {operands[0], operands[1]}, parameters);
      default: return ops::apply(node.op, {operands[0], operands[1], operands[2]}, parameters);
    }
  }

  const Graph& graph_;
  const Tensors& arguments_;
  std::map<NodeId, Tensor> values_;
};

}  // namespace taut::fusion
