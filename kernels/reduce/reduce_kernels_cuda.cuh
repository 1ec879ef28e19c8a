#pragma once
// The kernels that every reduction runs through, whatever it computes.
//
// A reducer R says what is computed:
//   In, Value           the type of an element in memory, and what it is widened to
//   State               trivially copyable, a multiple of 4 bytes
//   kPack               elements that are loaded as one, at most
//   kInFlight           loads that a thread has under way
//   identity(first)     the state of nothing; `first` is the first element of the slice
//   add(state, x, i)    takes in the element at row-major position i of the slice
//   merge(a, b)         where a's elements lie before b's or beside them
//   finish(state, at)   writes the result of an output
//
// Everything is cut by sizes and by the number of multiprocessors only, and merged in fixed order:
// a result has the same bits on every run.

#include <type_traits>

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/group_reduce.cuh"
#include "kernels/api/strided_offset.cuh"

namespace taut::kernels::cuda {

/// Blocks that a multiprocessor holds at once, which bounds the registers of a thread: enough for
/// some 48 KiB of loads under way.
constexpr int kResidentBlocks = 3;

/// A ReducePlan as kernels see it. With packs, the last reduced dim and its stride count packs.
struct ReduceLayout {
  int kept_rank;
  int reduced_rank;
  int64_t kept_shape[kMaxRank];
  int64_t kept_strides[kMaxRank];
  int64_t output_strides[kMaxRank];
  int64_t reduced_shape[kMaxRank];
  int64_t reduced_strides[kMaxRank];
  int64_t outputs;
  int64_t count;
};

__device__ inline int64_t input_offset(const ReduceLayout& layout, int64_t output) {
  return offset_at(output, layout.kept_rank, layout.kept_shape, layout.kept_strides);
}
__device__ inline int64_t output_offset(const ReduceLayout& layout, int64_t output) {
  return offset_at(output, layout.kept_rank, layout.kept_shape, layout.output_strides);
}
__device__ inline int64_t reduced_offset(const ReduceLayout& layout, int64_t position) {
  return offset_at(position, layout.reduced_rank, layout.reduced_shape, layout.reduced_strides);
}

/// Elements that are loaded and kept together.
template <class T, int kCount>
struct alignas(sizeof(T) * kCount) ElementPack {
  T values[kCount];
};

template <class R>
constexpr int kPackOf =
    R::kPack * sizeof(typename R::In) <= 16 ? R::kPack : 16 / sizeof(typename R::In);

/// The part of the positions [0, n) that the split of that number takes.
struct SplitRange {
  int64_t begin;
  int64_t end;
  __device__ SplitRange(int64_t n, int split, int splits)
      : begin(n / splits * split + (n % splits) * split / splits),
        end(n / splits * (split + 1) + (n % splits) * (split + 1) / splits) {}
};

/// A split of one slice, element by element, shared by `lanes` threads.
template <class R>
__device__ typename R::State reduce_elements(const R& reducer, const ReduceLayout& layout,
                                             const typename R::In* slice, int lane, int lanes,
                                             int split, int splits) {
  constexpr int kInFlight = R::kInFlight;
  typename R::State state = reducer.identity(widen(*slice));
  const SplitRange range(layout.count, split, splits);
  int64_t i = range.begin + lane;
  for (; i + (kInFlight - 1) * lanes < range.end; i += kInFlight * lanes) {
    typename R::In loaded[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) loaded[k] = slice[reduced_offset(layout, i + k * lanes)];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) reducer.add(state, widen(loaded[k]), i + k * lanes);
  }
  for (; i < range.end; i += lanes) {
    reducer.add(state, widen(slice[reduced_offset(layout, i)]), i);
  }
  return state;
}

