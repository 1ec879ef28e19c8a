#pragma once
// What every CUDA kernel file shares: the stream, grid sizes, the check after a launch, number
// types, loads and stores by dtype, and reports of indices out of range.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "kernels/api/visit_dtype.h"
#include "src/core/cuda/launch_context.h"
#include "taut/base/check.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels::cuda {

constexpr int kThreads = 256;
constexpr int64_t kMaxBlocks = int64_t{1} << 20;

/// Blocks that give each thread `per_thread` of n elements; grid-stride loops take what is left.
inline unsigned blocks_for(int64_t n, int64_t per_thread = 1) {
  const int64_t per_block = kThreads * per_thread;
  const int64_t blocks = (n + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
}

/// What kernels are launched on: see Note [Ambient stream].
inline cudaStream_t stream() { return static_cast<cudaStream_t>(taut::cuda::launch_stream()); }

/// @throws CudaError that names the op and the call that failed.
inline void check(const char* op, cudaError_t status) {
  TAUT_CHECK(status == cudaSuccess, CudaError, op, ": ", cudaGetErrorString(status));
}

using taut::cuda::check_launch;

/// Multiprocessors of the current device: what a grid that fills the chip is counted in.
inline int multiprocessors() {
  static int counts[64] = {};
  const int device = taut::cuda::launch_device();
  if (counts[device] == 0) {
    check("cuda", cudaDeviceGetAttribute(&counts[device], cudaDevAttrMultiProcessorCount, device));
  }
  return counts[device];
}

// Note [Overlapped launches]
// To start a kernel costs a GPU about as much as a small one computes. From Hopper on that is
// hidden behind the end of the kernel before it on the stream: launch_kernel() lets the GPU start
// thread blocks while the last ones of the kernel before still run ("programmatic dependent
// launch", CUDA C++ Programming Guide). So every kernel begins with wait_for_stream(), which
// returns when all earlier work is done and written. A kernel without it would read and write too
// early, and so might those after it, which is why a lint looks at every kernel.

/// Waits for what the stream held before. The first statement of every kernel.
__device__ inline void wait_for_stream() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

struct LaunchShape {
  dim3 grid;   // in blocks
  dim3 block;  // in threads
  size_t shared_bytes = 0;
};

/// Puts a kernel on the stream; check_launch() tells whether that went well.
inline void launch_kernel_with(const void* kernel, const LaunchShape& shape, void** arguments) {
  taut::cuda::launch(kernel, {shape.grid.x, shape.grid.y, shape.grid.z},
                     {shape.block.x, shape.block.y, shape.block.z}, shape.shared_bytes, arguments);
}

template <class... Parameters>
void launch_kernel(void (*kernel)(Parameters...), const LaunchShape& shape,
                   std::type_identity_t<Parameters>... arguments) {
  void* addresses[] = {&arguments...};
  launch_kernel_with(reinterpret_cast<const void*>(kernel), shape, addresses);
}

/// How a kernel tells of an index that is out of range; see Note [Index faults]. The op's name must
/// never go away.
struct FaultReport {
  taut::cuda::IndexFaultSlot slot;
  const char* op;

  explicit FaultReport(const char* name) : slot(taut::cuda::index_fault()), op(name) {}

  __device__ void operator()(int64_t index, int64_t size, int64_t position, int operand = 0) const {
    write({.op = op, .index = index, .size = size, .position = position, .operand = operand});
  }

  /// Writes a report unless another thread has.
  __device__ void write(const taut::cuda::IndexFault& found) const {
    if (atomicExch(slot.claimed, 1u) != 0u) return;
    taut::cuda::IndexFault* report = slot.report;
    report->op = found.op;
    report->expected = found.expected;
    report->index = found.index;
    report->size = found.size;
    report->position = found.position;
    report->operand = found.operand;
    report->value = found.value;
    __threadfence_system();
    *static_cast<volatile unsigned int*>(&report->complete) = 1u;
  }
};

/// The C++ type of a dtype in CUDA kernels: __half and __nv_bfloat16 for the 16-bit floats.
template <DType dtype>
struct CudaType;
template <>
struct CudaType<DType::float32> {
  using type = float;
};
template <>
struct CudaType<DType::float64> {
  using type = double;
};
template <>
struct CudaType<DType::float16> {
  using type = __half;
};
template <>
struct CudaType<DType::bfloat16> {
  using type = __nv_bfloat16;
};
template <>
struct CudaType<DType::int8> {
  using type = int8_t;
};
template <>
struct CudaType<DType::int16> {
  using type = int16_t;
};
template <>
struct CudaType<DType::int32> {
  using type = int32_t;
};
template <>
struct CudaType<DType::int64> {
  using type = int64_t;
};
template <>
struct CudaType<DType::uint8> {
  using type = uint8_t;
};
template <>
struct CudaType<DType::bool_> {
  using type = bool;
};

/// What a T is computed in: float for the 16-bit floats, T otherwise.
template <class T>
struct ComputeType {
  using type = T;
};
template <>
struct ComputeType<__half> {
  using type = float;
};
template <>
struct ComputeType<__nv_bfloat16> {
  using type = float;
};
template <class T>
using Compute = typename ComputeType<T>::type;

template <class T>
__host__ __device__ inline Compute<T> widen(T value) {
  return value;
}
__host__ __device__ inline float widen(__half value) { return __half2float(value); }
__host__ __device__ inline float widen(__nv_bfloat16 value) { return __bfloat162float(value); }

/// Rounds to nearest, ties to even.
template <class T>
__host__ __device__ inline T narrow(Compute<T> value) {
  if constexpr (std::is_same_v<T, __half>) {
    return __float2half(value);
  } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __float2bfloat16(value);
  } else {
    return value;
  }
}

