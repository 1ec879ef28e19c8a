// The CUDA kernels of bitwise.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/bitwise.inl"

}  // namespace

void add_bitwise_kernels(PointwiseTable& table) {
  cuda::add_functor<BitwiseAnd>(table, Pointwise::BitwiseAnd);
  cuda::add_functor<BitwiseOr>(table, Pointwise::BitwiseOr);
  cuda::add_functor<BitwiseXor>(table, Pointwise::BitwiseXor);
  cuda::add_functor<BitwiseLeftShift>(table, Pointwise::BitwiseLeftShift);
  cuda::add_functor<BitwiseRightShift>(table, Pointwise::BitwiseRightShift);
  cuda::add_functor<Gcd>(table, Pointwise::Gcd);
  cuda::add_functor<Lcm>(table, Pointwise::Lcm);
}

}  // namespace taut::kernels
