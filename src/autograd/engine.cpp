// Running the tape backwards; see taut/autograd/backward.h.
//
// The walk first counts, for every node that can be reached, how many edges lead to it. A node runs
// when all of them have delivered, the newest of those ready first, so that memory is freed in the
// reverse of the order it was taken in. Nothing recurses.

#include <algorithm>
#include <mutex>
#include <queue>

#include "src/autograd/grad_slots.h"
#include "src/autograd/meta.h"
#include "src/autograd/node_hooks.h"
#include "src/ops/autocast.h"
#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/base/interrupt.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"

namespace taut::autograd {
namespace {

// A hash table from nodes to positions, open addressing over a power of two, kept between walks.
class NodeIndex {
 public:
  void clear() {
    for (size_t slot : used_) slots_[slot].node = nullptr;
    used_.clear();
  }
  /// The position of `node`, set to `fresh` if it was not known.
  int find_or_insert(Node* node, int fresh) {
    if (2 * (used_.size() + 1) > slots_.size()) grow();
    const size_t slot = locate(node);
    if (slots_[slot].node == nullptr) {
      slots_[slot] = {node, fresh};
      used_.push_back(slot);
    }
    return slots_[slot].position;
  }
  int find(Node* node) {
    if (slots_.empty()) return -1;
    const size_t slot = locate(node);
    return slots_[slot].node == nullptr ? -1 : slots_[slot].position;
  }

 private:
  struct Slot {
    Node* node = nullptr;
    int position = 0;
  };
  size_t locate(Node* node) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = (reinterpret_cast<uintptr_t>(node) >> 5) * 0x9E3779B97F4A7C15ull >> 20 & mask;
    while (slots_[slot].node != nullptr && slots_[slot].node != node) slot = (slot + 1) & mask;
    return slot;
  }
  void grow() {
    std::vector<Slot> old;
    old.swap(slots_);
    slots_.resize(std::max<size_t>(64, 2 * old.size()));
    std::vector<size_t> known;
    known.swap(used_);
    for (size_t slot : known) {
      const size_t fresh = locate(old[slot].node);
      slots_[fresh] = old[slot];
      used_.push_back(fresh);
    }
  }
  std::vector<Slot> slots_;
  std::vector<size_t> used_;
};

// What a walk knows of a node.
struct Visit {
  Ref<Node> node;
  int awaited = 0;  // edges that have still to deliver
  bool wanted = true;
  std::vector<int> captures;  // positions of results that are this node's gradients
  // Gradients of the outputs so far; most nodes have one.
  Tensor first;
  std::vector<Tensor> others;

