// Strided copies, fills and ranges on CUDA.

#include "kernels/api/copy.h"
#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/strided_loop.h"

namespace taut::kernels {
namespace {

using cuda::StridedIndex;

// Integers pass through int64 and floats through double, so that no value of either is lost.
template <class Through>
__global__ void copy_strided_kernel(void* target, DType target_dtype, const void* source,
                                    DType source_dtype, StridedIndex<2> index, int64_t n) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t at[2];
    index.offsets(i, at);
    cuda::store_as(target, target_dtype, at[0],
                   cuda::load_as<Through>(source, source_dtype, at[1]));
  }
}

template <class Through>
__global__ void fill_strided_kernel(void* target, DType dtype, Through value, StridedIndex<1> index,
                                    int64_t n) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t at[1];
    index.offsets(i, at);
    cuda::store_as(target, dtype, at[0], value);
  }
}

template <class Through>
__global__ void arange_kernel(void* target, DType dtype, Through start, Through step_by,
                              int64_t n) {
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    cuda::store_as(target, dtype, i,
                   static_cast<Through>(start + static_cast<Through>(i) * step_by));
  }
}

template <int kOperands>
StridedIndex<kOperands> make_index(const Dims& shape, const Dims* const (&strides)[kOperands]) {
  StridedIndex<kOperands> index;
  index.rank = shape.rank();
  for (int i = 0; i < shape.rank(); ++i) {
    index.shape[i] = shape[i];
    for (int k = 0; k < kOperands; ++k) index.strides[k][i] = (*strides[k])[i];
  }
  return index;
}

void copy(const CopyArgs& given) {
  CopyArgs args = given;
  StridedLoop loop{args.shape, {&args.target_strides, &args.source_strides}, 2};
  simplify(loop);
  const int64_t n = loop.shape.numel();
  if (n == 0) return;
  const cudaStream_t stream = cuda::stream();
  const bool flat =
      loop.shape.rank() == 0 ||
      (loop.shape.rank() == 1 && args.target_strides[0] == 1 && args.source_strides[0] == 1);
  if (flat && args.target_dtype == args.source_dtype) {
    const cudaError_t status = cudaMemcpyAsync(
        args.target, args.source, static_cast<size_t>(n) * item_size(args.target_dtype),
        cudaMemcpyDeviceToDevice, stream);
    TAUT_CHECK(status == cudaSuccess, CudaError, "copy: ", cudaGetErrorString(status));
    return;
  }
  const StridedIndex<2> index =
      make_index<2>(loop.shape, {&args.target_strides, &args.source_strides});
  const unsigned blocks = cuda::blocks_for(n);
  if (is_floating_point(args.source_dtype)) {
    copy_strided_kernel<double><<<blocks, cuda::kThreads, 0, stream>>>(
        args.target, args.target_dtype, args.source, args.source_dtype, index, n);
  } else {
    copy_strided_kernel<int64_t><<<blocks, cuda::kThreads, 0, stream>>>(
        args.target, args.target_dtype, args.source, args.source_dtype, index, n);
  }
  cuda::check_launch("copy");
}

void fill(const FillArgs& args) {
  Dims strides = args.strides;
  StridedLoop loop{args.shape, {&strides}, 1};
  simplify(loop);
  const int64_t n = loop.shape.numel();
  if (n == 0) return;
  const StridedIndex<1> index = make_index<1>(loop.shape, {&strides});
  const unsigned blocks = cuda::blocks_for(n);
  const cudaStream_t stream = cuda::stream();
  if (is_floating_point(args.dtype)) {
    fill_strided_kernel<double><<<blocks, cuda::kThreads, 0, stream>>>(
        args.target, args.dtype, args.value.to_double(), index, n);
  } else {
    const int64_t value =
        args.dtype == DType::bool_ ? (args.value.to_bool() ? 1 : 0) : args.value.to_int64();
    fill_strided_kernel<int64_t>
        <<<blocks, cuda::kThreads, 0, stream>>>(args.target, args.dtype, value, index, n);
  }
  cuda::check_launch("fill");
}

void arange(const ArangeArgs& args) {
  if (args.n == 0) return;
  const unsigned blocks = cuda::blocks_for(args.n);
  const cudaStream_t stream = cuda::stream();
  if (is_floating_point(args.dtype)) {
    arange_kernel<double><<<blocks, cuda::kThreads, 0, stream>>>(
        args.target, args.dtype, args.start.to_double(), args.step.to_double(), args.n);
  } else {
    arange_kernel<int64_t><<<blocks, cuda::kThreads, 0, stream>>>(
        args.target, args.dtype, args.start.to_int64(), args.step.to_int64(), args.n);
  }
  cuda::check_launch("arange");
}

}  // namespace

CopyKernels copy_kernels_cuda() { return {.copy = copy, .fill = fill, .arange = arange}; }

}  // namespace taut::kernels