/// The same by packs, and what lies before the first and after the last pack of a single run.
template <class R>
__device__ typename R::State reduce_packs(const R& reducer, const ReduceLayout& layout,
                                          const typename R::In* slice, int lane, int lanes,
                                          int split, int splits) {
  using In = typename R::In;
  constexpr int kPack = kPackOf<R>;
  constexpr int kInFlight = R::kInFlight;
  constexpr int kStates = kPack < 4 ? kPack : 4;
  using Pack = ElementPack<In, kPack>;
  typename R::State states[kStates];
#pragma unroll
  for (int k = 0; k < kStates; ++k) states[k] = reducer.identity(widen(*slice));

  const int64_t past = static_cast<int64_t>(reinterpret_cast<uintptr_t>(slice) % sizeof(Pack));
  const int64_t missing = past == 0 ? 0 : (sizeof(Pack) - past) / sizeof(In);
  const int64_t head = missing < layout.count ? missing : layout.count;
  const int64_t packs = (layout.count - head) / kPack;
  if (split == 0) {
    for (int64_t i = lane; i < head; i += lanes) reducer.add(states[0], widen(slice[i]), i);
  }

  const In* body = slice + head;
  const SplitRange range(packs, split, splits);
  const auto take = [&](const Pack& pack, int64_t p) {
#pragma unroll
    for (int e = 0; e < kPack; ++e) {
      reducer.add(states[e % kStates], widen(pack.values[e]), head + p * kPack + e);
    }
  };
  const auto load = [&](int64_t p) {
    return *reinterpret_cast<const Pack*>(body + reduced_offset(layout, p));
  };
  int64_t p = range.begin + lane;
  for (; p + (kInFlight - 1) * lanes < range.end; p += kInFlight * lanes) {
    Pack loaded[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) loaded[k] = load(p + k * lanes);
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) take(loaded[k], p + k * lanes);
  }
  for (; p < range.end; p += lanes) take(load(p), p);

  if (split == splits - 1) {
    for (int64_t i = head + packs * kPack + lane; i < layout.count; i += lanes) {
      reducer.add(states[0], widen(slice[i]), i);
    }
  }
#pragma unroll
  for (int half = kStates / 2; half > 0; half /= 2) {
#pragma unroll
    for (int k = 0; k < half; ++k) states[k] = reducer.merge(states[k], states[k + half]);
  }
  return states[0];
}

/// Slices whose elements are neighbours: a group of threads for each, or for each of its splits
/// (blockIdx.y), whose states go to `partial` [output][split].
template <class R, bool kPacked>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    reduce_rows_kernel(R reducer, ReduceLayout layout, const typename R::In* input, int group,
                       typename R::State* partial) {
  __shared__ typename R::State across[kThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x) % group;
  const int rows = static_cast<int>(blockDim.x) / group;
  const int split = static_cast<int>(blockIdx.y);
  const int splits = static_cast<int>(gridDim.y);
  const int64_t step = int64_t{gridDim.x} * rows;
  for (int64_t first = int64_t{blockIdx.x} * rows; first < layout.outputs; first += step) {
    const int64_t output = first + static_cast<int>(threadIdx.x) / group;
    const bool is_there = output < layout.outputs;
    const typename R::In* slice = input + input_offset(layout, is_there ? output : first);
    typename R::State state = reducer.identity(widen(*slice));
    if (is_there) {
      if constexpr (kPacked) {
        state = reduce_packs(reducer, layout, slice, lane, group, split, splits);
      } else {
        state = reduce_elements(reducer, layout, slice, lane, group, split, splits);
      }
    }
    state = reduce_group(reducer, state, group, across);
    if (!is_there || lane != 0) continue;
    if (partial != nullptr) {
      partial[output * splits + split] = state;
    } else {
      reducer.finish(state, output_offset(layout, output));
    }
  }
}

