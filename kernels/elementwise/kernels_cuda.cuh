#pragma once
// The CUDA kernels that every functor is built into.
//
// Note [Four kernels for a functor]
// flat: all operands contiguous, in float32 or one 16-bit float, 16 bytes of each to a thread or,
//   of one or two 16-bit operands, twice as many. What nearly all calls are, and the one whose
//   launch costs least.
// packed: any layout whose innermost dim is contiguous or broadcast in every operand, and a mix of
//   dtypes; 4 elements to a thread, so that the index is found once for all of them.
// element: any strides, one element to a thread.
// What computes in float32 has all of them, 32-bit and 8-bit integers the last two, the rest the
// last: a coalesced access of 8 bytes a thread needs no packs. Operands of a dtype that these
// kernels do not read are converted before: see kernels/elementwise/pointwise_cuda.cu.

#include <cstdint>

#include "kernels/api/fast_index.cuh"
#include "kernels/api/packs.cuh"
#include "kernels/elementwise/body_cuda.cuh"

namespace taut::kernels::cuda {

/// How the elements of an operand lie in memory, as a kernel that computes in T reads them.
enum class Stored : uint8_t {
  same,      // T
  half,      // float16, T is float
  bfloat16,  // T is float
  byte,      // uint8 or bool
};

constexpr int kMaxInputs = 4;  // a gradient and three of a, b, c and y

/// Where an input comes from: memory, or a number that the host knows.
union Source {
  const void* data;
  unsigned char number[8];
};

enum class Feed : uint8_t {
  elements,  // one for each element of the result
  scalar,    // one in device memory, for all
  number,    // one in the arguments, for all
};

struct FlatParams {
  void* out;
  Source in[kMaxInputs];
  int64_t n;
  Feed feeds[kMaxInputs];
  Stored stored[kMaxInputs];
  Stored out_stored;
};

struct StridedParams {
  void* out;
  Source in[kMaxInputs];
  Feed feeds[kMaxInputs];  // never scalar: its strides are 0
  Stored stored[1 + kMaxInputs];
  uint8_t inner_steps;  // packed only: bit k where operand k steps along the innermost dim
  uint32_t items;       // packs or elements
  FastIndex<1 + kMaxInputs> index;
};

template <class T>
__device__ inline T load_stored(const void* data, Stored stored, int64_t i) {
  if constexpr (std::is_same_v<T, float>) {
    if (stored == Stored::half) return __half2float(static_cast<const __half*>(data)[i]);
    if (stored == Stored::bfloat16)
      return __bfloat162float(static_cast<const __nv_bfloat16*>(data)[i]);
  }
  if constexpr (!std::is_same_v<T, uint8_t>) {
    if (stored == Stored::byte) return static_cast<T>(static_cast<const uint8_t*>(data)[i]);
  }
  return static_cast<const T*>(data)[i];
}

template <class B, class T>
__device__ inline void store_stored(void* data, Stored stored, int64_t i, T value) {
  if constexpr (B::gives_bool) {
    static_cast<bool*>(data)[i] = value != T(0);
  } else if (std::is_same_v<T, float> && stored == Stored::half) {
    static_cast<__half*>(data)[i] = __float2half(static_cast<float>(value));
  } else if (std::is_same_v<T, float> && stored == Stored::bfloat16) {
    static_cast<__nv_bfloat16*>(data)[i] = __float2bfloat16(static_cast<float>(value));
  } else {
    static_cast<T*>(data)[i] = value;
  }
}

template <class T>
__device__ inline T number_of(const Source& source) {
  return *reinterpret_cast<const T*>(source.number);
}

template <class T, int kCount, class From>
__device__ inline void load_converted(const From* from, T (&x)[kCount]) {
  const Pack<From, kCount> pack = load_pack<kCount>(from);
#pragma unroll
  for (int e = 0; e < kCount; ++e) x[e] = static_cast<T>(widen(pack.values[e]));
}

template <class T, int kCount>
__device__ inline void load_packed(const void* data, Stored stored, int64_t i, T (&x)[kCount]) {
  if constexpr (std::is_same_v<T, float>) {
    if (stored == Stored::half) return load_converted(static_cast<const __half*>(data) + i, x);
    if (stored == Stored::bfloat16)
      return load_converted(static_cast<const __nv_bfloat16*>(data) + i, x);
  }
  if constexpr (!std::is_same_v<T, uint8_t>) {
    if (stored == Stored::byte) return load_converted(static_cast<const uint8_t*>(data) + i, x);
  }
  load_converted(static_cast<const T*>(data) + i, x);
}

template <class To, class T, int kCount>
__device__ inline void store_converted(To* to, const T (&y)[kCount]) {
  Pack<To, kCount> pack;
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    if constexpr (std::is_same_v<To, bool>) {
      pack.values[e] = y[e] != T(0);
    } else {
      pack.values[e] = narrow<To>(y[e]);
    }
  }
  store_pack<kCount>(to, pack);
}

template <class B, class T, int kCount>
__device__ inline void store_packed(void* data, Stored stored, int64_t i, const T (&y)[kCount]) {
  if constexpr (B::gives_bool) {
    store_converted(static_cast<bool*>(data) + i, y);
  } else {
    if constexpr (std::is_same_v<T, float>) {
      if (stored == Stored::half) return store_converted(static_cast<__half*>(data) + i, y);
      if (stored == Stored::bfloat16)
        return store_converted(static_cast<__nv_bfloat16*>(data) + i, y);
    }
    store_converted(static_cast<T*>(data) + i, y);
  }
}

