#pragma once
// The kernels that every prefix reduction runs through, whatever it computes.
//
// A scanner S says what is computed:
//   State               trivially copyable, a multiple of 4 bytes
//   identity()          the state of nothing
//   load(at, k)         the state of the element at offset `at`, the k-th of its row
//   combine(a, b)       where a's elements come before b's
//   store(at, state)    writes a result
//
// Long rows are cut into chunks (reduce, then scan): the totals of the chunks first, what comes
// before each of them next, then the chunks by themselves. The cuts depend on sizes only, so that a
// result has the same bits on every run.

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/group_reduce.cuh"
#include "kernels/api/strided_offset.cuh"

namespace taut::kernels::cuda {

/// (outer, dim, inner) with the dim cut into chunks. Element k of a row is the k-th to be scanned.
struct ScanLayout {
  int64_t outer;
  int64_t dim;
  int64_t inner;
  bool is_reversed;
  int64_t chunk;   // elements
  int64_t chunks;  // of each row

  /// The offset of element k of a row; a row is an outer and an inner coordinate.
  __device__ int64_t offset(int64_t row, int64_t k) const {
    int64_t column = 0;
    const int64_t block = inner == 1 ? row : divide(row, inner, column);
    return (block * dim + (is_reversed ? dim - 1 - k : k)) * inner + column;
  }
};

/// The inclusive scan of a state over groups of `width` neighbouring lanes.
template <class S>
__device__ inline typename S::State scan_lanes(const S& scanner, typename S::State state,
                                               int width) {
  const int lane = static_cast<int>(threadIdx.x) % width;
  for (int offset = 1; offset < width; offset *= 2) {
    const typename S::State before = shuffle_up(state, offset, width);
    if (lane >= offset) state = scanner.combine(before, state);
  }
  return state;
}

template <class S>
constexpr int kScanItems = sizeof(typename S::State) > 8 ? 4 : 8;
template <class S>
constexpr int kScanTile = kThreads * kScanItems<S>;

/// Tile elements in shared memory, one in 33 words left out against bank conflicts.
template <class S>
struct ScanTile {
  typename S::State states[kScanTile<S> + kScanTile<S> / kWarp];
  typename S::State warp_totals[kThreads / kWarp];

