// Our own attention: which set of kernels runs a call, and what the backward passes share.

#include "kernels/api/row_team.cuh"
#include "kernels/attention/attention_rows.cuh"
#include "kernels/attention/flash_attention.h"
#include "kernels/attention/mma_parts_cuda.h"

namespace taut::kernels::cuda {
namespace {

// delta = rowsum(do o), a warp to each row.
template <class T>
__global__ void __launch_bounds__(kThreads)
    attention_delta_kernel(Rows<const T> output, Rows<const T> grad, int heads, int64_t count,
                           float* delta) {
  wait_for_stream();
  const int64_t i = int64_t{blockIdx.x} * (kThreads / kWarp) + threadIdx.x / kWarp;
  if (i >= count) return;
  const int64_t query = i % output.length, matrix = i / output.length;
  const int batch = static_cast<int>(matrix / heads), head = static_cast<int>(matrix % heads);
  const T* o = output.head(batch, head) + query * output.strides.row;
  const T* g = grad.head(batch, head) + query * grad.strides.row;
  float sum = 0.0f;
  for (int col = static_cast<int>(threadIdx.x) % kWarp; col < output.width; col += kWarp) {
    sum += widen(o[col]) * widen(g[col]);
  }
  sum = fold_lanes(sum, Sum{});
  if (threadIdx.x % kWarp == 0) delta[i] = sum;
}

void compute_delta(const AttentionBackwardArgs& args, float* delta) {
  const int64_t count = args.batch * args.heads * args.queries;
  constexpr int64_t kRowsPerBlock = kThreads / kWarp;
  const unsigned blocks = block_count(args, args.heads, args.queries) / kRowsPerBlock + 1;
  visit_floating(kAttention, args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch_kernel(
        attention_delta_kernel<T>, {blocks, kThreads},
        make_rows<const T>(args.output, args.output_strides, args.queries, args.value_width),
        make_rows<const T>(args.grad_output, args.grad_output_strides, args.queries,
                           args.value_width),
        static_cast<int>(args.heads), count, delta);
  });
  check_launch(kAttention);
}

}  // namespace

bool run_mma_attention(const AttentionArgs& args) {
  if (args.dtype == DType::float16) return mma_forward_half(args);
  if (args.dtype == DType::bfloat16) return mma_forward_bfloat16(args);
  return false;
}

bool run_mma_attention_backward(const AttentionBackwardArgs& args, const float* delta) {
  if (args.dtype == DType::float16) return mma_backward_half(args, delta);
  if (args.dtype == DType::bfloat16) return mma_backward_bfloat16(args, delta);
  return false;
}

void run_flash_attention(const AttentionArgs& args, bool with_tensor_cores) {
  if (!with_tensor_cores || !run_mma_attention(args)) run_plain_attention(args);
}

void run_flash_attention_backward(const AttentionBackwardArgs& args, bool with_tensor_cores) {
  const int64_t rows = args.batch * args.heads * args.queries;
  const taut::cuda::Scratch scratch(static_cast<size_t>(rows) * sizeof(float));
  float* delta = scratch.as<float>();
  compute_delta(args, delta);
  if (!with_tensor_cores || !run_mma_attention_backward(args, delta)) {
    run_plain_attention_backward(args, delta);
  }
}

}  // namespace taut::kernels::cuda
