#pragma once
// Runs a reduction along its plan: by rows (neighbours in memory fall into one output) or by
// columns (into neighbouring outputs), cut into pieces that depend on the sizes only, so that the
// result has the same bits for any number of threads.

#include <cstddef>
#include <cstdint>

#include "kernels/reduce/reduce_plan.h"

namespace taut::kernels {

/// The length of a row that `row` reduces before the cascade takes over.
inline constexpr int64_t kReduceLeaf = 4096;

/// One kind of reduction of one dtype, without its types, so that the driver is compiled once. A
/// state is `planes` accumulators; plane p of the state of column c lies at states[p * width + c].
/// A single state has width 1. See reduce_typed-inl.h.
struct Reducer {
  const void* self;
  int64_t item_size;         // bytes of an input element
  int64_t accumulator_size;  // bytes
  int planes;
  int64_t tile_cols;   // columns that are reduced together, in the first-level cache
  int64_t block_rows;  // rows that `block` is given at most

  void (*identity)(const void* self, void* states, int64_t width, int64_t cols);
  /// Reduces n <= kReduceLeaf elements into a fresh state.
  void (*row)(const void* self, const void* x, int64_t n, int64_t stride, void* state);
  /// Reduces `outputs` rows of at most kReduceLeaf elements and finishes each.
  void (*rows)(const void* self, const void* x, int64_t n, int64_t stride, int64_t outputs,
               int64_t step, int64_t out, int64_t out_stride);
  /// Adds a block to the states of its columns.
  void (*block)(const void* self, const void* x, int64_t rows, int64_t row_stride, int64_t cols,
                int64_t col_stride, void* states, int64_t width);
  void (*merge)(const void* self, void* into, const void* from, int64_t width, int64_t cols);
  /// Writes the results of `cols` states to the outputs out, out + out_stride, ...
  void (*finish)(const void* self, const void* states, int64_t width, int64_t cols, int64_t out,
                 int64_t out_stride);
};

/// Reduces `input` (the tensor's first element) into every output of the plan.
void run_reduction(const ReducePlan& plan, const void* input, const Reducer& reducer);

}  // namespace taut::kernels