  __device__ typename S::State& at(int i) { return states[i + i / kWarp]; }
};

/// Scans the tile, after `carry`, which then includes it. Each thread owns kScanItems neighbours.
template <class S>
__device__ inline void scan_tile(const S& scanner, ScanTile<S>& tile, typename S::State& carry) {
  using State = typename S::State;
  constexpr int kItems = kScanItems<S>;
  constexpr int kWarps = kThreads / kWarp;
  const int thread = static_cast<int>(threadIdx.x);
  const int warp = thread / kWarp, lane = thread % kWarp;
  __syncthreads();
  State items[kItems];
#pragma unroll
  for (int k = 0; k < kItems; ++k) items[k] = tile.at(thread * kItems + k);
#pragma unroll
  for (int k = 1; k < kItems; ++k) items[k] = scanner.combine(items[k - 1], items[k]);
  const State inclusive = scan_lanes(scanner, items[kItems - 1], kWarp);
  const State exclusive = shuffle_up(inclusive, 1, kWarp);
  if (lane == kWarp - 1) tile.warp_totals[warp] = inclusive;
  __syncthreads();
  State before = carry;
  for (int w = 0; w < kWarps; ++w) {
    if (w == warp) {
      const State start = lane == 0 ? before : scanner.combine(before, exclusive);
#pragma unroll
      for (int k = 0; k < kItems; ++k) {
        tile.at(thread * kItems + k) = scanner.combine(start, items[k]);
      }
    }
    before = scanner.combine(before, tile.warp_totals[w]);
  }
  carry = before;
  __syncthreads();
}

/// Rows shorter than a tile: a group of lanes scans one, a group's width of elements at a time.
template <class S>
__global__ void __launch_bounds__(kThreads)
    scan_short_rows_kernel(S scanner, ScanLayout layout, int group) {
  wait_for_stream();
  using State = typename S::State;
  const int lane = static_cast<int>(threadIdx.x) % group;
  const int rows = kThreads / group;
  const int64_t step = int64_t{gridDim.x} * rows;
  for (int64_t first = int64_t{blockIdx.x} * rows; first < layout.outer; first += step) {
    const int64_t row = first + static_cast<int>(threadIdx.x) / group;
    State carry = scanner.identity();
    for (int64_t start = 0; start < layout.dim; start += group) {
      const int64_t k = start + lane;
      const bool is_there = row < layout.outer && k < layout.dim;
      const int64_t at = is_there ? layout.offset(row, k) : 0;
      State state = scan_lanes(scanner, is_there ? scanner.load(at, k) : scanner.identity(), group);
      state = scanner.combine(carry, state);
      if (is_there) scanner.store(at, state);
      carry = shuffle_from(state, group - 1, group);
    }
  }
}

/// A block for each chunk of a row of neighbours. Without kWrites only its total is found. `states`
/// [row][chunk] are the totals, or what comes before each chunk; null for whole rows.
template <class S, bool kWrites>
__global__ void __launch_bounds__(kThreads)
    scan_chunks_kernel(S scanner, ScanLayout layout, typename S::State* states) {
  wait_for_stream();
  using State = typename S::State;
  __shared__ ScanTile<S> tile;
  const int64_t tasks = layout.outer * layout.chunks;
  for (int64_t task = blockIdx.x; task < tasks; task += gridDim.x) {
    int64_t chunk;
    const int64_t row = divide(task, layout.chunks, chunk);
    const int64_t begin = chunk * layout.chunk;
    const int64_t end = begin + layout.chunk < layout.dim ? begin + layout.chunk : layout.dim;
    State carry = kWrites && states != nullptr ? states[task] : scanner.identity();
    for (int64_t start = begin; start < end; start += kScanTile<S>) {
#pragma unroll
      for (int r = 0; r < kScanItems<S>; ++r) {
        const int i = r * kThreads + static_cast<int>(threadIdx.x);
        const int64_t k = start + i;
        tile.at(i) = k < end ? scanner.load(layout.offset(row, k), k) : scanner.identity();
      }
      scan_tile(scanner, tile, carry);
      if constexpr (kWrites) {
#pragma unroll
        for (int r = 0; r < kScanItems<S>; ++r) {
          const int i = r * kThreads + static_cast<int>(threadIdx.x);
          const int64_t k = start + i;
          if (k < end) scanner.store(layout.offset(row, k), tile.at(i));
        }
        __syncthreads();
      }
    }
    if (!kWrites && threadIdx.x == 0) states[task] = carry;
  }
}

/// inner > 1: a thread for each chunk of a column; neighbouring threads take neighbouring columns.
template <class S, bool kWrites>
__global__ void __launch_bounds__(kThreads)
    scan_columns_kernel(S scanner, ScanLayout layout, typename S::State* states) {
  wait_for_stream();
  using State = typename S::State;
  constexpr int kInFlight = 4;
  const int64_t columns = layout.outer * layout.inner;
  const int64_t tasks = columns * layout.chunks;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < tasks; t += step) {
    int64_t column;
    const int64_t chunk = divide(t, columns, column);
    const int64_t begin = chunk * layout.chunk;
    const int64_t end = begin + layout.chunk < layout.dim ? begin + layout.chunk : layout.dim;
    const int64_t slot = column * layout.chunks + chunk;
    State state = kWrites && states != nullptr ? states[slot] : scanner.identity();
    const int64_t hop = layout.is_reversed ? -layout.inner : layout.inner;
    int64_t at = layout.offset(column, begin);
    int64_t k = begin;
    for (; k + kInFlight <= end; k += kInFlight, at += kInFlight * hop) {
      State loaded[kInFlight];
#pragma unroll
      for (int i = 0; i < kInFlight; ++i) loaded[i] = scanner.load(at + i * hop, k + i);
#pragma unroll
      for (int i = 0; i < kInFlight; ++i) {
        state = scanner.combine(state, loaded[i]);
        if constexpr (kWrites) scanner.store(at + i * hop, state);
      }
    }
    for (; k < end; ++k, at += hop) {
      state = scanner.combine(state, scanner.load(at, k));
      if constexpr (kWrites) scanner.store(at, state);
    }
    if constexpr (!kWrites) states[slot] = state;
  }
}

/// Replaces the totals of a row's chunks by what comes before each: a block for each row.
template <class S>
__global__ void __launch_bounds__(kThreads)
    scan_totals_kernel(S scanner, int64_t rows, int64_t chunks, typename S::State* states) {
  wait_for_stream();
  using State = typename S::State;
  __shared__ ScanTile<S> tile;
  for (int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    State* totals = states + row * chunks;
    State carry = scanner.identity();
    for (int64_t start = 0; start < chunks; start += kScanTile<S>) {
      const State before_tile = carry;
      for (int i = static_cast<int>(threadIdx.x); i < kScanTile<S>; i += kThreads) {
        tile.at(i) = start + i < chunks ? totals[start + i] : scanner.identity();
      }
      scan_tile(scanner, tile, carry);
      for (int i = static_cast<int>(threadIdx.x); i < kScanTile<S>; i += kThreads) {
        if (start + i < chunks) totals[start + i] = i == 0 ? before_tile : tile.at(i - 1);
      }
      __syncthreads();
    }
  }
}

}  // namespace taut::kernels::cuda
