#include "src/fusion/trace.h"

#include <map>

#include "src/autograd/derivatives_as_ops.h"
#include "src/fusion/tracer.h"
#include "taut/autograd/backward.h"
#include "taut/core/storage.h"
#include "taut/ops/ops.h"

namespace taut::fusion {
namespace {

// Ops in its scope are not shown to the tracer.
class Unobserved {
 public:
  Unobserved() : previous_(detail::thread_mode().observed) {
    detail::thread_mode().observed = false;
  }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;
  ~Unobserved() { detail::thread_mode().observed = previous_; }

 private:
  bool previous_;
};

void find_outputs(Trace& trace, Tracer& tracer, const Tensors& results) {
  if (results.empty() && tracer.refusal().empty()) trace.refusal = "it returns no tensor";
  for (const Tensor& result : results) {
    trace.outputs.push_back(tracer.node_of(result));
    trace.is_constant.push_back(!result.defined() || !autograd::requires_grad(result));
  }
  if (!tracer.refusal().empty()) trace.refusal = tracer.refusal();
}

}  // namespace

Trace trace_call(const Function& function, TensorList inputs, Tensors& results) {
  Trace trace;
  Tracer tracer(trace.graph);
  tracer.add_arguments(inputs, 0);
  results = function(inputs);
  find_outputs(trace, tracer, results);
  return trace;
}

namespace {

void release_storage(void*, size_t, void* storage) noexcept {
  const Storage last = Storage::adopt(static_cast<StorageImpl*>(storage));
}

// The elements of a tensor as one of its own: without history, and, to a tracer, in memory of its
// own. So an argument is told from whatever else shows the same elements, be it another argument or
// a tensor that the function refers to.
Tensor as_argument(const Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  const Storage& storage = tensor.storage();
  const Block block{.data = storage->data(),
                    .bytes = storage->bytes(),
                    .release = release_storage,
                    .context = Storage(storage).detach()};
  Ref<TensorImpl> impl =
      TensorImpl::make(make_storage(storage->device(), block), tensor.layout(), tensor.dtype());
  impl->is_inference = tensor.is_inference();
  return Tensor(std::move(impl));
}

bool shows_same_elements(const Tensor& a, const Tensor& b) {
  return a.defined() && b.defined() && a.storage() == b.storage() && a.dtype() == b.dtype() &&
         a.layout().offset == b.layout().offset && a.shape() == b.shape() &&
         a.strides() == b.strides();
}

// What a function refers to cannot be given to it as another tensor.
bool any_is_repeated(TensorList referred) {
  for (size_t i = 0; i < referred.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (shows_same_elements(referred[i], referred[k])) return true;
    }
  }
  return false;
}

}  // namespace

Trace trace_with_gradients(const Function& function, TensorList inputs,
                           const std::vector<bool>& wanted, size_t referred) {
  Trace trace;
  if (any_is_repeated(inputs.last(referred))) {
    trace.refusal = "two parameters of the module show the same elements";
    return trace;
  }
  Tensors fresh;
  Tensors by;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool is_given = i + referred < inputs.size();
    fresh.push_back(is_given ? as_argument(inputs[i]) : inputs[i]);
    if (!wanted[i]) continue;
    if (is_given) fresh.back().requires_grad_();
    by.push_back(fresh.back());
  }
  const int count = static_cast<int>(inputs.size());
  Tracer tracer(trace.graph);
  tracer.add_arguments(fresh, 0);
  const Tensors results = function(fresh);
  find_outputs(trace, tracer, results);
  if (!trace.refusal.empty()) return trace;

  Tensors roots, grads, all_grads;
  {
    const Unobserved unobserved;
    for (size_t i = 0; i < results.size(); ++i) {
      all_grads.push_back(
          trace.is_constant[i]
              ? Tensor()
              : ones(results[i].shape(),
                     TensorOptions(results[i].dtype()).device(results[i].device())));
      if (trace.is_constant[i]) continue;
      roots.push_back(results[i]);
      grads.push_back(all_grads.back());
    }
  }
  if (by.empty() || roots.empty()) return trace;
  trace.gradients.assign(inputs.size(), -1);
  tracer.add_arguments(all_grads, count + static_cast<int>(results.size()));
  const autograd::DerivativesAsOps derivatives_as_ops;
  const Tensors found = autograd::grad(roots, by, grads, /*retain_graph=*/true,
                                       /*create_graph=*/true, /*allow_unused=*/true);
  size_t next = 0;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!wanted[i]) continue;
    const Tensor& gradient = found[next++];
    if (gradient.defined()) trace.gradients[i] = tracer.node_of(gradient);
  }
  trace.refusal = tracer.refusal();
  return trace;
}

namespace {

int64_t bytes_read(const Graph& graph, const std::vector<NodeId>& roots) {
  std::map<int, int64_t> bytes;
  for (const NodeId id : graph.reachable(roots)) {
    const Node& node = graph[id];
    if (node.kind != NodeKind::leaf) continue;
    // What is expanded is read once.
    int64_t elements = 1;
    for (int i = 0; i < node.shape.rank(); ++i) {
      if (node.layout.strides[i] != 0) elements *= node.shape[i];
    }
    bytes[node.argument] += elements * static_cast<int64_t>(item_size(node.dtype));
  }
  int64_t total = 0;
  for (const auto& [argument, count] : bytes) total += count;
  return total;
}

}  // namespace

void read_outputs(Trace& trace) {
  std::vector<NodeId> roots;
  for (const NodeId id : trace.gradients) {
    if (id >= 0) roots.push_back(id);
  }
  const int inputs = static_cast<int>(trace.gradients.size());
  for (size_t i = 0; i < trace.outputs.size(); ++i) {
    const Node node = trace.graph[trace.outputs[i]];
    if (node.kind == NodeKind::leaf || node.kind == NodeKind::number) continue;
    std::vector<NodeId> replaced(static_cast<size_t>(trace.graph.size()), -1);
    replaced[static_cast<size_t>(trace.outputs[i])] = trace.graph.add_argument(
        inputs + static_cast<int>(i), node.dtype, Layout::contiguous(node.shape));
    const std::vector<NodeId> instead = trace.graph.with_replaced(roots, replaced);
    if (bytes_read(trace.graph, instead) < bytes_read(trace.graph, roots)) roots = instead;
  }
  size_t next = 0;
  for (NodeId& id : trace.gradients) {
    if (id >= 0) id = roots[next++];
  }
}

}  // namespace taut::fusion