/// A C++ type as a value: `using T = typename decltype(tag)::type`.
template <class T>
struct TypeTag {
  using type = T;
};

/// Refuses a dtype that is not in a set, in the words of the CPU's kernels.
template <class Types>
void refuse_dtype(Types expected, const char* op, DType dtype) {
  visit_dtype(expected, dtype, op, [](auto) {});
}

/// Calls body(TypeTag<T>) with the CUDA type of a floating dtype.
/// @throws NotImplementedError for others.
template <class Body>
void visit_floating(const char* op, DType dtype, const Body& body) {
  switch (dtype) {
    case DType::float32: return body(TypeTag<float>{});
    case DType::float64: return body(TypeTag<double>{});
    case DType::float16: return body(TypeTag<__half>{});
    case DType::bfloat16: return body(TypeTag<__nv_bfloat16>{});
    default: refuse_dtype(Floating{}, op, dtype);
  }
}

/// Calls body(TypeTag<T>) with the CUDA type of any dtype but bool.
/// @throws NotImplementedError for bool.
template <class Body>
void visit_numeric(const char* op, DType dtype, const Body& body) {
  switch (dtype) {
    case DType::int8: return body(TypeTag<int8_t>{});
    case DType::int16: return body(TypeTag<int16_t>{});
    case DType::int32: return body(TypeTag<int32_t>{});
    case DType::int64: return body(TypeTag<int64_t>{});
    case DType::uint8: return body(TypeTag<uint8_t>{});
    case DType::bool_: refuse_dtype(Arithmetic{}, op, dtype); break;
    default: visit_floating(op, dtype, body);
  }
}

/// Calls body(TypeTag<T>) with the CUDA type of any dtype.
template <class Body>
void visit_all(const char* op, DType dtype, const Body& body) {
  if (dtype == DType::bool_) return body(TypeTag<bool>{});
  visit_numeric(op, dtype, body);
}

/// Calls body(TypeTag<T>) with an unsigned integer as wide as the dtype: for kernels that only move
/// elements, which need not be built for each dtype.
template <class Body>
void visit_width(DType dtype, const Body& body) {
  switch (item_size(dtype)) {
    case 1: return body(TypeTag<uint8_t>{});
    case 2: return body(TypeTag<uint16_t>{});
    case 4: return body(TypeTag<uint32_t>{});
    default: return body(TypeTag<uint64_t>{});
  }
}

/// Sizes and strides of a kernel's operands, by value.
template <int kOperands>
struct StridedIndex {
  int rank;
  int64_t shape[kMaxRank];
  int64_t strides[kOperands][kMaxRank];

  __device__ void offsets(int64_t position, int64_t (&result)[kOperands]) const {
    for (int k = 0; k < kOperands; ++k) result[k] = 0;
    for (int i = rank - 1; i >= 0; --i) {
      const int64_t index = position % shape[i];
      position /= shape[i];
      for (int k = 0; k < kOperands; ++k) result[k] += index * strides[k][i];
    }
  }
};

/// Element `i` of memory of `dtype`, as a T.
template <class T>
__device__ inline T load_as(const void* data, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::float32: return static_cast<T>(static_cast<const float*>(data)[i]);
    case DType::float64: return static_cast<T>(static_cast<const double*>(data)[i]);
    case DType::float16: return static_cast<T>(__half2float(static_cast<const __half*>(data)[i]));
    case DType::bfloat16:
      return static_cast<T>(__bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]));
    case DType::int8: return static_cast<T>(static_cast<const int8_t*>(data)[i]);
    case DType::int16: return static_cast<T>(static_cast<const int16_t*>(data)[i]);
    case DType::int32: return static_cast<T>(static_cast<const int32_t*>(data)[i]);
    case DType::int64: return static_cast<T>(static_cast<const int64_t*>(data)[i]);
    case DType::uint8: return static_cast<T>(static_cast<const uint8_t*>(data)[i]);
    case DType::bool_: return static_cast<T>(static_cast<const bool*>(data)[i]);
  }
  return T(0);
}

/// Writes a T to element `i` of memory of `dtype`.
template <class T>
__device__ inline void store_as(void* data, DType dtype, int64_t i, T value) {
  switch (dtype) {
    case DType::float32: static_cast<float*>(data)[i] = static_cast<float>(value); break;
    case DType::float64: static_cast<double*>(data)[i] = static_cast<double>(value); break;
    case DType::float16:
      static_cast<__half*>(data)[i] = __float2half(static_cast<float>(value));
      break;
    case DType::bfloat16:
      static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16(static_cast<float>(value));
      break;
    case DType::int8: static_cast<int8_t*>(data)[i] = static_cast<int8_t>(value); break;
    case DType::int16: static_cast<int16_t*>(data)[i] = static_cast<int16_t>(value); break;
    case DType::int32: static_cast<int32_t*>(data)[i] = static_cast<int32_t>(value); break;
    case DType::int64: static_cast<int64_t*>(data)[i] = static_cast<int64_t>(value); break;
    case DType::uint8: static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(value); break;
    case DType::bool_: static_cast<bool*>(data)[i] = value != T(0); break;
  }
}

}  // namespace taut::kernels::cuda
