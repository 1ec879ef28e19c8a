#include "taut/autograd/record.h"

#include <atomic>
#include <utility>

#include "src/autograd/derivatives_as_ops.h"
#include "src/autograd/hot_mode.h"
#include "src/autograd/meta.h"
#include "src/autograd/view_history.h"
#include "taut/autograd/backward.h"
#include "taut/base/trace.h"

namespace taut {

namespace detail {
constinit TAUT_HOT_THREAD_LOCAL ThreadMode hot_mode;

ThreadMode& thread_mode() noexcept { return hot_mode; }
}  // namespace detail

namespace autograd {
namespace {

constinit TAUT_HOT_THREAD_LOCAL OpObserver* current_observer = nullptr;
constinit TAUT_HOT_THREAD_LOCAL bool is_notifying = false;
constinit TAUT_HOT_THREAD_LOCAL bool is_thread_traced = false;
constinit std::atomic<const OpTracer*> op_tracer{nullptr};
constinit thread_local bool derivatives_as_ops = false;
CallSiteFn call_site_provider = nullptr;

void update_observed() {
  taut::detail::thread_mode().observed =
      !is_notifying && (current_observer != nullptr || is_thread_traced);
}

void notify(const char* name, TensorRefs inputs, TensorRefs outputs, const void* attributes,
            size_t attribute_bytes) {
  const OpRecord record{name, inputs, outputs, attributes, attribute_bytes};
  const OpTracer* tracer = is_thread_traced ? op_tracer.load(std::memory_order_acquire) : nullptr;
  if (tracer != nullptr) tracer->on_op(record);
  OpObserver* observer = current_observer;
  if (observer == nullptr) return;
  // What the observer computes is not observed again.
  const auto set_notifying = [](bool notifying) {
    is_notifying = notifying;
    update_observed();
  };
  set_notifying(true);
  try {
    observer->on_op(record);
  } catch (...) {
    set_notifying(false);
    throw;
  }
  set_notifying(false);
}

void save_tensor(SavedTensor& slot, const Tensor& tensor, TensorRefs outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (tensor.defined() && tensor.is_same(*outputs[i])) {
      slot.save_output(tensor, static_cast<uint32_t>(i));
      return;
    }
  }
  slot.save_input(tensor);
}

// A node with its edges, attributes and output metadata; its saved tensors are the caller's part.
Ref<Node> make_node(const char* name, TensorRefs inputs, TensorRefs outputs, size_t saved_count,
                    BackwardFn backward, const void* attributes, size_t attribute_bytes) {
  Ref<Node> node = Node::make(name, backward,
                              {.outputs = static_cast<int>(outputs.size()),
                               .edges = static_cast<int>(inputs.size()),
                               .saved = static_cast<int>(saved_count),
                               .attribute_bytes = attribute_bytes,
                               .attributes = attributes});
  Edge* edges = node->edges().data();
  for (size_t i = 0; i < inputs.size(); ++i) edges[i] = gradient_edge(*inputs[i]);
  // Making an edge may have made a node (of a refreshed view), which must be older.
  node->take_number();
  TensorMeta* metas = node->outputs().data();
  for (size_t i = 0; i < outputs.size(); ++i) {
    // Field by field: a copy of the whole would read back in words what was written in bytes.
    metas[i].shape = outputs[i]->shape();
    metas[i].dtype = outputs[i]->dtype();
    metas[i].device = outputs[i]->device();
  }
  if (TAUT_UNLIKELY(AnomalyMode::is_enabled()) && call_site_provider != nullptr) {
    node->set_call_site(call_site_provider());
  }
  return node;
}

// Makes the node the history of its output `slot`.
void begin_history(const Tensor& output, Ref<Node> node, size_t slot) {
  if (!output.is_floating_point()) return;
  set_history(output, std::move(node), static_cast<uint32_t>(slot));
  // A new view belongs to the base's present generation.
  const Ref<TensorImpl>& base = output.impl()->view_base;
  if (base && base->autograd != nullptr) {
    output.impl()->autograd->seen_generation = base->autograd->generation.load();
  }
}

}  // namespace

OpObserver::OpObserver() : previous_(current_observer) {
  current_observer = this;
  update_observed();
}

OpObserver::~OpObserver() {
  current_observer = previous_;
  update_observed();
}

void set_op_tracer(const OpTracer* tracer) { op_tracer.store(tracer, std::memory_order_release); }

bool set_ops_traced(bool traced) {
  const bool previous = std::exchange(is_thread_traced, traced);
  update_observed();
  return previous;
}

void trace_backward(const BackwardRecord& record) {
  const OpTracer* tracer = op_tracer.load(std::memory_order_acquire);
  if (tracer != nullptr) tracer->on_backward(record);
}

DerivativesAsOps::DerivativesAsOps() : previous_(derivatives_as_ops) { derivatives_as_ops = true; }
DerivativesAsOps::~DerivativesAsOps() { derivatives_as_ops = previous_; }
bool DerivativesAsOps::is_on() { return derivatives_as_ops; }

void set_call_site_provider(CallSiteFn provider) { call_site_provider = provider; }

namespace detail {

void record(const char* name, TensorRefs inputs, TensorRefs outputs, TensorRefs saved,
            BackwardFn backward, const void* attributes, size_t attribute_bytes) {
  if (TAUT_UNLIKELY(taut::detail::thread_mode().observed)) {
    notify(name, inputs, outputs, attributes, attribute_bytes);
    if (!is_recording(inputs)) return;
  }
  if (backward == nullptr) return;
  Ref<Node> owner =
      make_node(name, inputs, outputs, saved.size(), backward, attributes, attribute_bytes);
  Node& node = *owner;
  if (TAUT_UNLIKELY(taut::detail::thread_mode().observed)) trace_node(node.sequence());
  for (size_t i = 0; i < saved.size(); ++i) save_tensor(node.saved()[i], *saved[i], outputs);
  if (outputs.empty()) return;
  const size_t last = outputs.size() - 1;
  for (size_t i = 0; i < last; ++i) begin_history(*outputs[i], owner, i);
  begin_history(*outputs[last], std::move(owner), last);
}

void record_in_place(const char* name, TensorRefs inputs, const Tensor& self, TensorRefs saved,
                     BackwardFn backward, const void* attributes, size_t attribute_bytes) {
  if (!self.is_inference()) self.storage()->bump_version();
  const TensorRef outputs[] = {self};
  if (TAUT_UNLIKELY(taut::detail::thread_mode().observed)) {
    notify(name, inputs, outputs, attributes, attribute_bytes);
  }
  if (!is_recording(inputs) || backward == nullptr) return;
  Ref<Node> node =
      make_node(name, inputs, outputs, saved.size(), backward, attributes, attribute_bytes);
  if (TAUT_UNLIKELY(taut::detail::thread_mode().observed)) trace_node(node->sequence());
  for (size_t i = 0; i < saved.size(); ++i) save_tensor(node->saved()[i], *saved[i], outputs);

  const Ref<TensorImpl> base_impl = self.impl()->view_base;
  if (!base_impl) {
    set_history(self, std::move(node), 0);
    return;
  }
  const Tensor base(base_impl);
  Ref<Node> copy_slices = make_copy_slices(base, self.layout(), std::move(node));
  set_history(base, std::move(copy_slices), 0);
  base.impl()->autograd->generation.fetch_add(1, std::memory_order_acq_rel);
}

}  // namespace detail

namespace {

Tensor of_present_generation(Ref<TensorImpl> impl) {
  const AutogradMeta* base_meta = impl->view_base->autograd;
  Tensor view(std::move(impl));
  if (TAUT_UNLIKELY(base_meta != nullptr && base_meta->generation.load() != 0)) {
    // Otherwise a view made without recording would look older than its base.
    ensure_meta(view).seen_generation = base_meta->generation.load();
  }
  return view;
}

}  // namespace

Tensor make_view(const Tensor& input, const Layout& layout) {
  return of_present_generation(TensorImpl::make_view(input.impl_ref(), layout));
}

Tensor make_contiguous_view(const Tensor& input, const Dims& shape) {
  return of_present_generation(TensorImpl::make_contiguous_view(input.impl_ref(), shape));
}

void check_in_place(const char* op, const Tensor& self) {
  const Layout& layout = self.layout();
  if (TAUT_UNLIKELY(!self.impl()->is_contiguous && !layout.is_dense())) {
    bool repeats = false;
    for (int i = 0; i < layout.rank(); ++i) {
      repeats |= layout.strides[i] == 0 && layout.shape[i] > 1;
    }
    TAUT_CHECK(!repeats || self.numel() == 0, ValueError, op,
               ": cannot write in place where several elements share memory; got shape ",
               self.shape(), " and strides ", self.strides(), "; clone the tensor first");
  }
  if (TAUT_UNLIKELY(self.is_inference() && !is_inference_mode_enabled() && is_grad_enabled())) {
    TAUT_CHECK(false, AutogradError, op,
               ": a tensor made under inference_mode cannot be written in place outside it; clone "
               "it first");
  }
  if (!is_grad_enabled()) return;
  const TensorImpl& impl = *self.impl();
  TAUT_CHECK(impl.autograd == nullptr || !impl.autograd->requires_grad, AutogradError, op,
             ": a leaf that requires grad cannot be written in place; use no_grad");
  TAUT_CHECK(!impl.view_base || impl.view_base->autograd == nullptr ||
                 !impl.view_base->autograd->requires_grad,
             AutogradError, op,
             ": a view of a leaf that requires grad cannot be written in place; use no_grad");
}

}  // namespace autograd
}  // namespace taut
