// Sorting and selecting along a dim: which way is taken for which rows.

#include "kernels/sort/sort_cuda.h"

#include "kernels/sort/row_task.h"

namespace taut::kernels {
namespace {

using cuda::RowTask;
using cuda::RowWalk;

template <class Args>
RowTask task_of(const char* op, const Args& args) {
  RowTask task;
  task.op = op;
  task.dtype = args.dtype;
  task.input = args.input;
  task.values = args.values;
  task.indices = args.indices;
  RowWalk& walk = task.walk;
  const auto stride = [](const Dims& strides, int d) { return strides.empty() ? 0 : strides[d]; };
  for (int d = 0; d < args.size.rank(); ++d) {
    if (d == args.dim) {
      walk.length = args.size[d];
      walk.input_step = stride(args.input_strides, d);
      walk.value_step = stride(args.values_strides, d);
      walk.index_step = stride(args.indices_strides, d);
      continue;
    }
    walk.rows *= args.size[d];
    if (args.size[d] == 1) continue;
    walk.size[walk.rank] = args.size[d];
    walk.input_strides[walk.rank] = stride(args.input_strides, d);
    walk.value_strides[walk.rank] = stride(args.values_strides, d);
    walk.index_strides[walk.rank] = stride(args.indices_strides, d);
    ++walk.rank;
  }
  return task;
}

// Selecting takes a block for each row, which a few huge rows would leave alone on the chip.
bool is_worth_selecting(const RowTask& task) {
  constexpr int64_t kFewRows = 4;
  constexpr int64_t kHugeRow = 128 * 1024;
  constexpr int64_t kLongestRow = int64_t{1} << 31;
  if (task.walk.length >= kLongestRow) return false;
  return task.walk.rows >= kFewRows || task.walk.length <= kHugeRow;
}

void sort(const SortArgs& args) {
  RowTask task = task_of("sort", args);
  task.descending = args.descending;
  task.taken = task.walk.length;
  if (task.walk.rows * task.taken == 0) return;
  if (task.walk.length <= cuda::kShortRow) return cuda::run_short_rows(task);
  cuda::run_long_rows(task);
}

void topk(const TopKArgs& args) {
  RowTask task = task_of("topk", args);
  task.descending = args.largest;
  task.taken = args.k;
  if (task.walk.rows * task.taken == 0) return;
  if (task.walk.length <= cuda::kShortRow) return cuda::run_short_rows(task);
  if (args.k <= cuda::kMostSelected && is_worth_selecting(task)) return cuda::run_selection(task);
  cuda::run_long_rows(task);
}

void pick(const PickArgs& args) {
  RowTask task = task_of("kthvalue", args);
  task.is_pick = true;
  task.mode = args.mode;
  task.k = args.k;
  task.taken = 1;
  task.walk.value_step = task.walk.index_step = 0;
  if (task.walk.rows * task.walk.length == 0) return;
  if (task.walk.length <= cuda::kShortRow) return cuda::run_short_rows(task);
  if (args.mode != PickMode::mode && is_worth_selecting(task)) return cuda::run_selection(task);
  cuda::run_long_rows(task);
}

}  // namespace

SortKernels sort_kernels_cuda() {
  SortKernels table;
  table.sort = sort;
  table.topk = topk;
  table.pick = pick;
  table.searchsorted = cuda::searchsorted;
  table.unique = cuda::unique;
  table.bincount = cuda::bincount;
  table.histogram = cuda::histogram;
  return table;
}

}  // namespace taut::kernels
