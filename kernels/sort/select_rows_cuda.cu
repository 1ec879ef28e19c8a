// Selecting from rows without sorting them: a block for each row finds the key of the wanted rank
// digit by digit, the highest first, from counts of the digits (radix select: Alabi, Blanchard,
// Gordon and Steinbach, "Fast k-selection algorithms for graphics processing units", 2012), then
// collects what comes before it.

#include "kernels/api/group_reduce.cuh"
#include "kernels/api/strided_offset.cuh"
#include "kernels/sort/bitonic.cuh"
#include "kernels/sort/row_task.h"
#include "kernels/sort/sort_key.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int kSelectThreads = 512;
constexpr int kSelectWarps = kSelectThreads / kWarp;
constexpr int kDigits = 256;

/// One row of the input.
template <class T>
struct Row {
  const T* data;
  int64_t step;
  int64_t length;
  bool descending;

  __device__ Key<T> key(int64_t i) const { return key_of(data[i * step], descending); }
};

template <class T>
struct SelectMemory {
  int digit_counts[kDigits];
  int warp_counts[kSelectWarps];
  int collected;
  uint32_t remaining;
  int digit;
  int64_t found;
  Key<T> keys[kMostSelected];
  uint32_t positions[kMostSelected];
};

// Adds one to the digit's count; a warp whose lanes all have the same digit adds once.
__device__ inline void count_digit(int* counts, int digit) {
  const unsigned active = __activemask();
  int is_same = 0;
  __match_all_sync(active, digit, &is_same);
  if (!is_same) {
    atomicAdd(&counts[digit], 1);
  } else if ((threadIdx.x % kWarp) == static_cast<unsigned>(__ffs(static_cast<int>(active)) - 1)) {
    atomicAdd(&counts[digit], __popc(active));
  }
}

// A warp finds the digit that the element of that rank has, and its rank among those that share it.
template <class T>
__device__ void find_digit(SelectMemory<T>& memory, uint32_t rank) {
  constexpr int kEach = kDigits / kWarp;
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t own = 0;
  for (int d = 0; d < kEach; ++d) {
    own += static_cast<uint32_t>(memory.digit_counts[lane * kEach + d]);
  }
  uint32_t through = own;
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const uint32_t before = shuffle_up(through, offset, kWarp);
    if (lane >= offset) through += before;
  }
  if (rank >= through || rank < through - own) return;
  uint32_t rest = rank - (through - own);
  int digit = lane * kEach;
  while (rest >= static_cast<uint32_t>(memory.digit_counts[digit])) {
    rest -= static_cast<uint32_t>(memory.digit_counts[digit++]);
  }
  memory.digit = digit;
  memory.remaining = rest;
}

// The key of the element of that rank (from 0), and its rank among the equal ones.
template <class T>
__device__ Key<T> select_key(const Row<T>& row, uint32_t rank, SelectMemory<T>& memory,
                             uint32_t& rank_of_equals) {
  using K = Key<T>;
  const int thread = static_cast<int>(threadIdx.x);
  K prefix = 0, mask = 0;
  for (int shift = kKeyBits<K> - 8; shift >= 0; shift -= 8) {
    if (thread < kDigits) memory.digit_counts[thread] = 0;
    __syncthreads();
    for (int64_t i = thread; i < row.length; i += kSelectThreads) {
      const K key = row.key(i);
      if ((key & mask) == prefix) {
        count_digit(memory.digit_counts, static_cast<int>(key >> shift) & (kDigits - 1));
      }
    }
    __syncthreads();
    if (thread < kWarp) find_digit(memory, rank);
    __syncthreads();
    rank = memory.remaining;
    prefix = static_cast<K>(prefix | static_cast<K>(static_cast<K>(memory.digit) << shift));
    mask = static_cast<K>(mask | static_cast<K>(static_cast<K>(kDigits - 1) << shift));
    __syncthreads();
  }
  rank_of_equals = rank;
  return prefix;
}

// Calls visit(i, rank among the equal ones) for the elements with that key, in their order, until
// visit has seen `wanted` of them.
template <class T, class Visit>
__device__ void visit_equals(const Row<T>& row, Key<T> key, uint32_t wanted,
                             SelectMemory<T>& memory, const Visit& visit) {
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp, lane = thread % kWarp;
  uint32_t seen = 0;
  for (int64_t start = 0; start < row.length && seen < wanted; start += kSelectThreads) {
    const int64_t i = start + thread;
    const bool is_equal = i < row.length && row.key(i) == key;
    const unsigned equal_lanes = __ballot_sync(kAllLanes, is_equal);
    if (lane == 0) memory.warp_counts[warp] = __popc(equal_lanes);
    __syncthreads();
    uint32_t before = seen;
    for (int w = 0; w < kSelectWarps; ++w) {
      if (w == warp && is_equal) {
        const uint32_t rank = before + __popc(equal_lanes & ((1u << lane) - 1u));
        if (rank < wanted) visit(i, rank);
      }
      before += static_cast<uint32_t>(memory.warp_counts[w]);
    }
    seen = before;
    __syncthreads();
  }
}

template <class T>
__device__ Row<T> row_at(const RowWalk& walk, const T* input, int64_t row, bool descending) {
  const int64_t offset = offset_at(row, walk.rank, walk.size, walk.input_strides);
  return {input + offset, walk.input_step, walk.length, descending};
}

