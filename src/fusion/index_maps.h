#pragma once
// Which element of an input a node's element is made of.

#include <vector>

#include "src/fusion/graph.h"
#include "src/fusion/index.h"

namespace taut::fusion {

/// The indices in input `input` of the element of `node` that has the indices `at`. Where the input
/// is a piece of a cat, or replaces a part, they may lie outside of it.
std::vector<Index> input_index(const Graph& graph, const Node& node, size_t input,
                               const std::vector<Index>& at, Variables& variables);

/// The indices of element `column` of what a reduce node's element at `at` is the reduction of.
std::vector<Index> operand_index(const Graph& graph, const Node& node, const std::vector<Index>& at,
                                 const Index& column, Variables& variables);

}  // namespace taut::fusion
