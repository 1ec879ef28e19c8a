#pragma once
// Gated activations: y = f(gate) up, and both gradients, each in one pass over memory. Shazeer, GLU
// Variants Improve Transformer, 2020.
//   kernels.forward({.gate = x, .up = x + n, .output = y, .rows = 64, .cols = n,
//                    .gate_stride = 2 * n, .up_stride = 2 * n});

#include <cstdint>

#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

enum class Gate : uint8_t { silu, gelu, gelu_tanh };

/// Rows of contiguous elements; strides are between rows, in elements, so that gate and up may be
/// halves of one tensor.
struct GatedArgs {
  const void* gate = nullptr;  // (rows, cols), dtype
  const void* up = nullptr;    // (rows, cols), dtype
  void* output = nullptr;      // (rows, cols) contiguous, dtype
  DType dtype = kFloat32;
  Gate activation = Gate::silu;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t gate_stride = 0;
  int64_t up_stride = 0;
};

/// grad_gate = grad up f'(gate),  grad_up = grad f(gate).
struct GatedBackwardArgs {
  const void* grad_output = nullptr;  // (rows, cols) contiguous, dtype
  const void* gate = nullptr;
  const void* up = nullptr;
  void* grad_gate = nullptr;  // (rows, cols), dtype
  void* grad_up = nullptr;
  DType dtype = kFloat32;
  Gate activation = Gate::silu;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t gate_stride = 0;
  int64_t up_stride = 0;
  int64_t grad_gate_stride = 0;
  int64_t grad_up_stride = 0;
};

/// Floating dtypes; the 16-bit ones are computed in float32.
struct GatedKernels {
  void (*forward)(const GatedArgs&) = nullptr;
  void (*backward)(const GatedBackwardArgs&) = nullptr;
};

/// The kernels for this machine's best instruction set.
TAUT_API GatedKernels gated_kernels_cpu();
TAUT_API GatedKernels gated_kernels_cuda();

}  // namespace taut::kernels
