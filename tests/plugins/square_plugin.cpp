// A plugin as a user would write it: an op with a version for the CPU, one by a kernel for GPUs,
// and a derivative.

#include <taut/taut.h>

#include <string>

namespace {

using taut::CustomCall;
using taut::Tensor;
using taut::Tensors;

Tensors square_cpu(CustomCall& call, const Tensors& inputs) {
  const Tensor x = inputs[0].contiguous();
  const Tensor y = taut::empty_like(x);
  const double* from = x.data_ptr<double>();
  double* to = y.data_ptr<double>();
  for (int64_t i = 0; i < x.numel(); ++i) to[i] = from[i] * from[i] * call.number("scale");
  call.save_for_backward({inputs[0]});
  return {y};
}

Tensors square_cuda(CustomCall& call, const Tensors& inputs) {
  static const taut::cuda::Kernel kernel(R"(
    __global__ void square(const double* x, double* y, double scale, int64_t n) {
      const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
      if (i < n) y[i] = x[i] * x[i] * scale;
    })",
                                         "square");
  const Tensor x = inputs[0].contiguous();
  const Tensor y = taut::empty_like(x);
  if (x.numel() > 0) {
    kernel({(x.numel() + 255) / 256}, {256}, {x, y, call.number("scale"), x.numel()});
  }
  call.save_for_backward({inputs[0]});
  return {y};
}

Tensors square_backward(CustomCall& call, const Tensors& grads) {
  return {grads[0] * call.saved_tensors()[0] * (2 * call.number("scale"))};
}

const taut::CustomOp square({
    .name = "plugin_test::square",
    .inputs = {"x"},
    .attributes = {{"scale", 1.0}},
    .check =
        [](CustomCall&, const Tensors& inputs) {
          if (inputs[0].dtype() == taut::kFloat64) return;
          throw taut::DTypeError("plugin_test::square: expected float64");
        },
    .cpu = {.forward = square_cpu},
    .cuda = {.forward = square_cuda},
    .backward = square_backward,
    .differentiable_backward = true,
});

}  // namespace
