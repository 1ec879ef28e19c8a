#pragma once
// The constants of functors in CUDA kernels; see Note [Functors].

#include "taut/base/macros.h"

// Functors ask whether numbers are negative, unsigned ones too.
#pragma nv_diag_suppress 186

namespace taut::kernels {
namespace {

template <class V>
TAUT_HD V lit(double value) {
  return static_cast<V>(value);
}

}  // namespace
}  // namespace taut::kernels
