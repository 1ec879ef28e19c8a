// What generated kernels are made of: elements of memory, packs of them, and sums over the threads
// of a team. It is text for NVRTC, and for a compiler of the host in the tests, which emulates a
// block of threads.

namespace taut::kernels {

template <class V>
TAUT_HD inline V lit(double value) {
  if constexpr (std::is_integral_v<V> && !std::is_same_v<V, bool>) {
    // By way of a signed integer: a GPU makes 0 of a negative number that becomes unsigned.
    return static_cast<V>(static_cast<int64_t>(value));
  } else {
    return static_cast<V>(value);
  }
}

namespace fusion {

/// The functor with these parameters.
template <class F>
__device__ inline F make_functor(double a, double b, double c, double d) {
  if constexpr (requires(const double* all) { F::from(all); }) {
    const double parameters[] = {a, b, c, d};
    return F::from(parameters);
  } else {
    return F{};
  }
}

// Elements
// -----------------------------------------------------------------------------------------

struct float16 {
  uint16_t bits;
};
struct bfloat16 {
  uint16_t bits;
};

template <class To, class From>
__device__ inline To bits_as(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(to));
  return to;
}

__device__ inline float widen(bfloat16 x) { return bits_as<float>(uint32_t{x.bits} << 16); }
__device__ inline float widen(float16 x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(x.bits));
  return result;
#else
  return static_cast<float>(bits_as<_Float16>(x.bits));
#endif
}
template <class T>
__device__ inline T widen(T x) {
  return x;
}

/// A value as an element of memory, rounded to the nearest, ties to even.
template <class To>
struct Narrow {
  template <class From>
  __device__ static To of(From x) {
    if constexpr (std::is_same_v<To, bool>) {
      return x != From(0);
    } else {
      return static_cast<To>(x);
    }
  }
};
template <>
struct Narrow<bfloat16> {
  __device__ static bfloat16 of(float x) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    bfloat16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
#else
    const uint32_t bits = bits_as<uint32_t>(x);
    if (x != x) return {static_cast<uint16_t>(bits >> 16 | 0x40u)};
    return {static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16)};
#endif
  }
};
template <>
struct Narrow<float16> {
  __device__ static float16 of(float x) {
#if defined(__CUDA_ARCH__)
    float16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(x));
    return result;
#else
    return {bits_as<uint16_t>(static_cast<_Float16>(x))};
#endif
  }
};
/// From any number, by way of float for 16-bit floats.
template <class To, class From>
__device__ inline To narrow(From x) {
  if constexpr (std::is_same_v<To, float16> || std::is_same_v<To, bfloat16>) {
    return Narrow<To>::of(static_cast<float>(x));
  } else {
    return Narrow<To>::of(x);
  }
}

/// kCount neighbours, loaded and stored at once.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount < 16 ? sizeof(T) * kCount : 16) Pack {
  T values[kCount];
};

template <int kCount, class T>
__device__ inline Pack<T, kCount> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T, kCount>*>(from);
}
template <int kCount, class T>
__device__ inline void store_pack(T* to, const Pack<T, kCount>& pack) {
  *reinterpret_cast<Pack<T, kCount>*>(to) = pack;
}

// Rows in shared memory
// -------------------------------------------------------------------------------

/// The dynamic shared memory of the block.
__device__ inline char* staging() {
#if defined(__CUDA_ARCH__)
  extern __shared__ Pack<uint32_t, 4> memory[];
#else
  static Pack<uint32_t, 4> memory[4096];
#endif
  return reinterpret_cast<char*>(memory);
}

/// Begins to copy a pack of 4, 8 or a multiple of 16 bytes to shared memory.
template <class T, int kCount>
__device__ inline void copy_ahead(Pack<T, kCount>* to, const T* from) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  constexpr int kBytes = sizeof(Pack<T, kCount>);
  const auto place = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (kBytes < 16) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(place), "l"(from), "n"(kBytes)
                 : "memory");
  } else {
#pragma unroll
    for (int i = 0; i < kBytes; i += 16) {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(place + i),
                   "l"(reinterpret_cast<const char*>(from) + i)
                   : "memory");
    }
  }
#else
  *to = load_pack<kCount>(from);
#endif
}
/// The copies since the last call are one row.
__device__ inline void end_row() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
/// Until the thread's copies of all rows but the last are done.
__device__ inline void wait_for_row() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group 1;" ::: "memory");
#endif
}