/// body of kCount elements at a time: y[e] = body(x[0][e], x[1][e], ...).
template <class B, class T, int kCount>
__device__ inline void apply(const B& body, const T (&x)[B::operands()][kCount], T (&y)[kCount]) {
#pragma unroll
  for (int e = 0; e < kCount; ++e) {
    T operands[B::operands()];
#pragma unroll
    for (int k = 0; k < B::operands(); ++k) operands[k] = x[k][e];
    y[e] = static_cast<T>(body(operands));
  }
}

template <class T, int kCount>
__device__ inline void repeat(T value, T (&x)[kCount]) {
#pragma unroll
  for (int e = 0; e < kCount; ++e) x[e] = value;
}

/// Elements of a pack of 16 bytes, and packs that a thread of the flat kernel takes: two where a
/// pack holds so many elements that computing would keep memory waiting, if registers last.
constexpr int flat_count(bool is_wide) { return is_wide ? 4 : 8; }
constexpr int flat_packs(bool is_wide, int operands) { return !is_wide && operands <= 2 ? 2 : 1; }

/// What the flat kernel has loaded of an operand before it computes: packs as they lie in memory,
/// since to convert one is to wait for it, or the value of all elements.
template <int kPacks>
struct FlatOperand {
  uint4 packs[kPacks];
  float value;
};

template <int kCount>
__device__ inline void unpack(const uint4& pack, Stored stored, float (&x)[kCount]) {
  if constexpr (kCount == 4) {
    widen_words<float>(pack, x);
  } else if (stored == Stored::half) {
    widen_words<__half>(pack, x);
  } else {
    widen_words<__nv_bfloat16>(pack, x);
  }
}

// Elements of contiguous operands that are stored as float where kWide, as a 16-bit float where
// not. What is left behind the last whole pack goes to threads of the last block, an element each.
template <class B, bool kWide>
__global__ void __launch_bounds__(kThreads)
    flat_kernel(const B body, const __grid_constant__ FlatParams params) {
  wait_for_stream();
  constexpr int kOperands = B::operands();
  constexpr int kCount = flat_count(kWide);
  constexpr int kPacks = flat_packs(kWide, kOperands);
  const int64_t packs = params.n / kCount;
  const int64_t first = int64_t{blockIdx.x} * (kThreads * kPacks) + threadIdx.x;
  FlatOperand<kPacks> in[kOperands];
#pragma unroll
  for (int k = 0; k < kOperands; ++k) {
    const void* data = params.in[k].data;
    if (params.feeds[k] == Feed::elements) {
#pragma unroll
      for (int p = 0; p < kPacks; ++p) {
        const int64_t at = first + p * kThreads;
        if (at < packs) in[k].packs[p] = static_cast<const uint4*>(data)[at];
      }
    } else {
      in[k].value = params.feeds[k] == Feed::number ? number_of<float>(params.in[k])
                                                    : load_stored<float>(data, params.stored[k], 0);
    }
  }
  const Stored out_stored = kWide ? Stored::same : params.out_stored;
#pragma unroll
  for (int p = 0; p < kPacks; ++p) {
    const int64_t at = first + p * kThreads;
    if (at >= packs) break;
    float x[kOperands][kCount];
#pragma unroll
    for (int k = 0; k < kOperands; ++k) {
      if (params.feeds[k] == Feed::elements) {
        unpack(in[k].packs[p], params.stored[k], x[k]);
      } else {
        repeat(in[k].value, x[k]);
      }
    }
    float y[kCount];
    apply(body, x, y);
    store_packed<B>(params.out, out_stored, at * kCount, y);
  }

  const int64_t i = packs * kCount + threadIdx.x;
  if (blockIdx.x != gridDim.x - 1 || i >= params.n) return;
  float x[kOperands];
#pragma unroll
  for (int k = 0; k < kOperands; ++k) {
    x[k] = params.feeds[k] != Feed::elements
               ? in[k].value
               : load_stored<float>(params.in[k].data, kWide ? Stored::same : params.stored[k], i);
  }
  store_stored<B>(params.out, out_stored, i, static_cast<float>(body(x)));
}

template <class B, class T, int kCount>
__global__ void __launch_bounds__(kThreads)
    packed_kernel(const B body, const __grid_constant__ StridedParams params) {
  wait_for_stream();
  constexpr int kOperands = B::operands();
  const uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= params.items) return;
  int64_t at[1 + kOperands];
  params.index.locate(item, at);
  T x[kOperands][kCount];
#pragma unroll
  for (int k = 0; k < kOperands; ++k) {
    const void* data = params.in[k].data;
    if (params.feeds[k] == Feed::number) {
      repeat(number_of<T>(params.in[k]), x[k]);
    } else if ((params.inner_steps >> (k + 1) & 1) == 0) {
      repeat(load_stored<T>(data, params.stored[k + 1], at[k + 1]), x[k]);
    } else {
      load_packed(data, params.stored[k + 1], at[k + 1], x[k]);
    }
  }
  T y[kCount];
  apply(body, x, y);
  store_packed<B>(params.out, params.stored[0], at[0], y);
}

template <class B, class T>
__global__ void __launch_bounds__(kThreads)
    element_kernel(const B body, const __grid_constant__ StridedParams params) {
  wait_for_stream();
  constexpr int kOperands = B::operands();
  const uint32_t item = blockIdx.x * kThreads + threadIdx.x;
  if (item >= params.items) return;
  int64_t at[1 + kOperands];
  params.index.locate(item, at);
  T x[kOperands];
#pragma unroll
  for (int k = 0; k < kOperands; ++k) {
    x[k] = params.feeds[k] == Feed::number
               ? number_of<T>(params.in[k])
               : load_stored<T>(params.in[k].data, params.stored[k + 1], at[k + 1]);
  }
  store_stored<B>(params.out, params.stored[0], at[0], static_cast<T>(body(x)));
}

}  // namespace taut::kernels::cuda
