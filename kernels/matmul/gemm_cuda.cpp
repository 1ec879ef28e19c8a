// Matrix products on CUDA: floats by cuBLASLt, copied into a layout that it takes where they lie in
// none, the rest by kernels of our own.

#include <algorithm>
#include <optional>

#include "kernels/api/copy.h"
#include "kernels/api/matmul.h"
#include "kernels/matmul/column_major.h"
#include "kernels/matmul/fused_gemm.h"
#include "kernels/matmul/plain_gemm.h"
#include "src/core/cuda/launch_context.h"

namespace taut::kernels {
namespace {

using cuda::alignment_of;
using cuda::as_columns;
using cuda::ColumnMajor;
using cuda::GemmKey;
using taut::cuda::Scratch;

// A contiguous copy of a batch of matrices in scratch memory.
MatrixInput packed(const MatrixInput& matrix, DType dtype, int64_t rows, int64_t cols,
                   const Dims& batch, Scratch& scratch) {
  Dims shape = batch;
  shape.push_back(rows);
  shape.push_back(cols);
  Dims strides;
  strides.set_contiguous(shape);
  Dims source_strides = matrix.batch_strides;
  source_strides.push_back(matrix.row_stride);
  source_strides.push_back(matrix.col_stride);
  copy_kernels_cuda().copy({.target = scratch.data(),
                            .source = matrix.data,
                            .target_dtype = dtype,
                            .source_dtype = dtype,
                            .shape = shape,
                            .target_strides = strides,
                            .source_strides = source_strides});
  MatrixInput result;
  result.data = scratch.data();
  result.row_stride = cols;
  result.col_stride = 1;
  result.batch_strides = strides;
  result.batch_strides.erase(result.batch_strides.rank() - 1);
  result.batch_strides.erase(result.batch_strides.rank() - 1);
  return result;
}

// The innermost dims of a batch that all three operands walk through with one stride each.
struct BatchRun {
  int64_t count = 1;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;
  int outer_rank = 0;  // dims that are left to a loop
};

BatchRun merged_batch(const GemmArgs& args) {
  BatchRun run;
  int i = args.batch.rank() - 1;
  while (i >= 0 && args.batch[i] == 1) --i;
  if (i < 0) return run;
  run.count = args.batch[i];
  run.stride_a = args.a.batch_strides[i];
  run.stride_b = args.b.batch_strides[i];
  run.stride_c = args.c.batch_strides[i];
  for (--i; i >= 0; --i) {
    if (args.batch[i] == 1) continue;
    if (args.a.batch_strides[i] != run.stride_a * run.count ||
        args.b.batch_strides[i] != run.stride_b * run.count ||
        args.c.batch_strides[i] != run.stride_c * run.count) {
      break;
    }
    run.count *= args.batch[i];
  }
  run.outer_rank = i + 1;
  return run;
}

// More calls than this cost more than one copy of the operands.
constexpr int64_t kMostCalls = 16;

int64_t outer_calls(const GemmArgs& args, const BatchRun& run) {
  int64_t calls = 1;
  for (int i = 0; i < run.outer_rank; ++i) calls *= args.batch[i];
  return calls;
}

template <class Matrix>
size_t batch_bytes(const GemmArgs& args, int64_t rows, int64_t cols, const Matrix&) {
  return static_cast<size_t>(args.batch.numel() * rows * cols) * item_size(args.dtype);
}

int32_t epilogue_of(const GemmArgs& args, bool has_bias) {
  const bool relu = args.activation == Activation::relu;
  const bool gelu = args.activation == Activation::gelu_tanh;
  if (has_bias) {
    return relu   ? CUBLASLT_EPILOGUE_RELU_BIAS
           : gelu ? CUBLASLT_EPILOGUE_GELU_BIAS
                  : CUBLASLT_EPILOGUE_BIAS;
  }
  return relu ? CUBLASLT_EPILOGUE_RELU : gelu ? CUBLASLT_EPILOGUE_GELU : CUBLASLT_EPILOGUE_DEFAULT;
}

// Whether cuBLASLt adds the bias and applies the activation itself.
bool is_epilogue_fused(const GemmArgs& args) {
  if (args.dtype == DType::float64 || args.activation == Activation::gelu) return false;
  return args.bias == nullptr || args.bias_stride == 1;
}

bool has_epilogue(const GemmArgs& args) {
  return args.bias != nullptr || args.activation != Activation::none;
}

const char* moved(const void* data, int64_t elements, DType dtype) {
  return static_cast<const char*>(data) + elements * static_cast<int64_t>(item_size(dtype));
}

// One call for each combination of the outer dims of the batch.
bool run_batches(const GemmArgs& args, const BatchRun& run, const ColumnMajor& a,
                 const ColumnMajor& b, int64_t c_leading, bool is_fused) {
  GemmKey key = cuda::row_major_key(args.m, args.n, args.k, a, b, c_leading);
  key.batch = run.count;
  key.stride_a = run.count == 1 ? 0 : run.stride_b;
  key.stride_b = run.count == 1 ? 0 : run.stride_a;
  key.stride_d = run.count == 1 ? 0 : run.stride_c;
  key.dtype = static_cast<int32_t>(args.dtype);
  key.epilogue = is_fused ? epilogue_of(args, args.bias != nullptr) : CUBLASLT_EPILOGUE_DEFAULT;
  key.precision = static_cast<int32_t>(args.precision);
  key.has_beta = args.beta != 0 ? 1 : 0;
  key.device = taut::cuda::launch_device();

  const int64_t item = static_cast<int64_t>(item_size(args.dtype));
  const int64_t calls = outer_calls(args, run);
  for (int64_t call = 0; call < calls; ++call) {
    int64_t at_a = 0, at_b = 0, at_c = 0;
    int64_t rest = call;
    for (int i = run.outer_rank - 1; i >= 0; --i) {
      const int64_t index = rest % args.batch[i];
      rest /= args.batch[i];
      at_a += index * args.a.batch_strides[i];
      at_b += index * args.b.batch_strides[i];
      at_c += index * args.c.batch_strides[i];
    }
    cuda::GemmPointers pointers{};
    pointers.a = moved(args.b.data, at_b, args.dtype);
    pointers.b = moved(args.a.data, at_a, args.dtype);
    pointers.d = const_cast<char*>(moved(args.c.data, at_c, args.dtype));
    pointers.bias = is_fused ? const_cast<void*>(args.bias) : nullptr;
    key.bias_alignment = cuda::alignment_of(pointers.bias);
    key.alignment = std::min({alignment_of(pointers.a, item, key.lda, key.stride_a),
                              alignment_of(pointers.b, item, key.ldb, key.stride_b),
                              alignment_of(pointers.d, item, key.ldd, key.stride_d)});
    if (!cuda::run_gemm(key, pointers, args.alpha, args.beta)) return false;
  }
  return true;
}

void run_float(GemmArgs args) {
  // Copies of operands that lie in no layout of cuBLASLt's, or whose batch would take many calls.
  std::optional<ColumnMajor> a = as_columns(args.m, args.k, args.a.row_stride, args.a.col_stride);
  std::optional<ColumnMajor> b = as_columns(args.k, args.n, args.b.row_stride, args.b.col_stride);
  const bool is_scattered = outer_calls(args, merged_batch(args)) > kMostCalls;
  Scratch scratch_a(!a || is_scattered ? batch_bytes(args, args.m, args.k, args.a) : 0);
  Scratch scratch_b(!b || is_scattered ? batch_bytes(args, args.k, args.n, args.b) : 0);
  if (scratch_a.data() != nullptr) {
    args.a = packed(args.a, args.dtype, args.m, args.k, args.batch, scratch_a);
    a = as_columns(args.m, args.k, args.a.row_stride, args.a.col_stride);
  }
  if (scratch_b.data() != nullptr) {
    args.b = packed(args.b, args.dtype, args.k, args.n, args.batch, scratch_b);
    b = as_columns(args.k, args.n, args.b.row_stride, args.b.col_stride);
  }
  const std::optional<ColumnMajor> c =
      as_columns(args.n, args.m, args.c.col_stride, args.c.row_stride);
  const BatchRun run = merged_batch(args);
  if (!c || c->is_transposed || outer_calls(args, run) > kMostCalls * 16) {
    cuda::run_plain_gemm(args);
    return;
  }
  const bool is_fused = is_epilogue_fused(args);
  if (!run_batches(args, run, *a, *b, c->leading, is_fused)) {
    cuda::run_plain_gemm(args);
    return;
  }
  if (!is_fused && has_epilogue(args)) cuda::run_gemm_epilogue(args);
}

void gemm(const GemmArgs& args) {
  if (args.m == 0 || args.n == 0 || args.batch.numel() == 0) return;
  if (args.k == 0 || !is_floating_point(args.dtype)) {
    cuda::run_plain_gemm(args);
  } else {
    run_float(args);
  }
}

}  // namespace

MatmulKernels matmul_kernels_cuda() {
  return {.gemm = gemm,
          .dot = cuda::run_dot,
          .fuses = cuda::has_fused_gemm,
          .fused_gemm = cuda::run_fused_gemm};
}

}  // namespace taut::kernels
