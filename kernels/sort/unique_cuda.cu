// Distinct rows: sorted (or taken as they come, when consecutive), then numbered run by run.

#include <cub/device/device_scan.cuh>

#include "kernels/sort/row_positions.cuh"
#include "kernels/sort/sort_cuda.h"

namespace taut::kernels::cuda {
namespace {

constexpr const char* kOp = "unique";

template <class T>
struct TableOfRows {
  const T* data;
  int64_t width;

  // A NaN equals nothing.
  __device__ bool are_equal(int64_t a, int64_t b) const {
    for (int64_t j = 0; j < width; ++j) {
      const T left = data[a * width + j], right = data[b * width + j];
      if (is_nan(left) || key_of(left) != key_of(right)) return false;
    }
    return true;
  }
};

// As many neighbouring columns, up to `end`, as make one key of 64 bits.
template <class T, class P>
__global__ void __launch_bounds__(kThreads)
    column_keys_kernel(TableOfRows<T> rows, int64_t begin, int64_t end, const P* order,
                       uint64_t* keys, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const T* row = rows.data + static_cast<int64_t>(order[i]) * rows.width;
    uint64_t key = 0;
    for (int64_t j = begin; j < end; ++j) {
      key = (key << (8 * sizeof(T) % 64)) | uint64_t{key_of(row[j])};
    }
    keys[i] = key;
  }
}

template <class P>
__global__ void __launch_bounds__(kThreads) number_positions_kernel(P* order, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    order[i] = static_cast<P>(i);
  }
}

template <class P>
__device__ inline int64_t position_of(const P* order, int64_t i) {
  return order == nullptr ? i : static_cast<int64_t>(order[i]);
}

// 1 where a run of equal rows begins.
template <class T, class P>
__global__ void __launch_bounds__(kThreads)
    mark_heads_kernel(TableOfRows<T> rows, const P* order, int64_t* heads, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const bool repeats = i > 0 && rows.are_equal(position_of(order, i - 1), position_of(order, i));
    heads[i] = repeats ? 0 : 1;
  }
}

// `runs` counts the runs that began up to each place; `starts` has room for one more than there
// are.
template <class P>
__global__ void __launch_bounds__(kThreads)
    write_runs_kernel(const P* order, const int64_t* runs, int64_t* first, int64_t* inverse,
                      int64_t* starts, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const int64_t run = runs[i] - 1;
    const int64_t position = position_of(order, i);
    if (i == 0 || runs[i - 1] != runs[i]) {
      first[run] = position;
      starts[run] = i;
    }
    if (i == n - 1) starts[run + 1] = n;
    if (inverse != nullptr) inverse[position] = run;
  }
}

__global__ void __launch_bounds__(kThreads)
    count_runs_kernel(const int64_t* starts, const int64_t* runs, int64_t* counts, int64_t n) {
  wait_for_stream();
  const int64_t found = runs[n - 1];
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < found; i += step) {
    counts[i] = starts[i + 1] - starts[i];
  }
}

// The order of rows of several elements: by the last columns first, each sort keeping the one
// before.
template <class T, class P>
void sort_wide_rows(const UniqueArgs& args, SortBuffer<P>& order) {
  constexpr int64_t kColumns = 8 / static_cast<int64_t>(sizeof(T));
  const int64_t n = args.n;
  const TableOfRows<T> rows{static_cast<const T*>(args.input), args.width};
  const taut::cuda::Scratch memory(static_cast<size_t>(2 * n) * sizeof(uint64_t));
  SortBuffer<uint64_t> keys{memory.as<uint64_t>(), memory.as<uint64_t>() + n};
  launch_kernel(number_positions_kernel<P>, {blocks_for(n), kThreads}, order.data, n);
  for (int64_t end = args.width; end > 0; end -= kColumns) {
    const int64_t begin = end > kColumns ? end - kColumns : 0;
    launch_kernel(column_keys_kernel<T, P>, {blocks_for(n), kThreads}, rows, begin, end, order.data,
                  keys.data, n);
    const int bits = static_cast<int>((end - begin) * 8 * static_cast<int64_t>(sizeof(T)));
    radix_sort_pairs(kOp, keys, order, n, 0, bits);
  }
  check_launch(kOp);
}

// Numbers the runs of equal rows in an order (null: as they stand); returns how many there are.
template <class T, class P>
int64_t number_runs(const UniqueArgs& args, const P* order) {
  taut::cuda::check_can_wait(kOp);
  const int64_t n = args.n;
  const TableOfRows<T> rows{static_cast<const T*>(args.input), args.width};
  const taut::cuda::Scratch memory(static_cast<size_t>(2 * n + 1) * sizeof(int64_t));
  int64_t* runs = memory.as<int64_t>();
  int64_t* starts = runs + n;
  launch_kernel(mark_heads_kernel<T, P>, {blocks_for(n), kThreads}, rows, order, runs, n);
  size_t bytes = 0;
  check(kOp, cub::DeviceScan::InclusiveSum(nullptr, bytes, runs, runs, n, stream()));
  const taut::cuda::Scratch scratch(bytes);
  check(kOp, cub::DeviceScan::InclusiveSum(scratch.data(), bytes, runs, runs, n, stream()));
  launch_kernel(write_runs_kernel<P>, {blocks_for(n), kThreads}, order, runs, args.first,
                args.inverse, starts, n);
  if (args.counts != nullptr) {
    launch_kernel(count_runs_kernel, {blocks_for(n), kThreads}, starts, runs, args.counts, n);
  }
  check_launch(kOp);
  int64_t found = 0;
  check(kOp,
        cudaMemcpyAsync(&found, runs + n - 1, sizeof(found), cudaMemcpyDeviceToHost, stream()));
  check(kOp, cudaStreamSynchronize(stream()));
  return found;
}

template <class T, class P>
int64_t sort_and_number(const UniqueArgs& args) {
  if (args.width == 1) {
    RowWalk walk;
    walk.length = args.n;
    RowPositions<P> positions(args.n);
    positions.sort(kOp, RowGroup<T>(walk, static_cast<const T*>(args.input), 0, 1), false);
    return number_runs<T>(args, positions.data());
  }
  const taut::cuda::Scratch memory(static_cast<size_t>(2 * args.n) * sizeof(P));
  SortBuffer<P> order{memory.as<P>(), memory.as<P>() + args.n};
  sort_wide_rows<T>(args, order);
  return number_runs<T>(args, static_cast<const P*>(order.data));
}

}  // namespace

int64_t unique(const UniqueArgs& args) {
  if (args.n == 0) return 0;
  int64_t found = 0;
  visit_all(kOp, args.dtype, [&]<class T>(TypeTag<T>) {
    if (args.consecutive) {
      found = number_runs<T>(args, static_cast<const uint32_t*>(nullptr));
    } else if (args.n < int64_t{1} << 31) {
      found = sort_and_number<T, uint32_t>(args);
    } else {
      found = sort_and_number<T, int64_t>(args);
    }
  });
  return found;
}

}  // namespace taut::kernels::cuda
