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
  complete(table.matmul.gemm);
  complete(table.matmul.dot);
  complete(table.softmax.softmax);
  complete(table.softmax.log_softmax);
  complete(table.softmax.softmax_backward);
  complete(table.softmax.log_softmax_backward);
  complete(table.softmax.cross_entropy);
  complete(table.softmax.cross_entropy_backward);
  complete(table.norm.layer_norm);
  complete(table.norm.layer_norm_backward);
  complete(table.norm.rms_norm);
  complete(table.norm.rms_norm_backward);
  complete(table.norm.group_norm);
  complete(table.norm.group_norm_backward);
  complete(table.norm.batch_norm);
  complete(table.norm.batch_norm_backward);
  complete(table.optim.sgd);
  complete(table.optim.adam);
  complete(table.optim.rmsprop);
  complete(table.optim.adagrad);
  complete(table.optim.scale);
  complete(table.optim.sum_squares);
  complete(table.random.uniform);
  complete(table.random.normal);
  complete(table.random.log_normal);
  complete(table.random.exponential);
  complete(table.random.cauchy);
  complete(table.random.geometric);
  complete(table.random.bernoulli);
  complete(table.random.randint);
  complete(table.random.randperm);
  complete(table.random.dropout);
  complete(table.conv.forward);
  complete(table.conv.backward_input);
  complete(table.conv.backward_weight);
  complete(table.conv.unfold);
  complete(table.conv.fold);
}

}  // namespace

const KernelTable& cuda_table() {
  static const KernelTable table = [] {
    KernelTable result{};
    result.pointwise = pointwise_kernels_cuda();
    result.copy = copy_kernels_cuda();
    result.reduce = reduce_kernels_cuda();
    result.index = index_kernels_cuda();
    result.pool = pool_kernels_cuda();
    result.scan = scan_kernels_cuda();
    result.sort = sort_kernels_cuda();
    complete_table(result);
    return result;
  }();
  return table;
}

}  // namespace taut::kernels
