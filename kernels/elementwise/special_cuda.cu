// The CUDA kernels of special.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"
#include "kernels/elementwise/special_math.h"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/special.inl"

}  // namespace

void add_special_kernels(PointwiseTable& table) {
  cuda::add_functor<Erf>(table, Pointwise::Erf);
  cuda::add_functor<Erfc>(table, Pointwise::Erfc);
  cuda::add_functor<Erfinv>(table, Pointwise::Erfinv);
  cuda::add_functor<Lgamma>(table, Pointwise::Lgamma);
  cuda::add_functor<Digamma>(table, Pointwise::Digamma);
  cuda::add_functor<Polygamma>(table, Pointwise::Polygamma);
}

}  // namespace taut::kernels
