// Dropout, alone and with a residual. Which elements are dropped is not kept: a backward draws the
// same random numbers again, which costs less than to read them.

#include <cstdint>

#include "src/ops/allocate.h"
#include "src/ops/dispatch.h"
#include "src/ops/take_random.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/ops/ops.h"
#include "taut/ops/random.h"

namespace taut::nn::functional {
namespace {

using autograd::BackwardContext;

void check_dropout(const char* op, const Tensor& input, double p) {
  TAUT_CHECK(p >= 0 && p <= 1, ValueError, op, ": p must be in 0..1; got ", p);
  ops::check_defined(op, "input", input);
}

void check_floating(const char* op, const Tensor& input) {
  TAUT_CHECK(input.is_floating_point(), DTypeError, op, ": expected a floating dtype; got ",
             input.dtype());
}

struct DropoutAttributes {
  double p;
  kernels::RandomPlace place;
};

// Drops from `input`, which is contiguous, and adds `residual` where it is defined.
Tensor drop(const Tensor& input, const Tensor& residual, const DropoutAttributes& at) {
  Tensor output = ops::allocate(input.shape(), input.dtype(), input.device());
  if (output.numel() == 0) return output;
  kernels::DropoutArgs args;
  args.output = output.data_ptr();
  args.n = output.numel();
  args.dtype = output.dtype();
  args.place = at.place;
  args.input = input.data_ptr();
  if (residual.defined()) args.residual = residual.data_ptr();
  args.p = at.p;
  ops::kernels_of(input).random.dropout(args);
  return output;
}

DropoutAttributes take_place(const Tensor& input, double p) {
  const uint64_t blocks = kernels::random_blocks(input.numel(), 32);
  return {p, ops::take_random(default_generator(), input.device(), blocks)};
}

// The gradient of what was dropped from. As an op on the tape it is a product with the mask.
Tensor gradient(const Tensor& grad, const DropoutAttributes& at) {
  if (!is_grad_enabled()) return drop(contiguous(grad), Tensor(), at);
  const NoGradGuard no_grad;
  const Tensor mask = drop(ones(grad.shape(), grad.options()), Tensor(), at);
  const EnableGradGuard enable_grad;
  return grad * mask;
}

void dropout_backward(BackwardContext& context) {
  context.set(0, gradient(context.grad(), context.attributes<DropoutAttributes>()));
}

void dropout_add_backward(BackwardContext& context) {
  const Tensor& grad = context.grad();
  if (context.needs(0)) {
    context.set(0, gradient(grad, context.attributes<DropoutAttributes>()));
  }
  if (context.needs(1)) context.set(1, grad);
}

}  // namespace

Tensor dropout(const Tensor& input, double p, bool training) {
  check_dropout("dropout", input, p);
  if (!training || p == 0) return input;
  const TraceScope scope(ScopeKind::op, "dropout");
  check_floating("dropout", input);
  const Tensor source = contiguous(input);
  const DropoutAttributes at = take_place(source, p);
  return autograd::record("dropout", {source}, drop(source, Tensor(), at), {}, dropout_backward,
                          at);
}

Tensor dropout2d(const Tensor& input, double p, bool training) {
  check_dropout("dropout2d", input, p);
  TAUT_CHECK(input.dim() >= 3, ShapeError, "dropout2d: expected at least 3 dims; got shape ",
             input.shape());
  if (!training || p == 0) return input;
  Dims shape = Dims::filled(input.dim(), 1);
  shape[0] = input.size(0);
  shape[1] = input.size(1);
  const Tensor kept = dropout(ones(shape, input.options()), p, true);
  return mul(input, kept);
}

Tensor dropout_add(const Tensor& input, const Tensor& residual, double p, bool training) {
  check_dropout("dropout_add", input, p);
  ops::check_defined("dropout_add", "residual", residual);
  if (!training || p == 0) return add(input, residual);
  const TraceScope scope(ScopeKind::op, "dropout_add");
  check_floating("dropout_add", input);
  ops::check_same_device("dropout_add", input, residual);
  const Dims shape = broadcast_shapes("dropout_add", input.shape(), residual.shape());
  // One pass for one dtype and an input of the result's shape: what is drawn for it is what dropout
  // draws.
  if (input.dtype() != residual.dtype() || input.shape() != shape) {
    return add(dropout(input, p, true), residual);
  }
  const Tensor source = contiguous(input);
  const Tensor stream = contiguous(expand(residual, shape));
  const DropoutAttributes at = take_place(source, p);
  return autograd::record("dropout_add", {source, stream}, drop(source, stream, at), {},
                          dropout_add_backward, at);
}

}  // namespace taut::nn::functional
