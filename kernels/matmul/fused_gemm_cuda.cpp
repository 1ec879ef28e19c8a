#include <algorithm>
#include <optional>

#include "kernels/matmul/column_major.h"
#include "kernels/matmul/fused_gemm.h"
#include "src/core/cuda/launch_context.h"

namespace taut::kernels::cuda {
namespace {

// cuBLASLt sums rows in a kernel of its own, which reads half as fast as our sums do: in a layer of
// 16384 x 768 to 3072 on an H200, 148 us for both gradients, 139 as two ops. Only where the host
// has more to do than the GPU is one call better.
bool sums_better_alone(const FusedGemmArgs& args) {
  constexpr int64_t kManyBytes = int64_t{16} << 20;
  return args.m * args.k * static_cast<int64_t>(item_size(args.dtype)) >= kManyBytes;
}

// cuBLASLt's GELU is the approximation by tanh, and it has no epilogues in float64.
bool has_epilogue(const FusedGemmArgs& args) {
  if (args.m == 0 || args.n == 0 || args.k == 0) return false;
  if (!is_floating_point(args.dtype) || args.dtype == DType::float64) return false;
  if (args.fusion == Fusion::row_sums) return !sums_better_alone(args);
  if (args.activation == Activation::gelu_tanh) return true;
  // To multiply by ReLU's derivative in the product is slower than in a pass of its own.
  return args.activation == Activation::relu && args.fusion == Fusion::activation;
}

int32_t forward_epilogue(Activation activation, bool has_bias, bool keeps) {
  if (activation == Activation::relu) {
    return has_bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  }
  if (keeps) return has_bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  return has_bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
}

int32_t epilogue_of(const FusedGemmArgs& args) {
  switch (args.fusion) {
    // Our a is cuBLASLt's B, whose transpose has the rows of a for its columns.
    case Fusion::row_sums: return CUBLASLT_EPILOGUE_BGRADB;
    case Fusion::activation:
      return forward_epilogue(args.activation, args.bias != nullptr, args.keeps);
    // The derivative alone: where it sums the columns too, which would be the gradient of a bias,
    // cuBLASLt takes three times as long on an H100. The product of row_sums has them for nothing.
    default: return CUBLASLT_EPILOGUE_DGELU;
  }
}

// What cuBLASLt asks the rows of what is kept to be a multiple of, in elements.
constexpr int64_t kKeptRowUnit = 8;

// Whether it reads or writes x beside the result.
bool has_kept(const FusedGemmArgs& args) {
  return args.keeps || args.fusion == Fusion::activation_gradient;
}

std::optional<ColumnMajor> columns_of_a(const FusedGemmArgs& args) {
  return as_columns(args.m, args.k, args.a.row_stride, args.a.col_stride);
}
std::optional<ColumnMajor> columns_of_b(const FusedGemmArgs& args) {
  return as_columns(args.k, args.n, args.b.row_stride, args.b.col_stride);
}

}  // namespace

bool has_fused_gemm(const FusedGemmArgs& args) {
  if (!has_epilogue(args)) return false;
  if (has_kept(args) && args.n % kKeptRowUnit != 0) return false;
  return columns_of_a(args) && columns_of_b(args);
}

bool run_fused_gemm(const FusedGemmArgs& args) {
  if (!has_fused_gemm(args)) return false;
  const ColumnMajor a = *columns_of_a(args), b = *columns_of_b(args);

  GemmPointers pointers{};
  pointers.a = args.b.data;
  pointers.b = args.a.data;
  pointers.d = args.c;
  pointers.bias = args.fusion == Fusion::activation ? const_cast<void*>(args.bias) : args.sums;
  pointers.aux = args.kept;

  const auto item = static_cast<int64_t>(item_size(args.dtype));
  GemmKey key = row_major_key(args.m, args.n, args.k, a, b, args.n);
  key.ld_aux = has_kept(args) ? args.n : 0;
  key.dtype = static_cast<int32_t>(args.dtype);
  key.epilogue = epilogue_of(args);
  key.precision = static_cast<int32_t>(args.precision);
  key.alignment = std::min({alignment_of(pointers.a, item, key.lda, 0),
                            alignment_of(pointers.b, item, key.ldb, 0),
                            alignment_of(pointers.d, item, key.ldd, 0)});
  key.bias_alignment = alignment_of(pointers.bias);
  key.aux_alignment = alignment_of(pointers.aux);
  key.device = taut::cuda::launch_device();
  return run_gemm(key, pointers, /*alpha=*/1.0, /*beta=*/0.0);
}

}  // namespace taut::kernels::cuda
