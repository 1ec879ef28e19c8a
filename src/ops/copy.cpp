#include "taut/ops/copy.h"

#include "src/core/cuda_runtime.h"
#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;

// Between tensors of one device: layouts and dtypes may differ, the source is already broadcast.
void copy_on_device(const Tensor& target, const Tensor& source, const Dims& source_strides) {
  ops::kernels_of(target).copy.copy({.target = target.data_ptr(),
                                     .source = source.data_ptr(),
                                     .target_dtype = target.dtype(),
                                     .source_dtype = source.dtype(),
                                     .shape = target.shape(),
                                     .target_strides = target.strides(),
                                     .source_strides = source_strides});
}

// Bytes cross between devices only between two contiguous tensors of one dtype.
void copy_between_devices(const Tensor& target, const Tensor& source, bool non_blocking) {
  const Tensor ready = contiguous(to(source, target.dtype()).expand(target.shape()));
  const Tensor landing = target.is_contiguous()
                             ? target
                             : ops::allocate(target.shape(), target.dtype(), target.device());
  cuda::copy_bytes(landing.storage(), landing.data_ptr(), ready.storage(), ready.data_ptr(),
                   static_cast<size_t>(ready.nbytes()), non_blocking);
  if (!landing.is_same(target)) copy_on_device(target, landing, landing.strides());
}

void copy_elements(const Tensor& target, const Tensor& source, bool non_blocking = false) {
  if (target.numel() == 0) return;
  if (target.device() == source.device()) {
    copy_on_device(target, source, source.layout().broadcast_to("copy_", target.shape()).strides);
  } else {
    const NoGradGuard no_grad;
    copy_between_devices(target, source, non_blocking);
  }
}

struct CopyAttributes {
  Device source;
};

// d(copy)/d(source) is the identity; the engine undoes casts and broadcasting.
Tensor source_gradient(BackwardContext& context) {
  return to(context.grad(), context.attributes<CopyAttributes>().source);
}

void copy_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, source_gradient(context));
}

// Input 0 is the overwritten tensor, of which nothing is left; input 1 the source.
void copy_in_place_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, zeros_like(context.grad()));
  if (context.needs(1)) context.set(1, source_gradient(context));
}

void fill_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, zeros_like(context.grad()));
}

Layout layout_in(const Tensor& input, MemoryFormat format) {
  switch (format) {
    case MemoryFormat::preserve: return ops::preserved_layout(input);
    case MemoryFormat::contiguous: return Layout::contiguous(input.shape());
    case MemoryFormat::channels_last:
      TAUT_CHECK(input.dim() >= 3 && input.dim() <= 5, ShapeError,
                 "channels_last needs 3 to 5 dims; got ", input.shape());
      return Layout::channels_last(input.shape());
  }
  return Layout::contiguous(input.shape());
}

// Shares memory in another arrangement, so that a copy element by element would read what it wrote.
bool must_not_alias(const Tensor& target, const Tensor& source) {
  if (!(target.storage() == source.storage())) return false;
  const Layout& a = target.layout();
  const Layout& b = source.layout();
  return a.extent_begin() < b.extent_end() && b.extent_begin() < a.extent_end();
}

}  // namespace

Tensor clone(const Tensor& input, MemoryFormat format) {
  const TraceScope scope(ScopeKind::op, "clone");
  ops::check_defined("clone", "input", input);
  Tensor output = ops::allocate_layout(layout_in(input, format), input.dtype(), input.device());
  copy_elements(output, input);
  return autograd::record("clone", {input}, output, {}, copy_backward,
                          CopyAttributes{input.device()});
}

Tensor contiguous(const Tensor& input, MemoryFormat format) {
  ops::check_defined("contiguous", "input", input);
  if (input.is_contiguous(format)) return input;
  return clone(input, format);
}

Tensor to(const Tensor& input, const TensorOptions& options, bool copy, bool non_blocking) {
  ops::check_defined("to", "input", input);
  const DType dtype = options.dtype_opt().value_or(input.dtype());
  const Device device = options.device_opt().value_or(input.device());
  if (dtype == input.dtype() && device == input.device()) return copy ? clone(input) : input;
  const TraceScope scope(ScopeKind::op, "to");
  Tensor output = ops::allocate_layout(ops::preserved_layout(input), dtype, device);
  copy_elements(output, input, non_blocking);
  return autograd::record("to", {input}, output, {}, copy_backward, CopyAttributes{input.device()});
}

Tensor to(const Tensor& input, DType dtype, bool copy) {
  return to(input, TensorOptions(dtype), copy);
}

Tensor to(const Tensor& input, Device device, bool non_blocking, bool copy) {
  return to(input, TensorOptions(device), copy, non_blocking);
}

Tensor pin_memory(const Tensor& input) {
  const TraceScope scope(ScopeKind::op, "pin_memory");
  ops::check_defined("pin_memory", "input", input);
  TAUT_CHECK(input.is_cpu(), DeviceError, "pin_memory: expected a tensor on the CPU; got one on ",
             input.device());
  if (is_pinned(input)) return input;
  const Layout layout = ops::preserved_layout(input);
  const size_t bytes = static_cast<size_t>(layout.extent_end()) * item_size(input.dtype());
  Tensor output(TensorImpl::make(cuda::make_pinned_storage(bytes), layout, input.dtype()));
  copy_elements(output, input);
  return autograd::record("pin_memory", {input}, output, {}, copy_backward,
                          CopyAttributes{input.device()});
}

bool is_pinned(const Tensor& input) {
  return input.defined() && input.is_cpu() && cuda::is_pinned(input.storage());
}

const Tensor& copy_(const Tensor& self, const Tensor& source, bool non_blocking) {
  const TraceScope scope(ScopeKind::op, "copy_");
  ops::check_defined("copy_", "self", self);
  ops::check_defined("copy_", "source", source);
  source.layout().broadcast_to("copy_", self.shape());  // throws unless it fits
  if (self.is_same(source)) return self;
  autograd::check_in_place("copy_", self);
  if (must_not_alias(self, source)) {
    copy_elements(self, clone(source));
  } else {
    copy_elements(self, source, non_blocking);
  }
  return autograd::record_in_place("copy_", {self, source}, self, {}, copy_in_place_backward,
                                   CopyAttributes{source.device()});
}

const Tensor& fill_(const Tensor& self, const Scalar& value) {
  const TraceScope scope(ScopeKind::op, "fill_");
  ops::check_defined("fill_", "self", self);
  check_holds("fill_", self.dtype(), value);
  autograd::check_in_place("fill_", self);
  if (self.numel() > 0) {
    ops::kernels_of(self).copy.fill({.target = self.data_ptr(),
                                     .dtype = self.dtype(),
                                     .shape = self.shape(),
                                     .strides = self.strides(),
                                     .value = value});
  }
  return autograd::record_in_place("fill_", {self}, self, {}, fill_backward, value);
}

const Tensor& zero_(const Tensor& self) { return fill_(self, 0); }

Tensor fill(const Tensor& input, const Scalar& value) {
  check_holds("fill", input.dtype(), value);
  return full_like(input, value);
}

}  // namespace taut
