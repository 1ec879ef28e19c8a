#pragma once
// Numbers as unsigned integers of the same order: NaN above all and one with the other, -0 as 0.
// Sorting, selecting and searching compare these keys only.

#include <bit>
#include <cstdint>
#include <type_traits>

#include "kernels/api/visit_dtype.h"

namespace taut::kernels::sort_cpu {

template <class T>
using Key =
    std::conditional_t<sizeof(T) == 8, uint64_t,
                       std::conditional_t<sizeof(T) == 4, uint32_t,
                                          std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;

template <class T>
bool is_nan(T value) {
  if constexpr (std::is_integral_v<T>) {
    return false;
  } else {
    const compute_t<T> number = value;
    return number != number;
  }
}

template <class T>
Key<T> key_of(T value) {
  using K = Key<T>;
  constexpr K kSign = static_cast<K>(K(1) << (8 * sizeof(K) - 1));
  if constexpr (std::is_same_v<T, bool>) {
    return value ? 1 : 0;
  } else if constexpr (std::is_unsigned_v<T>) {
    return value;
  } else if constexpr (std::is_integral_v<T>) {
    return static_cast<K>(static_cast<K>(value) ^ kSign);
  } else {
    if (is_nan(value)) return static_cast<K>(~K(0));
    const K bits = std::bit_cast<K>(value);
    if (bits == kSign) return kSign;  // -0
    return static_cast<K>((bits & kSign) != 0 ? ~bits : bits | kSign);
  }
}

}  // namespace taut::kernels::sort_cpu
