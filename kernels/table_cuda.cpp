// The CUDA table. Kernels that are not there yet are refused by name when they are called.

#include "kernels/api/table.h"
#include "taut/base/check.h"

namespace taut::kernels {
namespace {

template <class Result, class Args>
struct Missing {
  static Result call(const Args&) {
    throw NotImplementedError(
        "cuda: this op has no CUDA kernel yet; move the tensors to the CPU with .cpu()");
  }
};

template <class Result, class Args>
void complete(Result (*&slot)(const Args&)) {
  if (slot == nullptr) slot = &Missing<Result, Args>::call;
}

void complete_table(KernelTable& table) {
}

}  // namespace

const KernelTable& cuda_table() {
  static const KernelTable table = [] {
    KernelTable result{};
    result.pointwise = pointwise_kernels_cuda();
    result.copy = copy_kernels_cuda();
    result.matmul = matmul_kernels_cuda();
    result.conv = conv_kernels_cuda();
    result.softmax = softmax_kernels_cuda();
    result.reduce = reduce_kernels_cuda();
    result.index = index_kernels_cuda();
    result.norm = norm_kernels_cuda();
    result.pool = pool_kernels_cuda();
    result.optim = optim_kernels_cuda();
    result.random = random_kernels_cuda();
    result.scan = scan_kernels_cuda();
    result.sort = sort_kernels_cuda();
    complete_table(result);
    return result;
  }();
  return table;
}

}  // namespace taut::kernels