  Tensor& grad(uint32_t slot) {
    if (slot == 0) return first;
    if (others.size() < slot) others.resize(slot);
    return others[slot - 1];
  }
};

struct Capture {
  uint32_t slot;
  Tensor grad;
  bool found = false;
};

[[noreturn, gnu::cold]] void raise_bad_gradient(Node& node, size_t input, const Tensor& grad,
                                                const TensorMeta& expected, const char* what) {
  taut::detail::raise<AutogradError>("backward: ", node.name(), " gave input ", input,
                                     " a gradient with ", what, "; got ", grad.shape(), ", ",
                                     grad.dtype(), " on ", grad.device(), "; expected ",
                                     expected.shape, ", ", expected.dtype, " on ", expected.device);
}

bool sums_to(const Dims& from, const Dims& target) {
  const int added = from.rank() - target.rank();
  if (added < 0) return false;
  for (int i = 0; i < target.rank(); ++i) {
    if (target[i] != from[i + added] && target[i] != 1) return false;
  }
  return true;
}

// Undoes broadcasting and casts, and refuses what is neither.
void fit_gradient(Node& node, size_t input, Tensor& grad, const TensorMeta& expected) {
  if (TAUT_UNLIKELY(!(grad.shape() == expected.shape))) {
    if (!sums_to(grad.shape(), expected.shape)) {
      raise_bad_gradient(node, input, grad, expected, "the wrong shape");
    }
    grad = sum_to_size(grad, expected.shape);
  }
  if (TAUT_UNLIKELY(grad.dtype() != expected.dtype)) {
    if (!grad.is_floating_point())
      raise_bad_gradient(node, input, grad, expected, "the wrong dtype");
    grad = to(grad, expected.dtype);
  }
  if (TAUT_UNLIKELY(!(grad.device() == expected.device))) {
    if (grad.dim() != 0) raise_bad_gradient(node, input, grad, expected, "the wrong device");
    grad = to(grad, expected.device);
  }
}

bool owned_by_walk(const Tensor& grad) {
  return is_only_reference(grad) && grad.impl()->autograd == nullptr && !grad.is_view() &&
         grad.layout().is_non_overlapping();
}

void add_to(Tensor& sum, Tensor grad) {
  if (!sum.defined()) {
    sum = std::move(grad);
  } else if (!is_grad_enabled() && owned_by_walk(sum)) {
    add_(sum, grad);
  } else if (!is_grad_enabled() && owned_by_walk(grad)) {
    add_(grad, sum);
    sum = std::move(grad);
  } else {
    sum = add(sum, grad);
  }
}

// Whether the gradient is all of another tensor seen in another shape, which nobody else has.
bool is_last_view(const Tensor& grad) {
  return is_only_reference(grad) && grad.impl()->autograd == nullptr && grad.is_view() &&
         grad.layout().is_dense() && grad.storage()->bytes() == static_cast<size_t>(grad.nbytes());
}

// A first gradient is kept as it is when nobody else has it, and copied otherwise.
Tensor kept_gradient(Tensor grad) {
  if (owned_by_walk(grad) || is_grad_enabled()) return grad;
  return is_last_view(grad) ? grad.detach() : clone(grad);
}

void add_to_leaf(LeafState& leaf, Tensor grad) {
  const std::lock_guard lock(leaf.mutex);
  if (!leaf.grad.defined()) {
    leaf.grad = kept_gradient(std::move(grad));
  } else if (is_grad_enabled()) {
    leaf.grad = add(leaf.grad, grad);
  } else {
    add_(leaf.grad, grad);
  }
}

void check_finite(Node& node, const Tensor& grad, size_t input) {
  if (!grad.defined() || all(isfinite(grad.detach())).item().to_bool()) return;
  const std::string* site = node.call_site();
  taut::detail::raise<AutogradError>(
      "backward: ", node.name(), " gave a gradient that is not finite for input ", input,
      site == nullptr ? "" : "; it was called at\n", site == nullptr ? std::string() : *site);
}

class Walk {
 public:
  Walk(bool keep_graph, std::vector<Capture>* captures)
      : keep_graph_(keep_graph), captures_(captures) {}

  // Every node that the roots lead to, with the number of edges into it.
  void explore(std::span<const Edge> roots) {
    std::vector<int> pending;
    for (const Edge& root : roots) {
      if (!root) continue;
      const int before = static_cast<int>(visits_.size());
      const int position = visit(root.node);
      if (position == before) pending.push_back(position);
    }
    while (!pending.empty()) {
      const int at = pending.back();
      pending.pop_back();
      const Ref<Node> node = visits_[static_cast<size_t>(at)].node;
      for (const Edge& edge : node->edges()) {
        if (!edge) continue;
        const int before = static_cast<int>(visits_.size());
        const int position = visit(edge.node);
        ++visits_[static_cast<size_t>(position)].awaited;
        if (position == before) pending.push_back(position);
      }
    }
  }

