// The CUDA kernels of compare.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/compare.inl"

}  // namespace

void add_compare_kernels(PointwiseTable& table) {
  cuda::add_functor<Isnan>(table, Pointwise::Isnan);
  cuda::add_functor<Isinf>(table, Pointwise::Isinf);
  cuda::add_functor<Isfinite>(table, Pointwise::Isfinite);
  cuda::add_functor<Isposinf>(table, Pointwise::Isposinf);
  cuda::add_functor<Isneginf>(table, Pointwise::Isneginf);
  cuda::add_functor<Signbit>(table, Pointwise::Signbit);
  cuda::add_functor<LogicalNot>(table, Pointwise::LogicalNot);
  cuda::add_functor<Eq>(table, Pointwise::Eq);
  cuda::add_functor<Ne>(table, Pointwise::Ne);
  cuda::add_functor<Lt>(table, Pointwise::Lt);
  cuda::add_functor<Le>(table, Pointwise::Le);
  cuda::add_functor<Gt>(table, Pointwise::Gt);
  cuda::add_functor<Ge>(table, Pointwise::Ge);
  cuda::add_functor<LogicalAnd>(table, Pointwise::LogicalAnd);
  cuda::add_functor<LogicalOr>(table, Pointwise::LogicalOr);
  cuda::add_functor<LogicalXor>(table, Pointwise::LogicalXor);
}

}  // namespace taut::kernels
