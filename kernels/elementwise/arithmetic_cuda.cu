// The CUDA kernels of arithmetic.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/arithmetic.inl"

}  // namespace

void add_arithmetic_kernels(PointwiseTable& table) {
  cuda::add_functor<Abs>(table, Pointwise::Abs);
  cuda::add_functor<Neg>(table, Pointwise::Neg);
  cuda::add_functor<Square>(table, Pointwise::Square);
  cuda::add_functor<Sgn>(table, Pointwise::Sgn);
  cuda::add_functor<Sign>(table, Pointwise::Sign);
  cuda::add_functor<Reciprocal>(table, Pointwise::Reciprocal);
  cuda::add_functor<Sqrt>(table, Pointwise::Sqrt);
  cuda::add_functor<Rsqrt>(table, Pointwise::Rsqrt);
  cuda::add_functor<Deg2rad>(table, Pointwise::Deg2rad);
  cuda::add_functor<Rad2deg>(table, Pointwise::Rad2deg);
  cuda::add_functor<Add>(table, Pointwise::Add);
  cuda::add_functor<Sub>(table, Pointwise::Sub);
  cuda::add_functor<Mul>(table, Pointwise::Mul);
  cuda::add_functor<TrueDivide>(table, Pointwise::TrueDivide);
  cuda::add_functor<FloorDivide>(table, Pointwise::FloorDivide);
  cuda::add_functor<Fmod>(table, Pointwise::Fmod);
  cuda::add_functor<Remainder>(table, Pointwise::Remainder);
  cuda::add_functor<Maximum>(table, Pointwise::Maximum);
  cuda::add_functor<Minimum>(table, Pointwise::Minimum);
  cuda::add_functor<Fmax>(table, Pointwise::Fmax);
  cuda::add_functor<Fmin>(table, Pointwise::Fmin);
  cuda::add_functor<ClampMin>(table, Pointwise::ClampMin);
  cuda::add_functor<ClampMax>(table, Pointwise::ClampMax);
  cuda::add_functor<Clamp>(table, Pointwise::Clamp);
  cuda::add_functor<Where>(table, Pointwise::Where);
  cuda::add_functor<Lerp>(table, Pointwise::Lerp);
  cuda::add_functor<Addcmul>(table, Pointwise::Addcmul);
  cuda::add_functor<Addcdiv>(table, Pointwise::Addcdiv);
}

}  // namespace taut::kernels
