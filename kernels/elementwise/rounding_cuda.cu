// The CUDA kernels of rounding.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/rounding.inl"

}  // namespace

void add_rounding_kernels(PointwiseTable& table) {
  cuda::add_functor<Floor>(table, Pointwise::Floor);
  cuda::add_functor<Ceil>(table, Pointwise::Ceil);
  cuda::add_functor<Trunc>(table, Pointwise::Trunc);
  cuda::add_functor<Frac>(table, Pointwise::Frac);
  cuda::add_functor<Round>(table, Pointwise::Round);
  cuda::add_functor<NanToNum>(table, Pointwise::NanToNum);
  cuda::add_functor<Copysign>(table, Pointwise::Copysign);
  cuda::add_functor<Heaviside>(table, Pointwise::Heaviside);
}

}  // namespace taut::kernels
