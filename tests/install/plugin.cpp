// A plugin outside of Taut's tree: one op, which is there when the library is loaded.
#include <taut/extension/custom_op.h>
#include <taut/ops/ops.h>

namespace {

using taut::CustomCall;
using taut::Tensors;

Tensors square(CustomCall& call, const Tensors& inputs) {
  call.save_for_backward(inputs);
  return {inputs[0] * inputs[0]};
}

Tensors square_backward(CustomCall& call, const Tensors& grads) {
  return {grads[0] * call.saved_tensors()[0] * 2};
}

const taut::CustomOp op({.name = "outside::square",
                         .inputs = {"x"},
                         .cpu = {.forward = square},
                         .backward = square_backward,
                         .differentiable_backward = true});

}  // namespace
