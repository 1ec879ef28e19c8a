// The CUDA kernels of trigonometry.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/trigonometry.inl"

}  // namespace

void add_trigonometry_kernels(PointwiseTable& table) {
  cuda::add_functor<Sin>(table, Pointwise::Sin);
  cuda::add_functor<Cos>(table, Pointwise::Cos);
  cuda::add_functor<Tan>(table, Pointwise::Tan);
  cuda::add_functor<Asin>(table, Pointwise::Asin);
  cuda::add_functor<Acos>(table, Pointwise::Acos);
  cuda::add_functor<Atan>(table, Pointwise::Atan);
  cuda::add_functor<Sinh>(table, Pointwise::Sinh);
  cuda::add_functor<Cosh>(table, Pointwise::Cosh);
  cuda::add_functor<Tanh>(table, Pointwise::Tanh);
  cuda::add_functor<Asinh>(table, Pointwise::Asinh);
  cuda::add_functor<Acosh>(table, Pointwise::Acosh);
  cuda::add_functor<Atanh>(table, Pointwise::Atanh);
  cuda::add_functor<Sinc>(table, Pointwise::Sinc);
  cuda::add_functor<Atan2>(table, Pointwise::Atan2);
  cuda::add_functor<Hypot>(table, Pointwise::Hypot);
}

}  // namespace taut::kernels
