// Layer and RMS norm of a sum on CUDA: one pass over memory adds, writes the sum and normalises it.

#include "kernels/norm/norm_steps_cuda.h"
#include "kernels/norm/row_norm_cuda.cuh"

namespace taut::kernels::cuda {
namespace {

// Rows too long for registers are added first.
template <class T, class Branch, int kPack>
__global__ void __launch_bounds__(kThreads)
    add_kernel(const Branch* branch, const T* residual, T* sum, int64_t n) {
  wait_for_stream();
  const int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPack;
  if (i >= n) return;
  Compute<T> x[kPack], more[kPack];
  load_widened<kPack>(branch + i, more);
  load_widened<kPack>(residual + i, x);
#pragma unroll
  for (int e = 0; e < kPack; ++e) x[e] = more[e] + x[e];
  store_narrowed<kPack>(sum + i, x);
}

template <class T, class Branch>
void launch_add(const LayerNormArgs& args, bool packs) {
  const int64_t n = args.rows * args.cols;
  const int64_t per_block = kThreads * (packs ? kPackCount<T> : 1);
  launch_kernel(packs ? &add_kernel<T, Branch, kPackCount<T>> : &add_kernel<T, Branch, 1>,
                {static_cast<unsigned>((n + per_block - 1) / per_block), kThreads},
                static_cast<const Branch*>(args.input), static_cast<const T*>(args.residual),
                static_cast<T*>(args.sum), n);
}

void add(const char* name, const LayerNormArgs& args, bool packs) {
  visit_floating(name, args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, float>) {
      if (args.input_dtype == DType::bfloat16) return launch_add<T, __nv_bfloat16>(args, packs);
      if (args.input_dtype == DType::float16) return launch_add<T, __half>(args, packs);
    }
    launch_add<T, T>(args, packs);
  });
}

template <NormKind kKind>
void add_norm(const char* name, const LayerNormArgs& args) {
  constexpr bool kIsRms = kKind == NormKind::rms;
  const bool packs = args.cols % pack_count(args.dtype) == 0 && is_aligned(args.input) &&
                     is_aligned(args.residual) && is_aligned(args.sum) && is_aligned(args.output) &&
                     is_aligned(args.weight) && (kIsRms || is_aligned(args.bias));
  if (!fits_registers(args.dtype, args.cols, packs)) {
    add(name, args, packs);
    LayerNormArgs of_sum = args;
    of_sum.input = args.sum;
    of_sum.residual = nullptr;
    return kIsRms ? rms_norm(of_sum) : layer_norm(of_sum);
  }
  visit_floating(name, args.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    NormRows<T> of = norm_rows<T, kIsRms>(args, args.residual);
    of.branch = args.input;
    of.branch_dtype = args.input_dtype;
    of.sum = static_cast<T*>(args.sum);
    launch_rows<T, kKind, true>(of, packs);
  });
  check_launch(name);
}

}  // namespace

void add_layer_norm(const LayerNormArgs& args) {
  add_norm<NormKind::layer>("add_layer_norm", args);
}
void add_rms_norm(const LayerNormArgs& args) { add_norm<NormKind::rms>("add_rms_norm", args); }

}  // namespace taut::kernels::cuda
