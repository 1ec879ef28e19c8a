#pragma once
// Rotary position embedding: pairs of numbers of each head are turned by angles that grow with the
// position. Su et al., RoFormer: Enhanced Transformer with Rotary Position Embedding, 2021.
//   kernels.rotate({.input = q, .output = y, .cos = cos, .sin = sin, ...});

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// Elements between neighbours; the last dim, a head's numbers, is contiguous.
struct HeadStrides {
  int64_t batch = 0;
  int64_t position = 0;
  int64_t head = 0;
};

/// With h = rotary_width / 2, the i-th of h pairs (a, b) is (x[i], x[i + h]), or (x[2 i], x[2 i +
/// 1]) where interleaved, and becomes (a c - b s, b c + a s), c = cos[position, i], s =
/// sin[position, i]
/// (-sin where inverse); the numbers from rotary_width on stay. `cos` and `sin` begin at the first
/// position.
struct RotaryArgs {
  const void* input = nullptr;  // (batch, positions, heads, width), dtype
  void* output = nullptr;       // the same; not the input
  const void* cos = nullptr;    // (positions, h) contiguous, compute dtype
  const void* sin = nullptr;
  DType dtype = kFloat32;
  int64_t batch = 0;
  int64_t positions = 0;
  int64_t heads = 0;
  int64_t width = 0;
  int64_t rotary_width = 0;  // even
  HeadStrides input_strides;
  HeadStrides output_strides;
  bool is_interleaved = false;
  bool is_inverse = false;
};

/// Floating dtypes; the 16-bit ones are computed in float32.
struct RotaryKernels {
  void (*rotate)(const RotaryArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API RotaryKernels rotary_kernels_cpu();
TAUT_API RotaryKernels rotary_kernels_cuda();

}  // namespace taut::kernels
