// See Note [Passes] and Note [Segments].

#include "src/fusion/schedule.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "src/fusion/index.h"
#include "src/fusion/index_maps.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

// A total over no more than this is one row of one team, without a second kernel.
constexpr int64_t kLongestSingleRow = 8192;
constexpr int kMostSegments = 8;
constexpr int kMostRounds = 32;

enum class ReducePlace : uint8_t { row, column, total };

struct Sizes {
  int64_t before = 1, reduced = 1, after = 1;
};

// The elements before, in and after the run of reduced dims.
Sizes sizes_of(const Dims& shape, uint32_t mask) {
  Sizes sizes;
  for (int i = 0; i < shape.rank(); ++i) {
    if ((mask >> i & 1u) != 0) {
      sizes.reduced *= shape[i];
    } else {
      (sizes.reduced == 1 ? sizes.before : sizes.after) *= shape[i];
    }
  }
  return sizes;
}

Dims without_ones(const Dims& shape) {
  Dims result;
  for (const int64_t size : shape) {
    if (size != 1) result.push_back(size);
  }
  return result;
}

// What is asked of the kernels of a pass.
struct Item {
  NodeId node = -1;  // the value that is stored, or summed
  std::optional<Store> store;
  std::optional<PartialSum> sum;
  // The rows and columns that it must have; without rows_fixed any that have as many elements.
  bool rows_fixed = false;
  Dims rows, columns;
};

class Scheduler {
 public:
  Scheduler(Graph& graph, std::vector<NodeId> roots, int arguments, const ScheduleOptions& options)
      : graph_(graph), roots_(std::move(roots)), options_(options) {
    result_.arguments = arguments;
  }

  Schedule run() {
    for (const NodeId id : graph_.reachable(roots_)) {
      if (graph_[id].shape.numel() == 0) return refused("a tensor without elements");
    }
    for (int round = 0; round < kMostRounds; ++round) {
      result_ = Schedule{result_.arguments, {}, {}, {}, {}, {}, {}};
      leaves_.clear();
      placed_.clear();
      if (try_all()) return std::move(result_);
    }
    return refused("reductions that depend on each other in too many ways");
  }

 private:
  Schedule refused(std::string reason) {
    Schedule none;
    none.refusal = std::move(reason);
    return none;
  }

  ReducePlace place_of(NodeId id) const {
    const Node& node = graph_[id];
    const Dims& shape = graph_[node.inputs[0]].shape;
    const Sizes sizes = sizes_of(shape, node.mask);
    if (sizes.after != 1) return ReducePlace::column;
    if (sizes.before != 1) return ReducePlace::row;
    return sizes.reduced <= kLongestSingleRow ? ReducePlace::row : ReducePlace::total;
  }
  // Whether a node's value lies in memory before what uses it is computed.
  bool is_kept(NodeId id) const {
    const Node& node = graph_[id];
    if (node.kind != NodeKind::reduce) return false;
    return options_.keep_rows || place_of(id) != ReducePlace::row || kept_rows_.contains(id);
  }

  void number_passes() {
    passes_.assign(static_cast<size_t>(graph_.size()), 0);
    for (NodeId id = 0; id < graph_.size(); ++id) {
      int pass = 0;
      for (const NodeId input : graph_[id].inputs) {
        pass = std::max(pass, passes_[static_cast<size_t>(input)] + (is_kept(input) ? 1 : 0));
      }
      passes_[static_cast<size_t>(id)] = pass;
    }
  }
  int pass_of(NodeId id) const { return passes_[static_cast<size_t>(id)]; }

  // The nodes that a value is computed from in one kernel: up to what is kept.
  std::vector<NodeId> closure(NodeId root) const {
    std::set<NodeId> found = {root};
    std::vector<NodeId> pending = {root};
    while (!pending.empty()) {
      const NodeId id = pending.back();
      pending.pop_back();
      for (const NodeId input : graph_[id].inputs) {
        if (is_kept(input) || !found.insert(input).second) continue;
        pending.push_back(input);
      }
    }
    return {found.begin(), found.end()};
  }

  // The same of an input: nothing where it lies in memory.
  std::vector<NodeId> closure_of_input(NodeId id) const {
    return is_kept(id) ? std::vector<NodeId>() : closure(id);
  }

