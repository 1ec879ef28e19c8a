// The CUDA kernels of activation.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"
#include "kernels/elementwise/quick_gelu.h"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/activation.inl"

}  // namespace

void add_activation_kernels(PointwiseTable& table) {
  cuda::add_functor<Relu>(table, Pointwise::Relu);
  cuda::add_functor<Relu6>(table, Pointwise::Relu6);
  cuda::add_functor<Selu>(table, Pointwise::Selu);
  cuda::add_functor<Silu>(table, Pointwise::Silu);
  cuda::add_functor<Mish>(table, Pointwise::Mish);
  cuda::add_functor<Hardsigmoid>(table, Pointwise::Hardsigmoid);
  cuda::add_functor<Hardswish>(table, Pointwise::Hardswish);
  cuda::add_functor<Logsigmoid>(table, Pointwise::Logsigmoid);
  cuda::add_functor<Softsign>(table, Pointwise::Softsign);
  cuda::add_functor<Tanhshrink>(table, Pointwise::Tanhshrink);
  cuda::add_functor<LeakyRelu>(table, Pointwise::LeakyRelu);
  cuda::add_functor<Elu>(table, Pointwise::Elu);
  cuda::add_functor<Celu>(table, Pointwise::Celu);
  cuda::add_functor<Gelu>(table, Pointwise::Gelu);
  cuda::add_functor<GeluTanh>(table, Pointwise::GeluTanh);
  cuda::add_functor<Hardtanh>(table, Pointwise::Hardtanh);
  cuda::add_functor<Threshold>(table, Pointwise::Threshold);
  cuda::add_functor<Softplus>(table, Pointwise::Softplus);
  cuda::add_functor<Softshrink>(table, Pointwise::Softshrink);
  cuda::add_functor<Hardshrink>(table, Pointwise::Hardshrink);
  cuda::add_functor<Logit>(table, Pointwise::Logit);
  cuda::add_functor<Prelu>(table, Pointwise::Prelu);
}

}  // namespace taut::kernels