  // Restricts the walk to the nodes from which a target can be reached.
  void restrict_to(std::span<const Edge> targets) {
    for (Visit& entry : visits_) entry.wanted = false;
    for (size_t i = 0; i < targets.size(); ++i) {
      const int position = index_.find(targets[i].node.get());
      if (position < 0) continue;
      visits_[static_cast<size_t>(position)].wanted = true;
      if (captures_ != nullptr) {
        visits_[static_cast<size_t>(position)].captures.push_back(static_cast<int>(i));
      }
    }
    // Edges lead from newer nodes to older ones and to accumulators, which lead nowhere.
    std::vector<int> order;
    for (size_t i = 0; i < visits_.size(); ++i) {
      if (!visits_[i].node->is_accumulator()) order.push_back(static_cast<int>(i));
    }
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      return visits_[static_cast<size_t>(a)].node->sequence() <
             visits_[static_cast<size_t>(b)].node->sequence();
    });
    for (int at : order) {
      Visit& entry = visits_[static_cast<size_t>(at)];
      for (const Edge& edge : entry.node->edges()) {
        if (edge && wanted(edge)) entry.wanted = true;
      }
    }
  }

  bool reaches(const Edge& target) { return index_.find(target.node.get()) >= 0; }

  void run(std::span<const Edge> roots, std::span<const Tensor> grads) {
    for (size_t i = 0; i < roots.size(); ++i) {
      if (!roots[i]) continue;
      Visit& entry = visits_[static_cast<size_t>(index_.find(roots[i].node.get()))];
      add_to(entry.grad(roots[i].slot), grads[i]);
    }
    for (size_t i = 0; i < visits_.size(); ++i) {
      if (visits_[i].awaited == 0) push_ready(static_cast<int>(i));
    }
    while (!ready_.empty()) {
      check_interrupt();
      const int at = ready_.top().second;
      ready_.pop();
      process(at);
    }
  }

 private:
  int visit(const Ref<Node>& node) {
    const int fresh = static_cast<int>(visits_.size());
    const int position = index_.find_or_insert(node.get(), fresh);
    if (position == fresh) visits_.emplace_back().node = node;
    return position;
  }

  bool wanted(const Edge& edge) {
    return visits_[static_cast<size_t>(index_.find(edge.node.get()))].wanted;
  }

  // Accumulators have the highest number of all and so run at once: hooks on leaves see their
  // gradients as early as can be.
  void push_ready(int at) { ready_.push({visits_[static_cast<size_t>(at)].node->sequence(), at}); }

  void process(int at) {
    Visit entry = std::move(visits_[static_cast<size_t>(at)]);
    Node& node = *entry.node;
    const bool has_grad = entry.wanted && collect_grads(entry);
    if (has_grad) {
      run_tensor_hooks(entry);
      capture(entry);
    }
    if (node.is_accumulator()) {
      if (has_grad && captures_ == nullptr) accumulate(node, std::move(entry.first));
      return;
    }
    const size_t inputs = node.edges().size();
    results_.assign(inputs, Tensor());
    if (has_grad && leads_on(node)) {
      needed_.assign(inputs, 0);
      for (size_t i = 0; i < inputs; ++i) {
        const Edge& edge = node.edges()[i];
        needed_[i] = edge && wanted(edge) ? 1 : 0;
      }
      BackwardContext context(node, grads_, results_, reinterpret_cast<const bool*>(needed_.data()),
                              !keep_graph_);
      {
        const TraceScope scope(ScopeKind::backward, node.name(), node.sequence());
        node.backward()(context);
        if (TAUT_UNLIKELY(is_traced())) trace_backward({node, grads_, results_});
      }
      if (TAUT_UNLIKELY(AnomalyMode::checks_nan())) {
        for (size_t i = 0; i < inputs; ++i) check_finite(node, results_[i], i);
      }
    }
    grads_.clear();
    std::vector<Tensor> results;
    results.swap(results_);
    for (size_t i = 0; i < inputs; ++i) deliver(node, i, std::move(results[i]));
    results.clear();
    results_.swap(results);
    if (!keep_graph_) node.release_saved();
  }

  bool leads_on(Node& node) {
    for (const Edge& edge : node.edges()) {
      if (edge && wanted(edge)) return true;
    }
    return false;
  }

  // Whether any output got a gradient; they are laid out for the backward function.
  bool collect_grads(Visit& entry) {
    const size_t outputs = entry.node->outputs().size();
    grads_.assign(outputs, Tensor());
    bool any = false;
    for (size_t i = 0; i < outputs; ++i) {
      grads_[i] = std::move(entry.grad(static_cast<uint32_t>(i)));
      any = any || grads_[i].defined();
    }
    return any;
  }

  void run_tensor_hooks(Visit& entry) {
    if (TAUT_LIKELY(entry.node->hooks() == nullptr)) {
      if (entry.node->is_accumulator()) entry.first = grads_[0];
      return;
    }
    NodeHooks& hooks = *entry.node->hooks();
    std::vector<RegisteredHook<TensorHook>> copies;
    {
      const std::lock_guard lock(hooks.mutex);
      copies = hooks.tensor_hooks;
      copies.insert(copies.end(), hooks.retain_hooks.begin(), hooks.retain_hooks.end());
    }
    for (const auto& registered : copies) {
      Tensor& grad = grads_[registered.slot];
      if (!grad.defined()) continue;
      Tensor replaced = registered.hook(grad);
      if (!replaced.defined()) continue;
      TAUT_CHECK(replaced.shape() == grad.shape(), AutogradError,
                 "backward: a hook changed the shape of a gradient; got ", replaced.shape(),
                 "; expected ", grad.shape());
      TAUT_CHECK(replaced.device() == grad.device(), AutogradError,
                 "backward: a hook moved a gradient to ", replaced.device(), "; expected ",
                 grad.device());
      grad = std::move(replaced);
    }
    if (entry.node->is_accumulator()) entry.first = grads_[0];
  }

  void capture(const Visit& entry) {
    for (int i : entry.captures) {
      Capture& target = (*captures_)[static_cast<size_t>(i)];
      target.grad = grads_[target.slot];
      target.found = true;
    }
  }

  void accumulate(Node& leaf, Tensor grad) {
    grads_.clear();
    const TraceScope scope(ScopeKind::backward, "accumulate_grad");
    note_grad_slot(leaf, /*is_replaced=*/false);
    add_to_leaf(leaf_state(leaf), std::move(grad));
    if (leaf.hooks() == nullptr) return;
    std::vector<RegisteredHook<Callback<void()>>> copies;
    {
      const std::lock_guard lock(leaf.hooks()->mutex);
      copies = leaf.hooks()->post_accumulate_hooks;
    }
    for (const auto& registered : copies) registered.hook();
  }

  void deliver(Node& node, size_t input, Tensor grad) {
    const Edge& edge = node.edges()[input];
    if (!edge) return;
    const int position = index_.find(edge.node.get());
    if (grad.defined()) {
      fit_gradient(node, input, grad, edge.node->outputs()[edge.slot]);
      add_to(visits_[static_cast<size_t>(position)].grad(edge.slot), std::move(grad));
    }
    if (--visits_[static_cast<size_t>(position)].awaited == 0) push_ready(position);
  }

  bool keep_graph_;
  std::vector<Capture>* captures_;
  std::vector<Visit> visits_;
  NodeIndex index_;
  std::priority_queue<std::pair<uint64_t, int>> ready_;
  std::vector<Tensor> grads_;
  std::vector<Tensor> results_;
  std::vector<char> needed_;
};