  // Rows -----------------------------------------------------------------------------------------

  struct Domain {
    Dims rows, columns;
  };
  Domain domain_of_reduce(NodeId id) const {
    const Node& node = graph_[id];
    const Dims& shape = graph_[node.inputs[0]].shape;
    Domain domain;
    bool in_columns = false;
    for (int i = 0; i < shape.rank(); ++i) {
      in_columns |= (node.mask >> i & 1u) != 0;
      (in_columns ? domain.columns : domain.rows).push_back(shape[i]);
    }
    return domain;
  }

  // The domain of the row reductions in a closure; those that do not agree with the last of them
  // are kept, and the rounds begin anew.
  bool find_domain(const std::vector<NodeId>& nodes, std::optional<Domain>& domain) {
    NodeId last = -1;
    for (const NodeId id : nodes) {
      if (graph_[id].kind == NodeKind::reduce && place_of(id) == ReducePlace::row) last = id;
    }
    if (last < 0) return true;
    domain = domain_of_reduce(last);
    for (const NodeId id : nodes) {
      if (graph_[id].kind != NodeKind::reduce || place_of(id) != ReducePlace::row) continue;
      const Domain other = domain_of_reduce(id);
      if (other.rows.numel() == domain->rows.numel() &&
          other.columns.numel() == domain->columns.numel()) {
        continue;
      }
      kept_rows_.insert(id);
      return false;
    }
    return true;
  }

  // Whether each reduction that `node` needs is met at the row that it is the reduction of; those
  // that are not are kept.
  bool check_rows(NodeId node, const Domain& domain, bool of_rows) {
    Variables variables;
    const std::vector<Index> rows = add_dims(domain.rows, false, variables);
    const std::vector<Index> columns = add_dims(domain.columns, true, variables);
    row_ = linear(rows, contiguous_strides(domain.rows));
    column_ = linear(columns, contiguous_strides(domain.columns));
    column_count_ = domain.columns.numel();
    const Index number = of_rows ? row_ : row_ * column_count_ + column_;
    visited_.clear();
    return walk(node, split(number, graph_[node].shape, variables), variables);
  }

  bool walk(NodeId id, const std::vector<Index>& at, Variables& variables) {
    const Node node = graph_[id];
    for (const auto& [seen, where] : visited_) {
      if (seen == id && where == at) return true;
    }
    visited_.emplace_back(id, at);
    switch (node.kind) {
      case NodeKind::leaf:
      case NodeKind::number: return true;
      case NodeKind::reduce: {
        if (is_kept(id)) return true;
        if (!(linear(at, contiguous_strides(node.shape)) == row_)) {
          kept_rows_.insert(id);
          return false;
        }
        return walk(node.inputs[0], operand_index(graph_, node, at, column_, variables), variables);
      }
      default:
        for (size_t i = 0; i < node.inputs.size(); ++i) {
          if (!walk(node.inputs[i], input_index(graph_, node, i, at, variables), variables))
            return false;
        }
        return true;
    }
  }

  // Roots ----------------------------------------------------------------------------------------

  int add_buffer(DType dtype, const Dims& shape) {
    result_.buffers.push_back({dtype, shape});
    return static_cast<int>(result_.buffers.size()) - 1;
  }

  NodeId strip_reshapes(NodeId id) const {
    while (graph_[id].kind == NodeKind::view && graph_[id].view == ViewKind::reshape) {
      id = graph_[id].inputs[0];
    }
    return id;
  }

  // The places along the root's dims where one piece of a cat ends and the next begins.
  void find_breaks(NodeId id, const Dims& shape, std::map<int, std::set<int64_t>>& breaks) const {
    const Node& node = graph_[id];
    if (!(node.shape == shape)) return;
    if (node.kind == NodeKind::join) {
      int64_t first = 0;
      for (const NodeId input : node.inputs) {
        if (first != 0) breaks[node.dim].insert(first);
        first += graph_[input].shape[node.dim];
      }
      return;
    }
    if (node.kind == NodeKind::overlay) {
      const int64_t end = node.start + graph_[node.inputs[1]].shape[node.dim];
      if (node.step == 1 && node.start != 0) breaks[node.dim].insert(node.start);
      if (node.step == 1 && end != shape[node.dim]) breaks[node.dim].insert(end);
      find_breaks(node.inputs[0], shape, breaks);
      return;
    }
    if (node.kind == NodeKind::pointwise || node.kind == NodeKind::cast) {
      for (const NodeId input : node.inputs) find_breaks(input, shape, breaks);
    }
  }

