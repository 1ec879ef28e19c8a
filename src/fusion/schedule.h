#pragma once
// Which kernels compute a graph, and what each of them reads, reduces and writes.
//
// Note [Passes]
// A kernel gives a team of threads to each row of its domain. What it reduces along a row is known
// to the whole row at once: a softmax or a norm is one kernel. Sums over rows (of the gradient of a
// weight) or over everything (of a loss) are known only when every row is done: each block leaves a
// part, and a second small kernel, the *finish*, adds the parts in a fixed order and goes on with
// what follows at that size. What needs such a sum in the full size is a kernel of the next pass,
// which computes its other inputs anew.
//
// Note [Segments]
// Where a root is put together by cat along a dim, in pieces of one size, each piece is a store of
// its own in a kernel over the size of a piece: the halves of a rotation share what they load.

#include <cstdint>
#include <string>
#include <vector>

#include "src/fusion/graph.h"

namespace taut::fusion {

/// Memory that a plan allocates: results, and sums that later kernels read. Contiguous.
struct Buffer {
  DType dtype;
  Dims shape;
};

/// A node's elements go to a buffer.
struct Store {
  NodeId node;
  int buffer;
  Layout layout;  // of the node's shape
};

/// A sum over rows or over everything, of which a block leaves one part for each of `count` results
/// in `groups` groups of rows.
struct PartialSum {
  NodeId node;  // the reduce node
  int64_t groups = 1;
  int64_t count = 1;  // results of a group: the columns, or 1 for a sum over everything
  bool is_total = false;
};

/// A kernel over `rows` x `columns` elements. Without `by_row` the elements are in one row and any
/// thread takes any of them.
struct MainKernel {
  bool by_row = false;
  Dims rows;
  Dims columns;
  std::vector<Store> stores;
  std::vector<PartialSum> sums;
};

/// Adds the parts that a main kernel left, and goes on with results of that size.
struct FinishKernel {
  int main = 0;  // which one
  std::vector<int> sums;
  Dims shape;  // of the results
  std::vector<Store> stores;
};

/// Where a result is found.
struct Result {
  int buffer = -1;    // or
  int argument = -1;  // an argument as it is
};

struct Schedule {
  /// The graph's arguments come first; the buffer b is argument arguments + b.
  int arguments = 0;
  std::vector<Buffer> buffers;
  /// Finishes follow the main kernels of their pass: kernels in the order of `order`, main kernel i
  /// as i, finish i as -1 - i.
  std::vector<MainKernel> mains;
  std::vector<FinishKernel> finishes;
  std::vector<int> order;
  std::vector<Result> results;
  /// Why there is no schedule; empty otherwise.
  std::string refusal;
};

struct ScheduleOptions {
  /// Whether equal roots may be one result.
  bool share_results = false;
  /// Whether results of rows lie in memory, so that no kernel reduces a row and goes on with it:
  /// for rows that are too long to be kept.
  bool keep_rows = false;
};

/// Nodes are added to the graph.
TAUT_API Schedule schedule(Graph& graph, std::vector<NodeId> roots, int arguments,
                           const ScheduleOptions& options);

}  // namespace taut::fusion
