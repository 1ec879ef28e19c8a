#include "src/fusion/index_maps.h"

namespace taut::fusion {
namespace {

using Indices = std::vector<Index>;

Indices moved(const Indices& at, int dim, int64_t step, int64_t offset) {
  Indices result = at;
  Index& index = result[static_cast<size_t>(dim)];
  index = index * step + constant_index(offset);
  return result;
}

Indices view_index(const Node& node, const Dims& shape, const Indices& at, Variables& variables) {
  switch (node.view) {
    case ViewKind::reshape: return reshaped(at, node.shape, shape, variables);
    case ViewKind::slice: return moved(at, node.dim, node.step, node.start);
    case ViewKind::permute: {
      Indices result(at.size());
      for (size_t i = 0; i < at.size(); ++i) {
        result[static_cast<size_t>(node.order[static_cast<int>(i)])] = at[i];
      }
      return result;
    }
    case ViewKind::expand: break;
  }
  return at;
}

// Dims of size 1 stay at 0.
Indices broadcast_index(const Dims& shape, const Indices& at) {
  Indices result(shape.size());
  const size_t added = at.size() - shape.size();
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[static_cast<int>(i)] != 1) result[i] = at[i + added];
  }
  return result;
}

}  // namespace

Indices input_index(const Graph& graph, const Node& node, size_t input, const Indices& at,
                    Variables& variables) {
  const Dims& shape = graph[node.inputs[input]].shape;
  if (node.kind == NodeKind::view && node.view != ViewKind::expand) {
    return view_index(node, shape, at, variables);
  }
  if (node.kind == NodeKind::join) {
    int64_t first = 0;
    for (size_t i = 0; i < input; ++i) first += graph[node.inputs[i]].shape[node.dim];
    return moved(at, node.dim, 1, -first);
  }
  if (node.kind == NodeKind::overlay) {
    if (input == 0) return at;
    Indices result = moved(at, node.dim, 1, -node.start);
    if (node.step != 1) {
      Index& index = result[static_cast<size_t>(node.dim)];
      index = split(index, Dims{shape[node.dim], node.step}, variables)[0];
    }
    return result;
  }
  return broadcast_index(shape, at);
}

Indices operand_index(const Graph& graph, const Node& node, const Indices& at, const Index& column,
                      Variables& variables) {
  const Dims& shape = graph[node.inputs[0]].shape;
  Dims reduced;
  for (int i = 0; i < shape.rank(); ++i) {
    if ((node.mask >> i & 1u) != 0) reduced.push_back(shape[i]);
  }
  const Indices inner = split(column, reduced, variables);
  Indices result = at;
  size_t next = 0;
  for (int i = 0; i < shape.rank(); ++i) {
    if ((node.mask >> i & 1u) != 0) result[static_cast<size_t>(i)] = inner[next++];
  }
  return result;
}

}  // namespace taut::fusion
