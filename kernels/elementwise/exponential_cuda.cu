// The CUDA kernels of exponential.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

template <class V>
TAUT_HD V lit(double value) {
  return static_cast<V>(value);
}

#include "kernels/elementwise/exponential.inl"

}  // namespace

void add_exponential_launches(CudaFunctorTable& table) {
  cuda::add_functor<Exp>(table, Pointwise::Exp);
  cuda::add_functor<Exp2>(table, Pointwise::Exp2);
  cuda::add_functor<Expm1>(table, Pointwise::Expm1);
  cuda::add_functor<Log>(table, Pointwise::Log);
  cuda::add_functor<Log10>(table, Pointwise::Log10);
  cuda::add_functor<Log1p>(table, Pointwise::Log1p);
  cuda::add_functor<Log2>(table, Pointwise::Log2);
  cuda::add_functor<Sigmoid>(table, Pointwise::Sigmoid);
}

}  // namespace taut::kernels
