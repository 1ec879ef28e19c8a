#pragma once
// Several consecutive elements that a thread loads or stores as one access of up to 16 bytes.
//   const Pack<__half, 8> pack = load_pack<8>(x);   // x aligned to 16 bytes

#include "kernels/api/cuda_launch.cuh"

namespace taut::kernels::cuda {

/// The unsigned word that moves kBytes as one access.
template <int kBytes>
struct AccessWord;
template <>
struct AccessWord<1> {
  using type = uint8_t;
};
template <>
struct AccessWord<2> {
  using type = uint16_t;
};
template <>
struct AccessWord<4> {
  using type = uint32_t;
};
template <>
struct AccessWord<8> {
  using type = uint2;
};
template <>
struct AccessWord<16> {
  using type = uint4;
};

template <class T, int kCount>
struct Pack {
  static constexpr int kBytes = kCount * static_cast<int>(sizeof(T));
  static constexpr int kAccess = kBytes < 16 ? kBytes : 16;  // bytes; what memory is aligned to
  T values[kCount];
};

/// Elements of T in 16 bytes.
template <class T>
inline constexpr int kPackCount = 16 / static_cast<int>(sizeof(T));

template <int kCount, class T>
__device__ inline Pack<T, kCount> load_pack(const T* from) {
  using P = Pack<T, kCount>;
  using Word = typename AccessWord<P::kAccess>::type;
  constexpr int kWords = P::kBytes / P::kAccess;
  Word words[kWords];
#pragma unroll
  for (int i = 0; i < kWords; ++i) words[i] = reinterpret_cast<const Word*>(from)[i];
  P pack;
  memcpy(&pack, words, P::kBytes);
  return pack;
}

template <int kCount, class T>
__device__ inline void store_pack(T* to, const Pack<T, kCount>& pack) {
  using P = Pack<T, kCount>;
  using Word = typename AccessWord<P::kAccess>::type;
  constexpr int kWords = P::kBytes / P::kAccess;
  Word words[kWords];
  memcpy(words, &pack, P::kBytes);
#pragma unroll
  for (int i = 0; i < kWords; ++i) reinterpret_cast<Word*>(to)[i] = words[i];
}

/// kCount elements from memory, in the compute type.
template <int kCount, class T>
__device__ inline void load_widened(const T* from, Compute<T> (&values)[kCount]) {
  const Pack<T, kCount> pack = load_pack<kCount>(from);
#pragma unroll
  for (int i = 0; i < kCount; ++i) values[i] = widen(pack.values[i]);
}

template <int kCount, class T>
__device__ inline void store_narrowed(T* to, const Compute<T> (&values)[kCount]) {
  Pack<T, kCount> pack;
#pragma unroll
  for (int i = 0; i < kCount; ++i) pack.values[i] = narrow<T>(values[i]);
  store_pack<kCount>(to, pack);
}

/// Whether an address is a multiple of `bytes`, a power of two; null is.
inline bool is_aligned(const void* data, uintptr_t bytes = 16) {
  return (reinterpret_cast<uintptr_t>(data) & (bytes - 1)) == 0;
}

}  // namespace taut::kernels::cuda
