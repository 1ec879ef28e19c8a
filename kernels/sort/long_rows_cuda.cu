// Rows too long for shared memory: as many at a time as 32-bit positions can tell apart are sorted
// at once.

#include "kernels/sort/row_positions.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int64_t kMostElements = (int64_t{1} << 31) - 1;

struct Results {
  RowWalk walk;
  int64_t first;  // row
  int64_t rows;
  int64_t taken;  // of each row

  __device__ int64_t value_offset(int64_t row) const {
    return offset_at(first + row, walk.rank, walk.size, walk.value_strides);
  }
  __device__ int64_t index_offset(int64_t row) const {
    return offset_at(first + row, walk.rank, walk.size, walk.index_strides);
  }
};

template <class E>
__global__ void __launch_bounds__(kThreads) copy_rows_kernel(RowGroup<E> from, E* to, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; p < n; p += step) {
    int64_t i;
    const int64_t row = divide(p, from.length, i);
    to[p] = from.at(row, i);
  }
}

// `copy` holds the group's elements when the values replace their input, else it is null.
template <class E, class P>
__global__ void __launch_bounds__(kThreads)
    take_sorted_kernel(RowGroup<E> group, Results results, const E* copy, const P* positions,
                       E* values, int64_t* indices) {
  wait_for_stream();
  const int64_t total = results.rows * results.taken;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < total; t += step) {
    int64_t j;
    const int64_t row = divide(t, results.taken, j);
    const int64_t start = row * group.length;
    const int64_t i = static_cast<int64_t>(positions[start + j]) - start;
    if (values != nullptr) {
      values[results.value_offset(row) + j * results.walk.value_step] =
          copy != nullptr ? copy[start + i] : group.at(row, i);
    }
    if (indices != nullptr) {
      indices[results.index_offset(row) + j * results.walk.index_step] = i;
    }
  }
}

// A row of a group, through its sorted positions.
template <class T, class P>
struct SortedRow {
  const T* data;
  int64_t step;
  int64_t start;
  const P* positions;

  __device__ int64_t index(int64_t j) const { return static_cast<int64_t>(positions[j]) - start; }
  __device__ T value(int64_t j) const { return data[index(j) * step]; }
  __device__ Key<T> key(int64_t j) const { return key_of(value(j)); }

  // The first of [0, end) whose key is at least `key`; they ascend.
  __device__ int64_t lower_bound(Key<T> wanted, int64_t end) const {
    int64_t low = 0, high = end;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (key(middle) < wanted) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

// The longest run so far: of equally long ones the first.
struct LongestRun {
  int64_t length;
  int64_t last;

  __device__ LongestRun better(const LongestRun& other) const {
    if (other.length != length) return other.length > length ? other : *this;
    return other.last < last ? other : *this;
  }
};

template <class T, class P>
__device__ int64_t last_of_longest_run(const SortedRow<T, P>& row, int64_t n) {
  __shared__ LongestRun runs[kThreads];
  const int thread = static_cast<int>(threadIdx.x);
  LongestRun best{0, n};
  for (int64_t j = thread; j < n; j += kThreads) {
    const Key<T> key = row.key(j);
    if (j + 1 < n && row.key(j + 1) == key) continue;
    best = best.better({j + 1 - row.lower_bound(key, j), j});
  }
  runs[thread] = best;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (thread < half) runs[thread] = runs[thread].better(runs[thread + half]);
  }
  __syncthreads();
  const int64_t last = runs[0].last;
  __syncthreads();
  return last;
}

template <class T, class P>
__global__ void __launch_bounds__(kThreads)
    pick_sorted_kernel(RowGroup<T> group, Results results, PickMode mode, int64_t k,
                       const P* positions, T* values, int64_t* indices) {
  wait_for_stream();
  const int64_t n = group.length;
  for (int64_t r = blockIdx.x; r < group.rows; r += gridDim.x) {
    const SortedRow<T, P> row{group.row(r), group.step, r * n, positions + r * n};
    int64_t at = k - 1;
    if (mode == PickMode::mode) {
      at = last_of_longest_run(row, n);
    } else if (mode != PickMode::kth_value) {
      const int64_t numbers = kHasNan<T> ? row.lower_bound(kHighestKey<Key<T>>, n) : n;
      const bool takes_nan = mode == PickMode::median && numbers < n;
      at = takes_nan ? numbers : numbers > 1 ? (numbers - 1) / 2 : 0;
    }
    if (threadIdx.x == 0) {
      values[results.value_offset(r)] = row.value(at);
      indices[results.index_offset(r)] = row.index(at);
    }
  }
}

template <class P>
class LongRows {
 public:
  LongRows(const RowTask& task, int64_t first, int64_t rows)
      : task_(task),
        first_(first),
        rows_(rows),
        results_{task.walk, first, rows, task.taken},
        positions_(rows * task.walk.length) {}

  void run() {
    visit_all(task_.op, task_.dtype, [&]<class T>(TypeTag<T>) {
      const RowGroup<T> group(task_.walk, static_cast<const T*>(task_.input), first_, rows_);
      positions_.sort(task_.op, group, task_.descending);
      if (task_.is_pick) pick(group);
    });
    if (!task_.is_pick) take();
  }

 private:
  template <class T>
  void pick(const RowGroup<T>& group) const {
    const unsigned grid = static_cast<unsigned>(rows_ < kMaxBlocks ? rows_ : kMaxBlocks);
    launch_kernel(pick_sorted_kernel<T, P>, {grid, kThreads}, group, results_, task_.mode, task_.k,
                  positions_.data(), static_cast<T*>(task_.values), task_.indices);
    check_launch(task_.op);
  }

  void take() const {
    visit_width(task_.dtype, [&]<class E>(TypeTag<E>) {
      const RowGroup<E> group(task_.walk, static_cast<const E*>(task_.input), first_, rows_);
      const int64_t n = group.numel();
      const bool is_in_place = task_.values == task_.input;
      const taut::cuda::Scratch copy((is_in_place ? static_cast<size_t>(n) : 1) * sizeof(E));
      if (is_in_place) {
        launch_kernel(copy_rows_kernel<E>, {blocks_for(n), kThreads}, group, copy.as<E>(), n);
      }
      launch_kernel(take_sorted_kernel<E, P>, {blocks_for(rows_ * task_.taken), kThreads}, group,
                    results_, is_in_place ? copy.as<E>() : nullptr, positions_.data(),
                    static_cast<E*>(task_.values), task_.indices);
    });
    check_launch(task_.op);
  }

  const RowTask& task_;
  int64_t first_;
  int64_t rows_;
  Results results_;
  RowPositions<P> positions_;
};

}  // namespace

void run_long_rows(const RowTask& task) {
  const RowWalk& walk = task.walk;
  if (walk.length > kMostElements) {
    for (int64_t r = 0; r < walk.rows; ++r) LongRows<int64_t>(task, r, 1).run();
    return;
  }
  const int64_t most = kMostElements / walk.length;
  for (int64_t first = 0; first < walk.rows; first += most) {
    const int64_t rest = walk.rows - first;
    LongRows<uint32_t>(task, first, rest < most ? rest : most).run();
  }
}

}  // namespace taut::kernels::cuda
