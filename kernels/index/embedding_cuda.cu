// The gradient of an embedding: the rows of grad_output are sorted by the row of the weight that
// they belong to and added up in their order; see SortedPut.

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/sorted_put.h"
#include "kernels/index/index_cuda.h"

namespace taut::kernels::cuda {
namespace {

template <class I, class K, class P>
__global__ void __launch_bounds__(kThreads)
    embedding_keys_kernel(const I* index, FaultReport report, int64_t rows, int64_t padding_idx,
                          K* keys, P* positions, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t row = static_cast<int64_t>(index[i]);
    const bool is_there = static_cast<uint64_t>(row) < static_cast<uint64_t>(rows);
    if (!is_there) report(row, rows, i);
    keys[i] = static_cast<K>(is_there && row != padding_idx ? row : rows);
    positions[i] = static_cast<P>(i);
  }
}

SortedPut put_of(const EmbeddingBackwardArgs& args) {
  SortedPut put;
  put.op = args.op;
  put.dtype = args.dtype;
  put.mode = args.scale_grad_by_freq ? PutMode::mean : PutMode::sum;
  put.include_self = false;
  put.self = args.grad_weight;
  put.source = args.grad_output;
  put.keyed.push_back(args.count, 0, args.width);
  put.lanes.push_back(args.width, 1, 1);
  put.unit = args.width;
  put.left_out = static_cast<uint64_t>(args.rows);
  return put;
}

template <class K, class P>
void sum_rows(const EmbeddingBackwardArgs& args) {
  const int64_t n = args.count;
  const taut::cuda::Scratch memory(static_cast<size_t>(n) * 2 * (sizeof(K) + sizeof(P)));
  const SortBuffer<K> keys{memory.as<K>(), memory.as<K>() + n};
  P* positions = reinterpret_cast<P*>(memory.as<K>() + 2 * n);
  const FaultReport report(args.op);
  if (args.index_dtype == DType::int32) {
    launch_kernel(embedding_keys_kernel<int32_t, K, P>, {blocks_for(n), kThreads},
                  static_cast<const int32_t*>(args.index), report, args.rows, args.padding_idx,
                  keys.data, positions, n);
  } else {
    launch_kernel(embedding_keys_kernel<int64_t, K, P>, {blocks_for(n), kThreads},
                  static_cast<const int64_t*>(args.index), report, args.rows, args.padding_idx,
                  keys.data, positions, n);
  }
  check_launch(args.op);
  put_sorted(put_of(args), keys, SortBuffer<P>{positions, positions + n});
}

}  // namespace

IndexResult embedding_backward(const EmbeddingBackwardArgs& args) {
  const size_t weights = static_cast<size_t>(args.rows * args.width);
  if (weights == 0) return {};
  check(args.op, cudaMemsetAsync(args.grad_weight, 0, weights * item_size(args.dtype), stream()));
  if (args.count == 0) return {};
  constexpr int64_t kShort = int64_t{1} << 31;
  if (args.count < kShort && args.rows < kShort) {
    sum_rows<uint32_t, uint32_t>(args);
  } else {
    sum_rows<uint64_t, int64_t>(args);
  }
  return {};
}

}  // namespace taut::kernels::cuda
