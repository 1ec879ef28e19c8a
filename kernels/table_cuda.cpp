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
  complete(table.reduce.sum);
  complete(table.reduce.prod);
  complete(table.reduce.mean);
  complete(table.reduce.amax);
  complete(table.reduce.amin);
  complete(table.reduce.aminmax);
  complete(table.reduce.any);
  complete(table.reduce.all);
  complete(table.reduce.count_nonzero);
  complete(table.reduce.logsumexp);
  complete(table.reduce.var);
  complete(table.reduce.vector_norm);
  complete(table.reduce.max);
  complete(table.reduce.min);
  complete(table.matmul.gemm);
  complete(table.matmul.dot);
  complete(table.index.get);
  complete(table.index.put);
  complete(table.index.embedding_backward);
  complete(table.index.count_nonzero);
  complete(table.index.nonzero);
  complete(table.index.masked_select);
  complete(table.index.masked_scatter);
  complete(table.conv.forward);
  complete(table.conv.backward_input);
  complete(table.conv.backward_weight);
  complete(table.conv.unfold);
  complete(table.conv.fold);
  complete(table.pool.max_pool);
  complete(table.pool.max_pool_backward);
  complete(table.pool.avg_pool);
  complete(table.pool.avg_pool_backward);
  complete(table.pool.adaptive_avg_pool);
  complete(table.pool.adaptive_avg_pool_backward);
  complete(table.pool.adaptive_max_pool);
  complete(table.scan.cumsum);
  complete(table.scan.cumprod);
  complete(table.scan.logcumsumexp);
  complete(table.scan.cummax);
  complete(table.scan.cummin);
  complete(table.sort.sort);
  complete(table.sort.topk);
  complete(table.sort.pick);
  complete(table.sort.searchsorted);
  complete(table.sort.unique);
  complete(table.sort.bincount);
  complete(table.sort.histogram);
}

}  // namespace

const KernelTable& cuda_table() {
  static const KernelTable table = [] {
    KernelTable result{};
    result.pointwise = pointwise_kernels_cuda();
    result.copy = copy_kernels_cuda();
    result.softmax = softmax_kernels_cuda();
    result.norm = norm_kernels_cuda();
    result.optim = optim_kernels_cuda();
    result.random = random_kernels_cuda();
    complete_table(result);
    return result;
  }();
  return table;
}

}  // namespace taut::kernels