// The k first of each row, in order.
template <class T>
__global__ void __launch_bounds__(kSelectThreads)
    select_first_kernel(RowWalk walk, bool descending, int k, const T* input, T* values,
                        int64_t* indices) {
  wait_for_stream();
  __shared__ SelectMemory<T> memory;
  const int thread = static_cast<int>(threadIdx.x);
  int length = 1;
  while (length < k) length *= 2;
  for (int64_t r = blockIdx.x; r < walk.rows; r += gridDim.x) {
    const Row<T> row = row_at(walk, input, r, descending);
    uint32_t rank_of_equals;
    const Key<T> last = select_key(row, static_cast<uint32_t>(k - 1), memory, rank_of_equals);
    const int smaller = k - 1 - static_cast<int>(rank_of_equals);
    if (thread == 0) memory.collected = 0;
    for (int i = k + thread; i < length; i += kSelectThreads) {
      memory.keys[i] = kHighestKey<Key<T>>;
      memory.positions[i] = ~0u;
    }
    __syncthreads();
    // In any order: they are sorted below.
    for (int64_t i = thread; i < row.length; i += kSelectThreads) {
      const Key<T> key = row.key(i);
      if (key < last) {
        const int at = atomicAdd(&memory.collected, 1);
        memory.keys[at] = key;
        memory.positions[at] = static_cast<uint32_t>(i);
      }
    }
    visit_equals(row, last, rank_of_equals + 1, memory, [&](int64_t i, uint32_t rank) {
      memory.keys[smaller + static_cast<int>(rank)] = last;
      memory.positions[smaller + static_cast<int>(rank)] = static_cast<uint32_t>(i);
    });
    sort_pairs_in_block(memory.keys, memory.positions, length, length);
    const int64_t to_values = offset_at(r, walk.rank, walk.size, walk.value_strides);
    const int64_t to_indices = offset_at(r, walk.rank, walk.size, walk.index_strides);
    for (int i = thread; i < k; i += kSelectThreads) {
      const int64_t position = memory.positions[i];
      values[to_values + i * walk.value_step] = row.data[position * row.step];
      indices[to_indices + i * walk.index_step] = position;
    }
    __syncthreads();
  }
}

// How many elements of a row are numbers.
template <class T>
__device__ int64_t count_numbers(const Row<T>& row, SelectMemory<T>& memory) {
  if constexpr (!kHasNan<T>) return row.length;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) memory.collected = 0;
  __syncthreads();
  int nans = 0;
  for (int64_t i = thread; i < row.length; i += kSelectThreads) {
    nans += is_nan(row.data[i * row.step]) ? 1 : 0;
  }
  if (nans > 0) atomicAdd(&memory.collected, nans);
  __syncthreads();
  const int64_t numbers = row.length - memory.collected;
  __syncthreads();
  return numbers;
}

template <class T>
__device__ int64_t rank_to_pick(PickMode mode, int64_t k, const Row<T>& row,
                                SelectMemory<T>& memory) {
  if (mode == PickMode::kth_value) return k - 1;
  const int64_t numbers = count_numbers(row, memory);
  if (mode == PickMode::median && numbers < row.length) return numbers;
  return numbers > 1 ? (numbers - 1) / 2 : 0;
}

template <class T>
__global__ void __launch_bounds__(kSelectThreads)
    pick_kernel(RowWalk walk, PickMode mode, int64_t k, const T* input, T* values,
                int64_t* indices) {
  wait_for_stream();
  __shared__ SelectMemory<T> memory;
  for (int64_t r = blockIdx.x; r < walk.rows; r += gridDim.x) {
    const Row<T> row = row_at(walk, input, r, false);
    const int64_t rank = rank_to_pick(mode, k, row, memory);
    uint32_t rank_of_equals;
    const Key<T> key = select_key(row, static_cast<uint32_t>(rank), memory, rank_of_equals);
    visit_equals(row, key, rank_of_equals + 1, memory, [&](int64_t i, uint32_t at) {
      if (at == rank_of_equals) memory.found = i;
    });
    __syncthreads();
    if (threadIdx.x == 0) {
      const int64_t found = memory.found;
      values[offset_at(r, walk.rank, walk.size, walk.value_strides)] = row.data[found * row.step];
      indices[offset_at(r, walk.rank, walk.size, walk.index_strides)] = found;
    }
    __syncthreads();
  }
}

}  // namespace

void run_selection(const RowTask& task) {
  const RowWalk& walk = task.walk;
  const unsigned grid = static_cast<unsigned>(walk.rows < kMaxBlocks ? walk.rows : kMaxBlocks);
  visit_all(task.op, task.dtype, [&]<class T>(TypeTag<T>) {
    const T* input = static_cast<const T*>(task.input);
    T* values = static_cast<T*>(task.values);
    if (task.is_pick) {
      launch_kernel(pick_kernel<T>, {grid, kSelectThreads}, walk, task.mode, task.k, input, values,
                    task.indices);
    } else {
      launch_kernel(select_first_kernel<T>, {grid, kSelectThreads}, walk, task.descending,
                    static_cast<int>(task.taken), input, values, task.indices);
    }
  });
  check_launch(task.op);
}

}  // namespace taut::kernels::cuda
