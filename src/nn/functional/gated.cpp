#include "taut/nn/functional/gated.h"

#include <cstdint>
#include <optional>

#include "src/ops/allocate.h"
#include "src/ops/autocast.h"
#include "src/ops/composed_backward.h"
#include "src/ops/dispatch.h"
#include "taut/autograd/recompute.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/nn/functional/activation.h"
#include "taut/ops/ops.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;
using kernels::Gate;

struct GatedAttributes {
  Gate activation;
  bool is_packed;  // the input is gate and up
};

// Rows of contiguous elements, one distance apart.
struct Rows {
  Tensor tensor;
  int64_t rows, cols, stride;
};

// The tensor's, or those of a copy where its dims but the last do not lie at one distance.
Rows rows_of(const Tensor& tensor) {
  const int64_t cols = tensor.size(-1);
  const int64_t rows = cols == 0 ? 0 : tensor.numel() / cols;
  const std::optional<Layout> flat = tensor.layout().view({rows, cols});
  if (flat && (flat->strides[1] == 1 || cols == 1)) {
    return {tensor, rows, cols, flat->strides[0]};
  }
  return {contiguous(tensor), rows, cols, cols};
}

// Gate and up, from the inputs of a call or from halves of one.
struct Operands {
  Rows gate, up;
};

Rows half_of(const Rows& both, int which) {
  const int64_t cols = both.cols / 2;
  return {narrow(both.tensor, -1, which * cols, cols), both.rows, cols, both.stride};
}

Operands operands_of(const Tensor& gate, const Tensor& up, bool is_packed) {
  const NoGradGuard no_grad;
  const Rows first = rows_of(gate.detach());
  if (is_packed) return {half_of(first, 0), half_of(first, 1)};
  return {first, rows_of(up.detach())};
}

Tensor activate(const Tensor& input, Gate activation) {
  switch (activation) {
    case Gate::gelu: return gelu(input);
    case Gate::gelu_tanh: return gelu(input, "tanh");
    default: return silu(input);
  }
}

Tensor composed(const Tensor& gate, const Tensor& up, const GatedAttributes& at) {
  if (!at.is_packed) return activate(gate, at.activation) * up;
  const int64_t cols = gate.size(-1) / 2;
  return activate(narrow(gate, -1, 0, cols), at.activation) * narrow(gate, -1, cols, cols);
}

Tensor forward(const Tensor& gate, const Tensor& up, const GatedAttributes& at) {
  const Operands operands = operands_of(gate, up, at.is_packed);
  Dims shape = gate.shape();
  shape.back() = operands.gate.cols;
  Tensor output = ops::allocate(shape, gate.dtype(), gate.device());
  if (output.numel() == 0) return output;
  kernels::GatedArgs args;
  args.gate = operands.gate.tensor.data_ptr();
  args.up = operands.up.tensor.data_ptr();
  args.output = output.data_ptr();
  args.dtype = gate.dtype();
  args.activation = at.activation;
  args.rows = operands.gate.rows;
  args.cols = operands.gate.cols;
  args.gate_stride = operands.gate.stride;
  args.up_stride = operands.up.stride;
  ops::kernels_of(gate).gated.forward(args);
  return output;
}

