// The CUDA kernels of loss.inl; see kernels/elementwise/launch_cuda.cuh.

#include "kernels/elementwise/constant_cuda.cuh"
#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

#include "kernels/elementwise/loss.inl"

}  // namespace

void add_loss_kernels(PointwiseTable& table) {
  cuda::add_functor<SquaredError>(table, Pointwise::SquaredError);
  cuda::add_functor<AbsoluteError>(table, Pointwise::AbsoluteError);
  cuda::add_functor<SmoothL1>(table, Pointwise::SmoothL1);
  cuda::add_functor<Huber>(table, Pointwise::Huber);
  cuda::add_functor<BinaryCrossEntropy>(table, Pointwise::BinaryCrossEntropy);
  cuda::add_functor<BinaryCrossEntropyWithLogits>(table, Pointwise::BinaryCrossEntropyWithLogits);
}

}  // namespace taut::kernels
