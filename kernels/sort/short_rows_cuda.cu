// Rows that fit into shared memory: several of them to a block when they are very short.

#include "kernels/api/strided_offset.cuh"
#include "kernels/sort/bitonic.cuh"
#include "kernels/sort/row_task.h"
#include "kernels/sort/sort_key.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int kCapacity = static_cast<int>(kShortRow);
constexpr int kMostRows = 128;  // of a block
constexpr int kSlots = kCapacity / kThreads;

struct ShortRows {
  RowWalk walk;
  int length;    // of a row, rounded up to a power of two
  int rows;      // of a block
  bool by_rows;  // neighbouring threads take neighbouring rows, which then are neighbours in memory
  bool descending;
  int taken;
  bool is_pick;
  PickMode mode;
  int64_t k;

  /// What the i-th of the rows' `each` elements is.
  __device__ void place(int i, int each, int& row, int& element) const {
    row = by_rows ? i % rows : i / each;
    element = by_rows ? i / rows : i % each;
  }
};

struct RowOffsets {
  int64_t input[kMostRows];
  int64_t values[kMostRows];
  int64_t indices[kMostRows];
};

// Where in its sorted row the element to pick stands.
template <class T>
__device__ int pick_from(const ShortRows& rows, const Key<T>* keys) {
  const int n = static_cast<int>(rows.walk.length);
  if (rows.mode == PickMode::kth_value) return static_cast<int>(rows.k) - 1;
  if (rows.mode == PickMode::mode) {
    int best = 0, longest = 0, start = 0;
    for (int i = 0; i < n; ++i) {
      if (keys[i] != keys[start]) start = i;
      if (i - start + 1 > longest) {
        longest = i - start + 1;
        best = i;
      }
    }
    return best;
  }
  int numbers = n;
  if constexpr (kHasNan<T>) {
    while (numbers > 0 && keys[numbers - 1] == kHighestKey<Key<T>>) --numbers;
  }
  if (rows.mode == PickMode::median && numbers < n) return numbers;
  return numbers > 1 ? (numbers - 1) / 2 : 0;
}

// A result is read from the input before any is written, since values may be the input.
template <class T>
__global__ void __launch_bounds__(kThreads)
    short_rows_kernel(ShortRows rows, const T* input, T* values, int64_t* indices) {
  wait_for_stream();
  using K = Key<T>;
  __shared__ K keys[kCapacity];
  __shared__ uint16_t positions[kCapacity];
  __shared__ RowOffsets offsets;
  const RowWalk& walk = rows.walk;
  const int thread = static_cast<int>(threadIdx.x);
  const int n = static_cast<int>(walk.length);
  const int total = rows.rows * rows.length;
  const int64_t blocks = ceil_divide(walk.rows, rows.rows);
  for (int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    const int64_t first = block * rows.rows;
    const int present =
        static_cast<int>(walk.rows - first < rows.rows ? walk.rows - first : rows.rows);
    if (thread < present) {
      offsets.input[thread] = offset_at(first + thread, walk.rank, walk.size, walk.input_strides);
      offsets.values[thread] = offset_at(first + thread, walk.rank, walk.size, walk.value_strides);
      offsets.indices[thread] = offset_at(first + thread, walk.rank, walk.size, walk.index_strides);
    }
    __syncthreads();
    for (int i = thread; i < total; i += kThreads) {
      int row, element;
      rows.place(i, rows.length, row, element);
      const int at = row * rows.length + element;
      const bool is_there = row < present && element < n;
      // What fills up the row comes last, behind equal keys too.
      keys[at] =
          is_there ? key_of(input[offsets.input[row] + element * walk.input_step], rows.descending)
                   : kHighestKey<K>;
      positions[at] = static_cast<uint16_t>(element);
    }
    sort_pairs_in_block(keys, positions, rows.length, total);

    if (rows.is_pick) {
      if (thread < present) {
        const int base = thread * rows.length;
        const int position = positions[base + pick_from<T>(rows, keys + base)];
        values[offsets.values[thread]] = input[offsets.input[thread] + position * walk.input_step];
        indices[offsets.indices[thread]] = position;
      }
      __syncthreads();
      continue;
    }

    const int results = rows.rows * rows.taken;
    T found[kSlots];
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int i = s * kThreads + thread;
      int row, element;
      rows.place(i, rows.taken, row, element);
      if (i < results && row < present && values != nullptr) {
        const int position = positions[row * rows.length + element];
        found[s] = input[offsets.input[row] + position * walk.input_step];
      }
    }
    __syncthreads();
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
      const int i = s * kThreads + thread;
      int row, element;
      rows.place(i, rows.taken, row, element);
      if (i >= results || row >= present) continue;
      if (values != nullptr) values[offsets.values[row] + element * walk.value_step] = found[s];
      if (indices != nullptr) {
        indices[offsets.indices[row] + element * walk.index_step] =
            positions[row * rows.length + element];
      }
    }
    __syncthreads();
  }
}

}  // namespace

void run_short_rows(const RowTask& task) {
  ShortRows rows{};
  rows.walk = task.walk;
  rows.length = 1;
  while (rows.length < task.walk.length) rows.length *= 2;
  rows.rows = kCapacity / rows.length < kMostRows ? kCapacity / rows.length : kMostRows;
  const int64_t last_stride = task.walk.rank > 0 ? task.walk.input_strides[task.walk.rank - 1] : 0;
  rows.by_rows = last_stride == 1 && task.walk.input_step != 1;
  rows.descending = task.descending;
  rows.taken = static_cast<int>(task.taken);
  rows.is_pick = task.is_pick;
  rows.mode = task.mode;
  rows.k = task.k;
  const int64_t blocks = ceil_divide(task.walk.rows, rows.rows);
  const unsigned grid = static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks);
  visit_all(task.op, task.dtype, [&]<class T>(TypeTag<T>) {
    launch_kernel(short_rows_kernel<T>, {grid, kThreads}, rows, static_cast<const T*>(task.input),
                  static_cast<T*>(task.values), task.indices);
  });
  check_launch(task.op);
}

}  // namespace taut::kernels::cuda