  bool has_row_reduction(NodeId id) const {
    for (const NodeId node : closure(id)) {
      if (graph_[node].kind == NodeKind::reduce && place_of(node) == ReducePlace::row) return true;
    }
    return false;
  }

  // The stores that put a root into its buffer; see Note [Segments].
  std::vector<Store> stores_of(NodeId root, int buffer) {
    const Node node = graph_[root];
    const Layout whole = Layout::contiguous(node.shape);
    std::map<int, std::set<int64_t>> breaks;
    find_breaks(root, node.shape, breaks);
    if (breaks.size() != 1 || has_row_reduction(root)) return {{root, buffer, whole}};
    const auto& [dim, places] = *breaks.begin();
    const int64_t length = *places.begin();
    const int64_t size = node.shape[dim];
    bool is_even = size % length == 0 && size / length <= kMostSegments;
    for (const int64_t place : places) is_even &= place % length == 0;
    if (!is_even) return {{root, buffer, whole}};
    std::vector<Store> stores;
    for (int64_t start = 0; start < size; start += length) {
      stores.push_back({graph_.pushed_slice(root, dim, start, length), buffer,
                        whole.slice(dim, start, start + length, 1)});
    }
    return stores;
  }

  // The argument that a root shows unchanged, or -1.
  int argument_of(NodeId root) const {
    const Node& node = graph_[root];
    const bool is_whole =
        node.kind == NodeKind::leaf && graph_.argument_leaf(node.argument) == root;
    return is_whole && node.layout.is_contiguous() ? node.argument : -1;
  }

  bool try_all() {
    std::map<NodeId, int> known;
    std::vector<Store> stores;
    for (const NodeId root : roots_) {
      const Node node = graph_[root];
      Result result;
      result.argument = argument_of(root);
      if (result.argument < 0) {
        const auto found = known.find(root);
        if (options_.share_results && found != known.end()) {
          result.buffer = found->second;
        } else {
          result.buffer = known[root] = add_buffer(node.dtype, node.shape);
          const NodeId stripped = strip_reshapes(root);
          for (Store& store : stores_of(stripped, result.buffer)) stores.push_back(store);
        }
      }
      result_.results.push_back(result);
    }
    number_passes();
    return place(stores);
  }

  // Passes ---------------------------------------------------------------------------------------

  // Whether a store is done by the finish of the sums that it needs: the same number of results,
  // and no more to do than elementwise.
  bool is_light(const Store& store) const {
    const std::vector<NodeId> nodes = closure(store.node);
    const int64_t numel = graph_[store.node].shape.numel();
    bool has_sum = false;
    if (never_light_.contains(store.node)) return false;
    if (is_kept(store.node)) return place_of(store.node) != ReducePlace::row;
    for (const NodeId id : nodes) {
      const Node& node = graph_[id];
      if (node.kind == NodeKind::reduce) return false;
      if (node.kind == NodeKind::view && node.view != ViewKind::reshape) return false;
      if (node.kind == NodeKind::join || node.kind == NodeKind::overlay) return false;
      for (const NodeId input : node.inputs) {
        if (!is_kept(input)) continue;
        if (place_of(input) == ReducePlace::row || graph_[input].shape.numel() != numel ||
            pass_of(input) + 1 != pass_of(store.node)) {
          return false;
        }
        has_sum = true;
      }
    }
    return has_sum;
  }