// The gradients that the walk starts with: those given, or one for a single element.
std::vector<Tensor> starting_grads(TensorList tensors, TensorList given, bool create_graph) {
  TAUT_CHECK(given.empty() || given.size() == tensors.size(), ValueError, "backward: got ",
             given.size(), " gradients for ", tensors.size(), " tensors");
  std::vector<Tensor> grads;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& tensor = tensors[i];
    TAUT_CHECK(tensor.defined(), ValueError, "backward: tensor ", i, " is undefined");
    TAUT_CHECK(requires_grad(tensor), AutogradError, "backward: tensor ", i, " of shape ",
               tensor.shape(), " does not require grad and was made by no recorded op");
    if (i < given.size() && given[i].defined()) {
      TAUT_CHECK(given[i].shape() == tensor.shape(), ShapeError, "backward: gradient ", i,
                 " has shape ", given[i].shape(), "; expected ", tensor.shape());
      TAUT_CHECK(given[i].device() == tensor.device(), DeviceError, "backward: gradient ", i,
                 " is on ", given[i].device(), "; expected ", tensor.device());
      grads.push_back(create_graph ? given[i] : given[i].detach());
    } else {
      TAUT_CHECK(tensor.numel() == 1, AutogradError,
                 "backward: the gradient can be left out only for a tensor of one element; got "
                 "shape ",
                 tensor.shape());
      const NoGradGuard no_grad;
      grads.push_back(ones_like(tensor));
    }
  }
  return grads;
}

