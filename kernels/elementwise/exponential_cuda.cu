// The CUDA kernels of exponential.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/exponential.inl"

}  // namespace

void add_exponential_kernels(PointwiseTable& table) {
  cuda::add_functor<Exp>(table, Pointwise::Exp);
  cuda::add_functor<Exp2>(table, Pointwise::Exp2);
  cuda::add_functor<Expm1>(table, Pointwise::Expm1);
  cuda::add_functor<Log>(table, Pointwise::Log);
  cuda::add_functor<Log10>(table, Pointwise::Log10);
  cuda::add_functor<Log1p>(table, Pointwise::Log1p);
  cuda::add_functor<Log2>(table, Pointwise::Log2);
  cuda::add_functor<Sigmoid>(table, Pointwise::Sigmoid);
  cuda::add_functor<Pow>(table, Pointwise::Pow);
  cuda::add_functor<Xlogy>(table, Pointwise::Xlogy);
  cuda::add_functor<Logaddexp>(table, Pointwise::Logaddexp);
  cuda::add_functor<Logaddexp2>(table, Pointwise::Logaddexp2);
}

}  // namespace taut::kernels
