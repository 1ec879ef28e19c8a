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

/// The two 16-bit floats of a word.
template <class T>
__device__ inline float2 widen_pair(uint32_t word) {
  if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return {__uint_as_float(word << 16), __uint_as_float(word & 0xffff0000u)};
  } else {
    __half2 pair;
    memcpy(&pair, &word, sizeof(word));
    return __half22float2(pair);
  }
}

/// kCount elements of T, as they lie in `words`, in the compute type. 16-bit floats by pairs: one
/// by one the compiler would split the words as soon as they are loaded, and wait for them there.
template <class T, class Words, int kCount>
__device__ inline void widen_words(const Words& words, Compute<T> (&values)[kCount]) {
  static_assert(sizeof(Words) == kCount * sizeof(T));
  if constexpr (sizeof(T) == 2 && std::is_same_v<Compute<T>, float> && kCount % 2 == 0) {
    uint32_t pairs[kCount / 2];
    memcpy(pairs, &words, sizeof(words));
#pragma unroll
    for (int i = 0; i < kCount / 2; ++i) {
      const float2 pair = widen_pair<T>(pairs[i]);
      values[2 * i] = pair.x;
      values[2 * i + 1] = pair.y;
    }
  } else {
    T elements[kCount];
    memcpy(elements, &words, sizeof(words));
#pragma unroll
    for (int i = 0; i < kCount; ++i) values[i] = widen(elements[i]);
  }
}

/// kCount elements from memory, in the compute type.
template <int kCount, class T>
__device__ inline void load_widened(const T* from, Compute<T> (&values)[kCount]) {
  widen_words<T>(load_pack<kCount>(from), values);
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
