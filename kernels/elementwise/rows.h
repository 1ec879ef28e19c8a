#pragma once
// What the CPU's elementwise kernels come down to: for each functor, dtype and derivative one loop
// over contiguous elements. The driver (driver.cpp) brings any shape, strides and dtypes to it.

#include "kernels/api/functor.h"
#include "kernels/api/pointwise.h"
#include "kernels/api/streaming.h"
#include "taut/base/check.h"
#include "taut/base/parallel.h"

namespace taut::kernels {

/// Elements: below this a second thread costs more than it brings.
inline constexpr int64_t kGrain = 32768;

/// Computes n elements: pointers[0] is written, the others are read; all contiguous.
using RowFn = void (*)(char* const* pointers, int64_t n, const double* parameters);

/// The loops of one functor, by dtype; null where it has none. rows[0] is the functor, rows[i] its
/// derivative by input i.
struct FunctorRows {
  RowFn rows[1 + kMaxPointwiseInputs][kDTypeCount] = {};
  /// The functor for a result that is streamed, without the two steps of a block that is streamed
  /// when it is done (run_streamed_row): costly functors lose more by them, cheap ones about 5 %.
  RowFn streamed[kDTypeCount] = {};
  /// The result is bool, whatever it computes in.
  bool gives_bool = false;
  /// So cheap that memory is all it waits for.
  bool is_cheap = false;
};

struct RowTable {
  FunctorRows functors[kPointwiseCount];
};

/// The loops of this machine; set before its kernels are handed out.
extern const RowTable* row_table;

/// What a call computes with, whatever its operands look like.
struct Loop {
  RowFn row;
  DType result_dtype;
};

inline Loop find_loop(Pointwise op, int derivative, DType compute) {
  const FunctorRows& functor = row_table->functors[static_cast<int>(op)];
  const RowFn row = functor.rows[derivative][static_cast<int>(compute)];
  TAUT_ASSERT(row != nullptr);
  return {row, functor.gives_bool && derivative == 0 ? DType::bool_ : compute};
}

/// Whether a result is streamed, and by which loop; null: in blocks.
struct Streaming {
  bool streams = false;
  RowFn row = nullptr;
};

/// A result of so many bytes is streamed where it is larger than the caches, and memory is what the
/// loop waits for. One thread that has more to compute would lose by the two steps of a row that is
/// streamed in blocks; several together wait for memory all the same.
inline Streaming plan_streaming(Pointwise op, int derivative, DType compute, int64_t bytes) {
  if (!is_streamed(bytes)) return {};
  const FunctorRows& functor = row_table->functors[static_cast<int>(op)];
  const RowFn row = derivative == 0 ? functor.streamed[static_cast<int>(compute)] : nullptr;
  return {functor.is_cheap || row != nullptr || get_num_threads() > 1, row};
}

/// Calls that need no strides; see FlatPointwiseArgs.
void run_flat(const FlatPointwiseArgs& args);

/// One file for each theme adds its functors, for the instruction set of this machine.
void add_arithmetic_rows(RowTable& table);
void add_exponential_rows(RowTable& table);
void add_trigonometry_rows(RowTable& table);
void add_special_rows(RowTable& table);
void add_rounding_rows(RowTable& table);
void add_bitwise_rows(RowTable& table);
void add_compare_rows(RowTable& table);
void add_activation_rows(RowTable& table);
void add_loss_rows(RowTable& table);

}  // namespace taut::kernels
