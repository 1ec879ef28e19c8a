#pragma once
// Numbers as unsigned integers of the same order, as sort_key.h has it for the CPU: NaN above all
// and one with the other, -0 as 0.

#include <cuda/std/limits>

#include "kernels/api/cuda_launch.cuh"

namespace taut::kernels::cuda {

template <class T>
using Key =
    std::conditional_t<sizeof(T) == 8, uint64_t,
                       std::conditional_t<sizeof(T) == 4, uint32_t,
                                          std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;

template <class K>
constexpr int kKeyBits = 8 * static_cast<int>(sizeof(K));
template <class K>
constexpr K kHighestKey = static_cast<K>(~K(0));

template <class T>
constexpr bool kHasNan = !std::is_integral_v<T>;

template <class T>
__device__ inline bool is_nan(T value) {
  if constexpr (kHasNan<T>) {
    const Compute<T> number = widen(value);
    return number != number;
  } else {
    return false;
  }
}

template <class T>
__device__ inline Key<T> key_of(T value) {
  using K = Key<T>;
  constexpr K kSign = static_cast<K>(K(1) << (kKeyBits<K> - 1));
  if constexpr (std::is_same_v<T, bool>) {
    return value ? 1 : 0;
  } else if constexpr (std::is_integral_v<T>) {
    return std::is_unsigned_v<T> ? static_cast<K>(value)
                                 : static_cast<K>(static_cast<K>(value) ^ kSign);
  } else {
    if (is_nan(value)) return kHighestKey<K>;
    K bits;
    memcpy(&bits, &value, sizeof(K));
    if (bits == kSign) return kSign;  // -0
    return static_cast<K>((bits & kSign) != 0 ? ~bits : bits | kSign);
  }
}

/// The key in the order wanted: complemented keys ascend where keys descend, and leave equal ones
/// in their order.
template <class T>
__device__ inline Key<T> key_of(T value, bool descending) {
  const Key<T> key = key_of(value);
  return descending ? static_cast<Key<T>>(~key) : key;
}

}  // namespace taut::kernels::cuda