  bool place(const std::vector<Store>& stores) {
    int last = 0;
    std::set<NodeId> kept;
    std::vector<Store> light, heavy;
    std::vector<NodeId> wanted;
    for (const Store& store : stores) {
      (is_light(store) ? light : heavy).push_back(store);
      wanted.push_back(store.node);
    }
    for (const NodeId id : graph_.reachable(wanted)) {
      if (is_kept(id)) kept.insert(id);
      last = std::max(last, pass_of(id));
    }
    const std::set<NodeId> in_memory = kept_for_others(heavy, kept);
    for (int pass = 0; pass <= last; ++pass) {
      std::vector<Item> items;
      for (const Store& store : heavy) {
        if (pass_of(store.node) == pass && !add_item(items, store)) return false;
      }
      for (const NodeId id : kept) {
        if (pass_of(id) == pass && !add_kept(items, id)) return false;
      }
      const size_t first = result_.mains.size();
      if (!group(items)) return false;
      for (size_t i = first; i < result_.mains.size(); ++i) {
        result_.order.push_back(static_cast<int>(i));
      }
      for (size_t i = first; i < result_.mains.size(); ++i) {
        add_finishes(static_cast<int>(i), light, in_memory);
      }
    }
    for (const Store& store : light) {
      if (!placed_.contains(store.node)) never_light_.insert(store.node);
    }
    if (placed_.size() < nodes_of(light).size()) return false;
    put_leaves();
    return true;
  }

  static std::set<NodeId> nodes_of(const std::vector<Store>& stores) {
    std::set<NodeId> nodes;
    for (const Store& store : stores) nodes.insert(store.node);
    return nodes;
  }

  // The sums that main kernels read, or others of other sizes.
  std::set<NodeId> kept_for_others(const std::vector<Store>& heavy, const std::set<NodeId>& kept) {
    std::set<NodeId> result;
    const auto add = [&](NodeId root) {
      for (const NodeId id : closure(root)) {
        for (const NodeId input : graph_[id].inputs) {
          if (is_kept(input)) result.insert(input);
        }
      }
    };
    for (const Store& store : heavy) add(store.node);
    for (const NodeId id : kept) add(id);
    return result;
  }

  bool add_item(std::vector<Item>& items, const Store& store) {
    Item item;
    item.node = store.node;
    item.store = store;
    std::optional<Domain> domain;
    if (!find_domain(closure(store.node), domain)) return false;
    const Dims& shape = graph_[store.node].shape;
    if (domain) {
      item.rows_fixed = true;
      item.rows = domain->rows;
      item.columns = domain->columns;
      const int64_t rows = domain->rows.numel();
      const bool fits = shape.numel() == rows || shape.numel() == rows * domain->columns.numel();
      if (!fits) {
        // Of another size than the rows: what is reduced comes from memory.
        keep_rows_of(store.node);
        return false;
      }
    } else {
      item.columns = shape;
    }
    items.push_back(item);
    return true;
  }

  void keep_rows_of(NodeId root) {
    for (const NodeId id : closure(root)) {
      if (graph_[id].kind == NodeKind::reduce && place_of(id) == ReducePlace::row) {
        kept_rows_.insert(id);
      }
    }
  }

  bool add_kept(std::vector<Item>& items, NodeId id) {
    const Node node = graph_[id];
    const ReducePlace place = place_of(id);
    const NodeId operand = node.inputs[0];
    const Dims shape = graph_[operand].shape;
    if (place == ReducePlace::row) {
      // A row's result, which a later kernel reads.
      const Domain domain = domain_of_reduce(id);
      std::optional<Domain> inner;
      if (!find_domain(closure_of_input(operand), inner)) return false;
      if (inner && (inner->rows.numel() != domain.rows.numel() ||
                    inner->columns.numel() != domain.columns.numel())) {
        keep_rows_of(operand);
        return false;
      }
      Item item;
      item.node = id;
      item.store = Store{id, leaf_of(id), Layout::contiguous(node.shape)};
      item.rows_fixed = true;
      item.rows = domain.rows;
      item.columns = domain.columns;
      items.push_back(item);
      return true;
    }
    Item item;
    item.node = operand;
    std::optional<Domain> domain;
    if (!find_domain(closure_of_input(operand), domain)) return false;
    PartialSum sum;
    sum.node = id;
    const Sizes sizes = sizes_of(shape, node.mask);
    if (place == ReducePlace::total) {
      sum.is_total = true;
    } else {
      sum.groups = sizes.before;
      sum.count = sizes.after;
      item.rows_fixed = true;
      bool in_columns = false;
      bool seen = false;
      for (int i = 0; i < shape.rank(); ++i) {
        const bool is_reduced = (node.mask >> i & 1u) != 0;
        seen |= is_reduced;
        in_columns |= seen && !is_reduced && shape[i] != 1;
        (in_columns ? item.columns : item.rows).push_back(shape[i]);
      }
    }
    item.sum = sum;
    if (domain) {
      const int64_t rows = domain->rows.numel();
      const int64_t columns = domain->columns.numel();
      const bool fits = sum.is_total ? shape.numel() == rows || shape.numel() == rows * columns
                                     : item.rows.numel() == rows && item.columns.numel() == columns;
      if (!fits) {
        keep_rows_of(operand);
        return false;
      }
      item.rows_fixed = true;
      item.rows = domain->rows;
      item.columns = domain->columns;
    } else if (sum.is_total) {
      item.columns = shape;
    }
    items.push_back(item);
    return true;
  }

