// Finds the CUDA launcher of an elementwise op.

#include "kernels/elementwise/launch_cuda.cuh"

namespace taut::kernels {
namespace {

const CudaFunctorTable& functor_table() {
  static const CudaFunctorTable& table = *[] {
    auto* result = new CudaFunctorTable;
    add_exponential_launches(*result);
    return result;
  }();
  return table;
}

void run(const PointwiseArgs& args) {
  const CudaLaunch launch = functor_table()
                                .functors[static_cast<int>(args.op)]
                                .launches[args.derivative][static_cast<int>(args.compute)];
  TAUT_CHECK(launch != nullptr, NotImplementedError, "elementwise op ", static_cast<int>(args.op),
             ": no CUDA kernel for ", args.compute, " yet; move the tensors to the CPU");
  launch(args);
}

}  // namespace

PointwiseKernels pointwise_kernels_cuda() { return {.run = run}; }

}  // namespace taut::kernels