void gated_backward(BackwardContext& context) {
  const auto& at = context.attributes<GatedAttributes>();
  if (is_grad_enabled()) {
    return ops::composed_backward(context, at.is_packed ? 1 : 2, [&](TensorList in) {
      return composed(in[0], at.is_packed ? Tensor() : in[1], at);
    });
  }
  const Tensor gate = context.saved(0), up = at.is_packed ? Tensor() : context.saved(1);
  const Operands operands = operands_of(gate, up, at.is_packed);
  const Tensor grad = contiguous(context.grad());
  const Tensor grad_gate = ops::allocate(gate.shape(), gate.dtype(), gate.device());
  const Tensor grad_up =
      at.is_packed ? Tensor() : ops::allocate(up.shape(), up.dtype(), up.device());
  const Operands grads = operands_of(grad_gate, grad_up, at.is_packed);
  if (grad.numel() > 0) {
    kernels::GatedBackwardArgs args;
    args.grad_output = grad.data_ptr();
    args.gate = operands.gate.tensor.data_ptr();
    args.up = operands.up.tensor.data_ptr();
    args.grad_gate = grads.gate.tensor.data_ptr();
    args.grad_up = grads.up.tensor.data_ptr();
    args.dtype = gate.dtype();
    args.activation = at.activation;
    args.rows = operands.gate.rows;
    args.cols = operands.gate.cols;
    args.gate_stride = operands.gate.stride;
    args.up_stride = operands.up.stride;
    args.grad_gate_stride = grads.gate.stride;
    args.grad_up_stride = grads.up.stride;
    ops::kernels_of(gate).gated.backward(args);
  }
  if (context.needs(0)) context.set(0, grad_gate);
  if (!at.is_packed && context.needs(1)) context.set(1, grad_up);
}

void check_operands(const char* op, const Tensor& gate, const Tensor& up) {
  ops::check_defined(op, "gate", gate);
  TAUT_CHECK(gate.is_floating_point(), DTypeError, op, ": gate must be floating; got ",
             gate.dtype());
  TAUT_CHECK(gate.dim() >= 1, ShapeError, op, ": gate needs at least one dim; got shape ",
             gate.shape());
  if (!up.defined()) {
    TAUT_CHECK(gate.size(-1) % 2 == 0, ShapeError, op, ": the last dim of shape ", gate.shape(),
               " does not split in halves");
    return;
  }
  ops::check_same_device(op, gate, up);
  TAUT_CHECK(up.dtype() == gate.dtype(), DTypeError, op, ": up is ", up.dtype(), "; expected ",
             gate.dtype());
  TAUT_CHECK(up.shape() == gate.shape(), ShapeError, op, ": up has shape ", up.shape(),
             "; expected that of gate, ", gate.shape());
}

Tensor remake(const BackwardContext& context) {
  const auto& at = context.attributes<GatedAttributes>();
  return forward(context.saved(0), at.is_packed ? Tensor() : context.saved(1), at);
}

Tensor gated(const char* op, const Tensor& gate, const Tensor& up, Gate activation,
             bool recompute) {
  const TraceScope scope(ScopeKind::op, op);
  check_operands(op, gate, up);
  const GatedAttributes at{activation, !up.defined()};
  Tensor output = forward(gate, up, at);
  const autograd::TensorRef operands[] = {gate, up};
  const autograd::TensorRefs used(operands, at.is_packed ? 1 : 2);
  const autograd::TensorRef outputs[] = {output};
  autograd::record_all(op, used, outputs, used, gated_backward, at);
  if (recompute) autograd::recompute_when_saved(output, remake);
  return output;
}

}  // namespace

Tensor swiglu(const Tensor& gate, const Tensor& up, bool recompute) {
  if (ops::is_autocast() && up.defined()) {
    return ops::in_widest_dtype([](const auto&... x) { return swiglu(x...); }, gate, up, recompute);
  }
  return gated("swiglu", gate, up, Gate::silu, recompute);
}

Tensor geglu(const Tensor& gate, const Tensor& up, std::string_view approximate, bool recompute) {
  if (ops::is_autocast() && up.defined()) {
    return ops::in_widest_dtype([](const auto&... x) { return geglu(x...); }, gate, up, approximate,
                                recompute);
  }
  TAUT_CHECK(approximate == "none" || approximate == "tanh", ValueError,
             "geglu: approximate must be \"none\" or \"tanh\"; got \"", approximate, "\"");
  return gated("geglu", gate, up, approximate == "tanh" ? Gate::gelu_tanh : Gate::gelu, recompute);
}

}  // namespace taut::nn::functional
