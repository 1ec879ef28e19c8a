#pragma once
// What is to be done with each row of a tensor along one dim: sort it, take the first of it, or
// pick one element.

#include "kernels/api/sort.h"

namespace taut::kernels::cuda {

/// The rows of the input and of the results. Strides are those of the dims other than the sorted
/// one, steps those along it.
struct RowWalk {
  int rank = 0;
  int64_t rows = 1;
  int64_t length = 1;
  int64_t size[kMaxRank] = {};
  int64_t input_strides[kMaxRank] = {};
  int64_t value_strides[kMaxRank] = {};
  int64_t index_strides[kMaxRank] = {};
  int64_t input_step = 1;
  int64_t value_step = 1;
  int64_t index_step = 1;
};

struct RowTask {
  const char* op = "";
  DType dtype = DType::float32;
  RowWalk walk;
  bool descending = false;
  int64_t taken = 0;     // results of a row
  bool is_pick = false;  // one result, found by mode and k
  PickMode mode = PickMode::kth_value;
  int64_t k = 1;
  const void* input = nullptr;
  void* values = nullptr;      // may be null, or the input
  int64_t* indices = nullptr;  // may be null
};

/// Rows up to this length are sorted in shared memory.
inline constexpr int64_t kShortRow = 2048;
/// So many of a longer row can be selected.
inline constexpr int64_t kMostSelected = 1024;

void run_short_rows(const RowTask& task);
/// topk of up to kMostSelected, kth_value and medians.
void run_selection(const RowTask& task);
void run_long_rows(const RowTask& task);

}  // namespace taut::kernels::cuda