/// Where the neighbours are of different outputs: a block reduces a tile of columns, `lanes`
/// threads of kCols columns each side by side, the others further down the rows.
template <class R, int kCols>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    reduce_columns_kernel(R reducer, ReduceLayout layout, const typename R::In* input, int lanes,
                          typename R::State* partial) {
  using In = typename R::In;
  using State = typename R::State;
  using Pack = ElementPack<In, kCols>;
  constexpr int kInFlight = R::kInFlight;
  __shared__ State tile[kThreads * kCols];
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int depth = static_cast<int>(threadIdx.x) / lanes;
  const int depths = kThreads / lanes;
  const int split = static_cast<int>(blockIdx.y);
  const int splits = static_cast<int>(gridDim.y);
  const int64_t cols = layout.kept_shape[layout.kept_rank - 1];
  const int64_t col_stride = layout.kept_strides[layout.kept_rank - 1];
  const int64_t tiles_across = (cols + lanes * kCols - 1) / (lanes * kCols);
  const int64_t tiles = layout.outputs / cols * tiles_across;
  const SplitRange range(layout.count, split, splits);
  for (int64_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const int64_t first = (t % tiles_across * lanes + lane) * kCols;
    const int64_t output = t / tiles_across * cols + first;
    const bool is_there = first < cols;
    State states[kCols];
    if (is_there) {
      const In* column = input + input_offset(layout, output);
      const auto load = [&](int64_t row) {
        const In* from = column + reduced_offset(layout, row);
        if constexpr (kCols > 1) {
          return *reinterpret_cast<const Pack*>(from);
        } else {
          return Pack{{*from}};
        }
      };
      const auto take = [&](const Pack& pack, int64_t row) {
#pragma unroll
        for (int c = 0; c < kCols; ++c) reducer.add(states[c], widen(pack.values[c]), row);
      };
#pragma unroll
      for (int c = 0; c < kCols; ++c) states[c] = reducer.identity(widen(column[c * col_stride]));
      int64_t row = range.begin + depth;
      for (; row + (kInFlight - 1) * depths < range.end; row += kInFlight * depths) {
        Pack loaded[kInFlight];
#pragma unroll
        for (int k = 0; k < kInFlight; ++k) loaded[k] = load(row + k * depths);
#pragma unroll
        for (int k = 0; k < kInFlight; ++k) take(loaded[k], row + k * depths);
      }
      for (; row < range.end; row += depths) take(load(row), row);
#pragma unroll
      for (int c = 0; c < kCols; ++c) tile[c * kThreads + threadIdx.x] = states[c];
    }
    for (int half = depths / 2; half > 0; half /= 2) {
      __syncthreads();
      if (is_there && depth < half) {
#pragma unroll
        for (int c = 0; c < kCols; ++c) {
          State* mine = &tile[c * kThreads + threadIdx.x];
          *mine = reducer.merge(*mine, mine[half * lanes]);
        }
      }
    }
    if (is_there && depth == 0) {
#pragma unroll
      for (int c = 0; c < kCols; ++c) {
        const State& state = tile[c * kThreads + threadIdx.x];
        if (partial != nullptr) {
          partial[(output + c) * splits + split] = state;
        } else {
          reducer.finish(state, output_offset(layout, output + c));
        }
      }
    }
    __syncthreads();
  }
}

/// Merges the states of the splits of each output; without any, writes what nothing gives.
template <class R>
__global__ void __launch_bounds__(kThreads)
    combine_splits_kernel(R reducer, ReduceLayout layout, int group, int splits,
                          const typename R::State* partial) {
  using Value = typename R::Value;
  __shared__ typename R::State across[kThreads / kWarp];
  const int lane = static_cast<int>(threadIdx.x) % group;
  const int rows = static_cast<int>(blockDim.x) / group;
  const int64_t step = int64_t{gridDim.x} * rows;
  for (int64_t first = int64_t{blockIdx.x} * rows; first < layout.outputs; first += step) {
    const int64_t output = first + static_cast<int>(threadIdx.x) / group;
    const bool is_there = output < layout.outputs;
    typename R::State state = reducer.identity(Value(0));
    if (is_there && lane < splits) {
      state = partial[output * splits + lane];
      for (int s = lane + group; s < splits; s += group) {
        state = reducer.merge(state, partial[output * splits + s]);
      }
    }
    state = reduce_group(reducer, state, group, across);
    if (is_there && lane == 0) reducer.finish(state, output_offset(layout, output));
  }
}

}  // namespace taut::kernels::cuda
