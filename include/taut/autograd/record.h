#pragma once
// record() puts an op on the tape: the one seam that the tape, tracers, the profiler and the op log
// hang on. Every op ends in it.
//   return record("exp", {input}, output, {output}, exp_backward);

#include <initializer_list>
#include <type_traits>

#include "taut/autograd/grad_mode.h"
#include "taut/autograd/node.h"

namespace taut::autograd {

/// An argument of record: refers to a tensor, copies nothing.
class TensorRef {
 public:
  TensorRef(const Tensor& tensor) : tensor_(&tensor) {}
  const Tensor& operator*() const { return *tensor_; }
  const Tensor* operator->() const { return tensor_; }

 private:
  const Tensor* tensor_;
};
using TensorRefs = std::span<const TensorRef>;
using TensorRefList = std::initializer_list<TensorRef>;

struct NoAttributes {};

/// What an observer is shown of an op.
struct OpRecord {
  const char* name;
  TensorRefs inputs;
  TensorRefs outputs;
  const void* attributes;
  size_t attribute_bytes;
};

/// Sees every op of this thread while installed: tracers and the op log.
class TAUT_API OpObserver {
 public:
  OpObserver();
  OpObserver(const OpObserver&) = delete;
  OpObserver& operator=(const OpObserver&) = delete;
  virtual ~OpObserver();
  virtual void on_op(const OpRecord& record) = 0;

 private:
  OpObserver* previous_;
};

/// What is told of a backward function that has run: its node, the gradients that it was given, and
/// those that it gave. Undefined ones are among them.
struct BackwardRecord {
  Node& node;
  std::span<const Tensor> grads;
  std::span<const Tensor> results;
};

/// Sees the ops of all threads, beside the observers of single threads: the profiler. A thread's
/// ops are shown to it while set_ops_traced(true) holds there.
struct OpTracer {
  void (*on_op)(const OpRecord& record) noexcept;
  void (*on_backward)(const BackwardRecord& record) noexcept;
};
/// Null for nobody. What `tracer` points to must stay for ever.
TAUT_API void set_op_tracer(const OpTracer* tracer);
/// Whether this thread's ops are shown to the tracer; returns whether they were.
TAUT_API bool set_ops_traced(bool traced);
void trace_backward(const BackwardRecord& record);

/// Whether gradients flow to this tensor: a leaf that requires grad, or made by a recorded op.
TAUT_API bool requires_grad(const Tensor& tensor);

namespace detail {

inline bool may_require_grad(const Tensor& tensor) {
  return tensor.defined() &&
         (tensor.impl()->autograd != nullptr || static_cast<bool>(tensor.impl()->view_base));
}
inline TensorRefs as_span(TensorRefList list) { return {list.begin(), list.size()}; }

/// For an op that is_wanted.
TAUT_API void record(const char* name, TensorRefs inputs, TensorRefs outputs, TensorRefs saved,
                     BackwardFn backward, const void* attributes, size_t attribute_bytes);

}  // namespace detail

namespace detail {

inline bool any_requires_grad(TensorRefs inputs) {
  for (const TensorRef& input : inputs) {
    if (may_require_grad(*input) && requires_grad(*input)) return true;
  }
  return false;
}

/// Whether the tape or an observer wants an op on these inputs.
inline bool is_wanted(TensorRefs inputs) {
  const taut::detail::ThreadMode& mode = taut::detail::thread_mode();
  return mode.observed || (mode.grad_enabled && any_requires_grad(inputs));
}

}  // namespace detail

/// Whether an op on these inputs would be put on the tape now.
inline bool is_recording(TensorRefs inputs) {
  return taut::detail::thread_mode().grad_enabled && detail::any_requires_grad(inputs);
}
inline bool is_recording(TensorRefList inputs) { return is_recording(detail::as_span(inputs)); }

/// Puts an op with several outputs on the tape. Saved tensors are inputs, outputs or others; an
/// output among them is recognised. Outputs of dtypes without gradients stay off the tape.
template <class Attributes = NoAttributes>
void record_all(const char* name, TensorRefs inputs, TensorRefs outputs, TensorRefs saved,
                BackwardFn backward, const Attributes& attributes = {}) {
  static_assert(std::is_trivially_copyable_v<Attributes>,
                "attributes own nothing: tensors go through `saved`");
  if (TAUT_LIKELY(!detail::is_wanted(inputs))) return;
  detail::record(name, inputs, outputs, saved, backward, &attributes,
                 std::is_empty_v<Attributes> ? 0 : sizeof(Attributes));
}

/// Puts an op with one output on the tape and returns the output.
template <class Attributes = NoAttributes>
Tensor record(const char* name, TensorRefList inputs, Tensor output, TensorRefList saved,
              BackwardFn backward, const Attributes& attributes = {}) {
  const TensorRef outputs[] = {output};
  record_all(name, detail::as_span(inputs), outputs, detail::as_span(saved), backward, attributes);
  return output;
}

/// For ops without a derivative (comparisons, argmax): only observers see them.
inline Tensor record_constant(const char* name, TensorRefList inputs, Tensor output) {
  if (TAUT_UNLIKELY(taut::detail::thread_mode().observed)) {
    const TensorRef outputs[] = {output};
    detail::record(name, detail::as_span(inputs), outputs, {}, nullptr, nullptr, 0);
  }
  return output;
}

// Views and in-place writes --------------------------------------------------------------------

/// A tensor that shows `input`'s storage through another layout, not yet on the tape.
TAUT_API Tensor make_view(const Tensor& input, const Layout& layout);
/// The same for a contiguous input and other sizes of as many elements.
TAUT_API Tensor make_contiguous_view(const Tensor& input, const Dims& shape);

/// Before an in-place write. @throws AutogradError for a leaf that requires grad or a view of one,
/// ValueError for elements that share memory (an expanded tensor).
TAUT_API void check_in_place(const char* op, const Tensor& self);

/// After an in-place write to `self`: raises its version and, when recording, makes the op its
/// history (rewriting that of the tensor it is a view of). inputs[0] must be self. `saved` may hold
/// self, which then means its new value.
template <class Attributes = NoAttributes>
const Tensor& record_in_place(const char* name, TensorRefList inputs, const Tensor& self,
                              TensorRefList saved, BackwardFn backward,
                              const Attributes& attributes = {});

namespace detail {
TAUT_API void record_in_place(const char* name, TensorRefs inputs, const Tensor& self,
                              TensorRefs saved, BackwardFn backward, const void* attributes,
                              size_t attribute_bytes);
}  // namespace detail

template <class Attributes>
const Tensor& record_in_place(const char* name, TensorRefList inputs, const Tensor& self,
                              TensorRefList saved, BackwardFn backward,
                              const Attributes& attributes) {
  static_assert(std::is_trivially_copyable_v<Attributes>);
  detail::record_in_place(name, detail::as_span(inputs), self, detail::as_span(saved), backward,
                          &attributes, std::is_empty_v<Attributes> ? 0 : sizeof(Attributes));
  return self;
}

}  // namespace taut::autograd
