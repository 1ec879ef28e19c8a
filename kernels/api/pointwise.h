#pragma once
// Elementwise kernels: one functor applied to corresponding elements of up to three inputs, or its
// derivative applied to a gradient and what the functor needs.

#include <cstdint>

#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// One entry for each functor of the lists.
enum class Pointwise : uint8_t {
#define TAUT_UNARY(name, Functor) Functor,
#define TAUT_ACTIVATION(name, Functor) Functor,
#define TAUT_PREDICATE(name, Functor) Functor,
#define TAUT_BINARY(name, Functor) Functor,
#define TAUT_COMPARE(name, Functor) Functor,
#define TAUT_PARAMETRIC(name, Functor) Functor,
#include "taut/ops/lists/activation.def"
#include "taut/ops/lists/arithmetic.def"
#include "taut/ops/lists/compare.def"
#include "taut/ops/lists/math.def"
#include "taut/ops/lists/parametric.def"
#include "taut/ops/lists/predicate.def"
#undef TAUT_UNARY
#undef TAUT_ACTIVATION
#undef TAUT_PREDICATE
#undef TAUT_BINARY
#undef TAUT_COMPARE
#undef TAUT_PARAMETRIC
  count,
};

inline constexpr int kPointwiseCount = static_cast<int>(Pointwise::count);
inline constexpr int kMaxPointwiseInputs = 3;
/// The result, the gradient, the inputs and the output of the forward.
inline constexpr int kMaxPointwiseOperands = 3 + kMaxPointwiseInputs;
inline constexpr int kMaxPointwiseParameters = 4;

/// A strided run of elements; strides are in elements and 0 along a broadcast dim.
struct PointwiseOperand {
  void* data;
  DType dtype;
  /// One element of dtype `compute` in host memory that stands for all; the strides are 0.
  bool is_number;
  Dims strides;
};

/// operands[0] is written, the others are read; all are seen with the same shape. Values are
/// converted to `compute` and the result from it to its dtype (comparisons compute in `compute` and
/// give bool). The result may be one of the inputs, element for element, but overlap none
/// otherwise.
///
/// derivative == 0: operands 1.. are the functor's inputs.
/// derivative == i: the gradient of the functor with respect to its i-th input. operands[1] is the
/// gradient of its output, followed by those of inputs a, b, c and output y that the functor's
/// `needs` names, in this order.
struct PointwiseArgs {
  Pointwise op;
  uint8_t derivative = 0;
  DType compute;
  int8_t count;
  Dims shape;
  PointwiseOperand operands[kMaxPointwiseOperands];
  double parameters[kMaxPointwiseParameters];
};

/// The common case of PointwiseArgs in fewer words: every operand is of the dtype `compute` (the
/// result of a comparison is bool) and has n contiguous elements, except those of `numbers` (bit k
/// for data[k]), which have one that stands for all.
struct FlatPointwiseArgs {
  Pointwise op;
  uint8_t derivative = 0;
  DType compute;
  int8_t count = 0;
  uint8_t numbers = 0;
  int64_t n;
  char* data[kMaxPointwiseOperands];
  const double* parameters;
};

/// Tells of an element that is not in [low, high], the first to come along, as a ValueError at the
/// next synchronisation: "op: expected <expected>; got 2 at position 7". NaN is in no range.
/// Without `expected` it is an IndexError for a dim of size high + 1. input: contiguous, floating
/// or int64. The texts never go away.
struct CheckRangeArgs {
  const char* op = "";
  const char* expected = nullptr;
  DType dtype = DType::float32;
  int64_t n = 0;
  const void* input = nullptr;
  double low = 0.0;
  double high = 0.0;
};

struct PointwiseKernels {
  void (*run)(const PointwiseArgs& args);
  void (*run_flat)(const FlatPointwiseArgs& args) = nullptr;
  /// Null on the CPU, where values are looked at before the op.
  void (*check_range)(const CheckRangeArgs& args) = nullptr;
};

PointwiseKernels pointwise_kernels_cpu();
PointwiseKernels pointwise_kernels_cuda();

}  // namespace taut::kernels