  // Items of one domain become one kernel.
  bool group(std::vector<Item>& items) {
    std::stable_sort(items.begin(), items.end(),
                     [](const Item& a, const Item& b) { return a.rows_fixed > b.rows_fixed; });
    std::vector<MainKernel> kernels;
    for (const Item& item : items) {
      MainKernel* target = nullptr;
      for (MainKernel& kernel : kernels) {
        if (goes_with(kernel, item)) {
          target = &kernel;
          break;
        }
      }
      if (target == nullptr) {
        kernels.emplace_back();
        target = &kernels.back();
        target->by_row = item.rows_fixed;
        target->rows = without_ones(item.rows);
        target->columns = without_ones(item.columns);
      } else if (!item.rows_fixed && !target->by_row &&
                 without_ones(item.columns).rank() > target->columns.rank()) {
        target->columns = without_ones(item.columns);
      }
      if (item.store) target->stores.push_back(*item.store);
      if (item.sum) target->sums.push_back(*item.sum);
    }
    for (MainKernel& kernel : kernels) {
      if (!check(kernel)) return false;
      result_.mains.push_back(std::move(kernel));
    }
    return true;
  }

  bool goes_with(const MainKernel& kernel, const Item& item) const {
    const int64_t rows = kernel.rows.numel();
    const int64_t columns = kernel.columns.numel();
    if (item.rows_fixed) {
      return kernel.by_row && item.rows.numel() == rows && item.columns.numel() == columns;
    }
    const Dims& shape = graph_[item.node].shape;
    if (kernel.by_row) {
      // Something elementwise beside the rows that they have in common.
      return shape.numel() == rows * columns && shares_shape(kernel, shape);
    }
    return shape.numel() == columns && shares_shape(kernel, shape);
  }
  // Another shape would cost divisions.
  bool shares_shape(const MainKernel& kernel, const Dims& shape) const {
    Dims own = kernel.rows;
    for (const int64_t size : kernel.columns) own.push_back(size);
    return own == without_ones(shape);
  }

  bool check(const MainKernel& kernel) {
    if (!kernel.by_row) return true;
    const Domain domain{kernel.rows, kernel.columns};
    const int64_t rows = kernel.rows.numel();
    for (const Store& store : kernel.stores) {
      if (store.node >= 0 && !is_kept(store.node)) {
        const bool of_rows = graph_[store.node].shape.numel() == rows && domain.columns.numel() > 1;
        if (!check_rows(store.node, domain, of_rows)) return false;
      } else if (!check_rows(graph_[store.node].inputs[0], domain, false)) {
        return false;
      }
    }
    for (const PartialSum& sum : kernel.sums) {
      const NodeId operand = graph_[sum.node].inputs[0];
      const bool of_rows = graph_[operand].shape.numel() == rows && domain.columns.numel() > 1;
      if (!check_rows(operand, domain, of_rows)) return false;
    }
    return true;
  }

