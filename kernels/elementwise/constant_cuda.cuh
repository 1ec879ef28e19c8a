#pragma once
// The constants of functors in CUDA kernels; see Note [Functors].

#include <cstdint>
#include <type_traits>

#include "taut/base/macros.h"

// Functors ask whether numbers are negative, unsigned ones too.
#pragma nv_diag_suppress 186

namespace taut::kernels {
namespace {

template <class V>
TAUT_HD V lit(double value) {
  if constexpr (std::is_integral_v<V> && !std::is_same_v<V, bool>) {
    // By way of a signed integer: a GPU makes 0 of a negative number that becomes unsigned.
    return static_cast<V>(static_cast<int64_t>(value));
  } else {
    return static_cast<V>(value);
  }
}

}  // namespace
}  // namespace taut::kernels