std::vector<Edge> edges_of(TensorList tensors) {
  std::vector<Edge> edges;
  for (const Tensor& tensor : tensors) edges.push_back(gradient_edge(tensor));
  return edges;
}

constinit TAUT_HOT_THREAD_LOCAL bool anomaly_enabled = false;
constinit TAUT_HOT_THREAD_LOCAL bool anomaly_checks_nan = false;

}  // namespace

void backward(TensorList tensors, TensorList grad_tensors, std::optional<bool> retain_graph,
              bool create_graph, TensorList inputs) {
  const std::vector<Tensor> grads = starting_grads(tensors, grad_tensors, create_graph);
  const std::vector<Edge> roots = edges_of(tensors);
  const AutoGradMode mode(create_graph);
  const ops::AutocastPause no_autocast;  // the casts are on the tape
  Walk walk(retain_graph.value_or(create_graph), nullptr);
  walk.explore(roots);
  if (!inputs.empty()) {
    for (const Tensor& input : inputs) {
      TAUT_CHECK(input.defined() && requires_grad(input), AutogradError,
                 "backward: one of the inputs does not require grad");
      TAUT_CHECK(input.is_leaf(), AutogradError,
                 "backward: gradients accumulate in leaves only; use grad() for others");
    }
    const std::vector<Edge> targets = edges_of(inputs);
    walk.restrict_to(targets);
  }
  walk.run(roots, grads);
}

Tensors grad(TensorList outputs, TensorList inputs, TensorList grad_outputs,
             std::optional<bool> retain_graph, bool create_graph, bool allow_unused,
             bool materialize_grads) {
  const std::vector<Tensor> grads = starting_grads(outputs, grad_outputs, create_graph);
  const std::vector<Edge> roots = edges_of(outputs);
  std::vector<Capture> captures;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TAUT_CHECK(inputs[i].defined() && requires_grad(inputs[i]), AutogradError, "grad: input ", i,
               " does not require grad");
  }
  const std::vector<Edge> targets = edges_of(inputs);
  captures.reserve(targets.size());
  for (const Edge& target : targets) captures.push_back({target.slot, Tensor()});
  const AutoGradMode mode(create_graph);
  const ops::AutocastPause no_autocast;  // the casts are on the tape
  Walk walk(retain_graph.value_or(create_graph), &captures);
  walk.explore(roots);
  walk.restrict_to(targets);
  const auto check_used = [&](size_t i, bool used) {
    TAUT_CHECK(used || allow_unused || materialize_grads, AutogradError, "grad: input ", i,
               " of shape ", inputs[i].shape(),
               " was not used in the computation; pass allow_unused=True to get none for it");
  };
  // What is known to be missing is told before the graph is consumed.
  for (size_t i = 0; i < targets.size(); ++i) check_used(i, walk.reaches(targets[i]));
  walk.run(roots, grads);

  Tensors results;
  for (size_t i = 0; i < captures.size(); ++i) {
    check_used(i, captures[i].grad.defined());
    if (!captures[i].grad.defined() && materialize_grads) {
      captures[i].grad = zeros_like(inputs[i]);
    }
    results.push_back(std::move(captures[i].grad));
  }
  return results;
}

Tensor BackwardContext::grad_or_zeros(int output) const {
  if (grad(output).defined()) return grad(output);
  const TensorMeta& meta = output_meta(output);
  return zeros(meta.shape, TensorOptions(meta.dtype).device(meta.device));
}

AnomalyMode::AnomalyMode(bool enabled, bool check_nan)
    : previous_enabled_(anomaly_enabled), previous_check_(anomaly_checks_nan) {
  anomaly_enabled = enabled;
  anomaly_checks_nan = enabled && check_nan;
}
AnomalyMode::~AnomalyMode() {
  anomaly_enabled = previous_enabled_;
  anomaly_checks_nan = previous_check_;
}
bool AnomalyMode::is_enabled() { return anomaly_enabled; }
bool AnomalyMode::checks_nan() { return anomaly_checks_nan; }

}  // namespace taut::autograd