  // The sums of a main kernel, one finish for each number of results.
  void add_finishes(int main, const std::vector<Store>& light, const std::set<NodeId>& in_memory) {
    const MainKernel& kernel = result_.mains[static_cast<size_t>(main)];
    std::map<int64_t, FinishKernel> finishes;
    for (size_t i = 0; i < kernel.sums.size(); ++i) {
      const NodeId id = kernel.sums[i].node;
      const Dims& shape = graph_[id].shape;
      FinishKernel& finish = finishes[shape.numel()];
      finish.main = main;
      finish.shape = without_ones(shape);
      finish.sums.push_back(static_cast<int>(i));
      if (in_memory.contains(id)) {
        finish.stores.push_back({id, leaf_of(id), Layout::contiguous(shape)});
      }
    }
    // A light store goes where all sums that it needs are.
    for (const Store& store : light) {
      FinishKernel* target = nullptr;
      bool is_complete = true;
      for (const NodeId sum : sums_of(store.node)) {
        bool found = false;
        for (auto& [count, finish] : finishes) {
          for (const int i : finish.sums) {
            if (kernel.sums[static_cast<size_t>(i)].node != sum) continue;
            found = true;
            target = &finish;
          }
        }
        is_complete &= found;
      }
      if (target == nullptr || !is_complete) continue;
      target->stores.push_back(store);
      placed_.insert(store.node);
    }
    for (auto& [count, finish] : finishes) {
      result_.order.push_back(-1 - static_cast<int>(result_.finishes.size()));
      result_.finishes.push_back(std::move(finish));
    }
  }

  std::vector<NodeId> sums_of(NodeId root) const {
    if (is_kept(root)) return {root};
    std::vector<NodeId> result;
    for (const NodeId id : closure(root)) {
      for (const NodeId input : graph_[id].inputs) {
        if (is_kept(input)) result.push_back(input);
      }
    }
    return result;
  }

  // The buffer of a sum that later kernels read.
  int leaf_of(NodeId id) {
    const auto found = leaves_.find(id);
    if (found != leaves_.end()) return found->second;
    const Node& node = graph_[id];
    return leaves_[id] = add_buffer(value_dtype(node.dtype), node.shape);
  }

  // Kernels read the sums of earlier passes as leaves.
  void put_leaves() {
    std::vector<NodeId> replaced(static_cast<size_t>(graph_.size()), -1);
    for (const auto& [id, buffer] : leaves_) {
      const Buffer memory = result_.buffers[static_cast<size_t>(buffer)];
      replaced[static_cast<size_t>(id)] =
          graph_.leaf(result_.arguments + buffer, memory.dtype, Layout::contiguous(memory.shape));
    }
    // Only what is below: the sums that a kernel makes itself stay sums there.
    const auto replace = [&](NodeId id, const std::vector<NodeId>& own) {
      std::vector<NodeId> others = replaced;
      for (const NodeId sum : own) others[static_cast<size_t>(sum)] = -1;
      return graph_.with_replaced({id}, others)[0];
    };
    for (FinishKernel& finish : result_.finishes) {
      std::vector<NodeId> own;
      for (const int sum : finish.sums) {
        own.push_back(
            result_.mains[static_cast<size_t>(finish.main)].sums[static_cast<size_t>(sum)].node);
      }
      for (Store& store : finish.stores) store.node = replace(store.node, own);
    }
    for (MainKernel& kernel : result_.mains) {
      for (Store& store : kernel.stores) store.node = replace(store.node, {store.node});
      for (PartialSum& sum : kernel.sums) sum.node = replace(sum.node, {sum.node});
    }
  }

  Graph& graph_;
  std::vector<NodeId> roots_;
  ScheduleOptions options_;
  Schedule result_;
  // What the rounds have found out.
  std::set<NodeId> kept_rows_;    // results of rows that lie in memory
  std::set<NodeId> never_light_;  // stores that no finish can do
  std::set<NodeId> placed_;       // stores that a finish does
  std::vector<int> passes_;
  std::map<NodeId, int> leaves_;
  // Of the walk of check_rows.
  Index row_, column_;
  int64_t column_count_ = 1;
  std::vector<std::pair<NodeId, std::vector<Index>>> visited_;
};

}  // namespace

Schedule schedule(Graph& graph, std::vector<NodeId> roots, int arguments,
                  const ScheduleOptions& options) {
  return Scheduler(graph, std::move(roots), arguments, options).run();
}

}  // namespace taut::fusion