/// kCount values as they are.
template <int kCount, class T>
__device__ inline void store_values(T* to, const T* from) {
  Pack<T, kCount> pack;
#pragma unroll
  for (int e = 0; e < kCount; ++e) pack.values[e] = from[e];
  store_pack(to, pack);
}
/// The same, combined with what is there unless it is the first.
template <class Combine, int kCount, class T>
__device__ inline void combine_values(T* to, const T* from, bool is_first) {
  if (is_first) return store_values<kCount>(to, from);
  Pack<T, kCount> pack = load_pack<kCount>(static_cast<const T*>(to));
#pragma unroll
  for (int e = 0; e < kCount; ++e) pack.values[e] = Combine::of(pack.values[e], from[e]);
  store_pack(to, pack);
}

/// The pack of kCount values.
template <class To, class From, int kCount>
__device__ inline Pack<To, kCount> narrow_all(const From (&x)[kCount]) {
  Pack<To, kCount> pack;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  // Two at a time, in one instruction.
  if constexpr (kCount % 2 == 0 && std::is_same_v<From, float> &&
                (std::is_same_v<To, bfloat16> || std::is_same_v<To, float16>)) {
    uint32_t words[kCount / 2];
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      if constexpr (std::is_same_v<To, bfloat16>) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(words[i]) : "f"(x[2 * i + 1]), "f"(x[2 * i]));
      } else {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(words[i]) : "f"(x[2 * i + 1]), "f"(x[2 * i]));
      }
    }
    memcpy(&pack, words, sizeof(pack));
    return pack;
  }
#endif
#pragma unroll
  for (int e = 0; e < kCount; ++e) pack.values[e] = narrow<To>(x[e]);
  return pack;
}

// Reductions
// ---------------------------------------------------------------------------------------

template <class T>
__device__ inline T lowest() {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(-std::numeric_limits<double>::infinity());
  } else if constexpr (std::is_unsigned_v<T>) {
    return T(0);
  } else {
    return static_cast<T>(uint64_t{1} << (8 * sizeof(T) - 1));
  }
}
template <class T>
__device__ inline T highest() {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(std::numeric_limits<double>::infinity());
  } else {
    return static_cast<T>(~lowest<T>());
  }
}

struct Sum {
  template <class T>
  __device__ static T of(T a, T b) {
    return static_cast<T>(a + b);
  }
  template <class T>
  __device__ static T identity() {
    return T(0);
  }
};
struct Max {
  template <class T>
  __device__ static T of(T a, T b) {
    return maximum(a, b);
  }
  template <class T>
  __device__ static T identity() {
    return lowest<T>();
  }
};
struct Min {
  template <class T>
  __device__ static T of(T a, T b) {
    return minimum(a, b);
  }
  template <class T>
  __device__ static T identity() {
    return highest<T>();
  }
};

/// The shared memory of a block as numbers of another type.
template <class T>
__device__ inline T* room_of(double* room) {
  return reinterpret_cast<T*>(room);
}

template <class Combine, class T>
__device__ inline T reduce_warp(T x) {
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    x = Combine::of(x, __shfl_xor_sync(0xffffffffu, x, step));
  }
  return x;
}

/// What each warp has together is left in `room`, which has a place for each; after a barrier
/// gather_team reads it.
template <class Combine, class T>
__device__ inline void leave_warp(T x, T* room) {
  x = reduce_warp<Combine>(x);
  if (threadIdx.x % 32 == 0) room[threadIdx.x / 32] = x;
}
/// One value of all the kThreads of the block, the same bits in each of them.
template <class Combine, int kThreads, class T>
__device__ inline T gather_team(const T* room) {
  constexpr int kWarps = kThreads / 32;
  if constexpr ((kWarps & (kWarps - 1)) != 0) {
    const int lane = static_cast<int>(threadIdx.x % 32);
    return reduce_warp<Combine>(lane < kWarps ? room[lane] : Combine::template identity<T>());
  }
  T x = room[threadIdx.x % kWarps];
  // kWarps values, repeated over the warp.
#pragma unroll
  for (int step = kWarps / 2; step > 0; step /= 2) {
    x = Combine::of(x, __shfl_xor_sync(0xffffffffu, x, step));
  }
  return x;
}

/// Of a block of kColumns x kLanes threads, what the lanes of a thread's column have together.
template <class Combine, int kColumns, int kLanes, class T>
__device__ inline T combine_lanes(T x, T* room) {
  room[threadIdx.x] = x;
  __syncthreads();
#pragma unroll
  for (int step = kLanes / 2; step > 0; step /= 2) {
    if (threadIdx.x < kColumns * step) {
      room[threadIdx.x] = Combine::of(room[threadIdx.x], room[threadIdx.x + kColumns * step]);
    }
    __syncthreads();
  }
  const T all = room[threadIdx.x % kColumns];
  __syncthreads();
  return all;
}

}  // namespace fusion
}  // namespace taut::kernels
