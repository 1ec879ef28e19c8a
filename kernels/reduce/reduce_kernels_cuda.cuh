#pragma once
// The kernels that every reduction runs through, whatever it computes.
//
// A reducer R says what is computed:
//   In, Value           the type of an element in memory, and what it is widened to
//   State               trivially copyable, a multiple of 4 bytes
//   kPack               elements that are loaded as one, at most
//   kInFlight           loads that a thread has under way, and twice as many in a long run
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
#include "kernels/api/packs.cuh"
#include "kernels/api/strided_offset.cuh"

namespace taut::kernels::cuda {

/// Blocks that a multiprocessor holds at once, which bounds the registers of a thread: enough for
/// some 96 KiB of loads under way.
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

/// Elements that are loaded and kept together: as a word until they are used, because elements of
/// 16 bits take a register each.
template <class T, int kCount>
struct ElementPack {
  using Word = typename AccessWord<kCount* static_cast<int>(sizeof(T))>::type;
  Word word;

  __device__ static ElementPack load(const T* from) {
    return {*reinterpret_cast<const Word*>(from)};
  }
  __device__ void unpack(Compute<T> (&values)[kCount]) const { widen_words<T>(word, values); }
};

template <class R>
constexpr int kPackOf =
    R::kPack * sizeof(typename R::In) <= 16 ? R::kPack : 16 / sizeof(typename R::In);

/// The part of the positions [0, n) that the split of that number takes.
struct SplitRange {
  int64_t begin;
  int64_t end;
  __device__ SplitRange(int64_t n, int split, int splits) : begin(0), end(n) {
    // Divisions would keep the first load waiting.
    if (splits == 1) return;
    begin = n / splits * split + (n % splits) * split / splits;
    end = n / splits * (split + 1) + (n % splits) * (split + 1) / splits;
  }
};

/// take(load(i), i) for i = begin, begin + step, ... below end, in this order, with kInFlight loads
/// issued before the first is used.
template <int kInFlight, class Load, class Take>
__device__ inline void take_in_batches(int64_t begin, int64_t end, int step, const Load& load,
                                       const Take& take) {
  using Loaded = decltype(load(begin));
  int64_t i = begin;
  for (; i + (kInFlight - 1) * step < end; i += kInFlight * step) {
    Loaded loaded[kInFlight];
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) loaded[k] = load(i + k * step);
#pragma unroll
    for (int k = 0; k < kInFlight; ++k) take(loaded[k], i + k * step);
  }
  if constexpr (kInFlight > 1) {
    if (i >= end) return;
    Loaded loaded[kInFlight - 1];
#pragma unroll
    for (int k = 0; k < kInFlight - 1; ++k) {
      if (i + k * step < end) loaded[k] = load(i + k * step);
    }
#pragma unroll
    for (int k = 0; k < kInFlight - 1; ++k) {
      if (i + k * step < end) take(loaded[k], i + k * step);
    }
  }
}

/// How the elements of a slice are read.
enum class SliceAccess : uint8_t {
  elements,  // one by one, from any strides
  packs,     // in packs, where all runs begin and end at packs
  run,       // in packs, from a single contiguous run that begins anywhere
};

/// What `lanes` threads share: a slice, or one of the splits that it is cut into.
template <class R>
struct SliceShare {
  const R& reducer;
  const ReduceLayout& layout;
  const typename R::In* slice;
  int lane, lanes;
  int split, splits;

  __device__ typename R::State nothing() const { return reducer.identity(widen(*slice)); }
};

template <class R>
__device__ typename R::State reduce_elements(const SliceShare<R>& share) {
  typename R::State state = share.nothing();
  const SplitRange range(share.layout.count, share.split, share.splits);
  take_in_batches<R::kInFlight>(
      range.begin + share.lane, range.end, share.lanes,
      [&](int64_t i) { return share.slice[reduced_offset(share.layout, i)]; },
      [&](typename R::In x, int64_t i) { share.reducer.add(state, widen(x), i); });
  return state;
}

/// Packs 0 to `packs` - 1, the first of which begins at element `first`; offset(p) says where pack
/// p lies behind it.
template <int kInFlight, class R, class Offset>
__device__ typename R::State reduce_packs(const SliceShare<R>& share, int64_t first, int64_t packs,
                                          const Offset& offset) {
  constexpr int kPack = kPackOf<R>;
  constexpr int kStates = kPack < 4 ? kPack : 4;
  using Pack = ElementPack<typename R::In, kPack>;
  typename R::State states[kStates];
#pragma unroll
  for (int k = 0; k < kStates; ++k) states[k] = share.nothing();
  const SplitRange range(packs, share.split, share.splits);
  take_in_batches<kInFlight>(
      range.begin + share.lane, range.end, share.lanes,
      [&](int64_t p) { return Pack::load(share.slice + first + offset(p)); },
      [&](const Pack& pack, int64_t p) {
        Compute<typename R::In> values[kPack];
        pack.unpack(values);
#pragma unroll
        for (int e = 0; e < kPack; ++e) {
          share.reducer.add(states[e % kStates], values[e], first + p * kPack + e);
        }
      });
#pragma unroll
  for (int half = kStates / 2; half > 0; half /= 2) {
#pragma unroll
    for (int k = 0; k < half; ++k) {
      states[k] = share.reducer.merge(states[k], states[k + half]);
    }
  }
  return states[0];
}

/// The packs of a run, and what lies before the first and after the last: the edges, which the
/// first split takes. A thread's first edge is under way while the packs are read.
template <int kInFlight, class R>
__device__ typename R::State reduce_run(const SliceShare<R>& share) {
  using In = typename R::In;
  using State = typename R::State;
  constexpr int kPack = kPackOf<R>;
  constexpr int kPackBytes = kPack * static_cast<int>(sizeof(In));
  const int64_t count = share.layout.count;
  const int past = static_cast<int>(reinterpret_cast<uintptr_t>(share.slice) % kPackBytes);
  const int missing = (kPackBytes - past) % kPackBytes / static_cast<int>(sizeof(In));
  const int64_t head = missing < count ? missing : count;
  const int64_t packs = (count - head) / kPack;
  const int edges = share.split == 0 ? static_cast<int>(count - packs * kPack) : 0;
  const auto edge_at = [&](int i) { return i < head ? int64_t{i} : i + packs * kPack; };

  In edge{};
  if (share.lane < edges) edge = share.slice[edge_at(share.lane)];
  State state = reduce_packs<kInFlight>(share, head, packs, [](int64_t p) { return p * kPack; });
  if (share.lane >= edges) return state;
  State of_edges = share.nothing();
  share.reducer.add(of_edges, widen(edge), edge_at(share.lane));
#pragma unroll 1
  for (int i = share.lane + share.lanes; i < edges; i += share.lanes) {
    share.reducer.add(of_edges, widen(share.slice[edge_at(i)]), edge_at(i));
  }
  return share.reducer.merge(state, of_edges);
}

template <SliceAccess kAccess, bool kIsLong, class R>
__device__ typename R::State reduce_share(const SliceShare<R>& share) {
  if constexpr (kAccess == SliceAccess::elements) {
    return reduce_elements(share);
  } else if constexpr (kAccess == SliceAccess::run) {
    constexpr int kInFlight = kIsLong ? 2 * R::kInFlight : R::kInFlight;
    return reduce_run<kInFlight>(share);
  } else {
    return reduce_packs<R::kInFlight>(share, 0, share.layout.count / kPackOf<R>,
                                      [&](int64_t p) { return reduced_offset(share.layout, p); });
  }
}

/// The threads of a block in groups of a power of two.
struct Groups {
  int lane;    // of this thread in its group
  int number;  // of this thread's group
  int count;

  __device__ explicit Groups(int size) {
    const int shift = __ffs(size) - 1;
    lane = static_cast<int>(threadIdx.x) & (size - 1);
    number = static_cast<int>(threadIdx.x) >> shift;
    count = kThreads >> shift;
  }
};

/// Slices whose elements are neighbours: a group of threads for each, or for each of its splits
/// (blockIdx.y), whose states go to `partial` [output][split]. kGroup is the size of a group that
/// the compiler knows, so that loads need no registers for their addresses, or 0.
template <class R, SliceAccess kAccess, int kGroup>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    reduce_rows_kernel(const __grid_constant__ R reducer,
                       const __grid_constant__ ReduceLayout layout, const typename R::In* input,
                       int any_group, typename R::State* partial) {
  wait_for_stream();
  __shared__ typename R::State across[kThreads / kWarp];
  const int group = kGroup > 0 ? kGroup : any_group;
  const Groups groups(group);
  const int split = static_cast<int>(blockIdx.y);
  const int splits = static_cast<int>(gridDim.y);
  const int64_t step = int64_t{gridDim.x} * groups.count;
  for (int64_t first = int64_t{blockIdx.x} * groups.count; first < layout.outputs; first += step) {
    const int64_t output = first + groups.number;
    const bool is_there = output < layout.outputs;
    const typename R::In* slice = input + input_offset(layout, is_there ? output : first);
    const SliceShare<R> share{reducer, layout, slice, groups.lane, group, split, splits};
    typename R::State state =
        is_there ? reduce_share<kAccess, (kGroup > 0)>(share) : share.nothing();
    state = reduce_group(reducer, state, group, across);
    if (!is_there || groups.lane != 0) continue;
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
  wait_for_stream();
  using In = typename R::In;
  using State = typename R::State;
  using Pack = ElementPack<In, kCols>;
  __shared__ State tile[kThreads * kCols];
  const Groups groups(lanes);
  const int lane = groups.lane, depth = groups.number, depths = groups.count;
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
        return Pack::load(column + reduced_offset(layout, row));
      };
      const auto take = [&](const Pack& pack, int64_t row) {
        Compute<In> values[kCols];
        pack.unpack(values);
#pragma unroll
        for (int c = 0; c < kCols; ++c) reducer.add(states[c], values[c], row);
      };
#pragma unroll
      for (int c = 0; c < kCols; ++c) states[c] = reducer.identity(widen(column[c * col_stride]));
      take_in_batches<R::kInFlight>(range.begin + depth, range.end, depths, load, take);
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
  wait_for_stream();
  using Value = typename R::Value;
  __shared__ typename R::State across[kThreads / kWarp];
  const Groups groups(group);
  const int lane = groups.lane;
  const int64_t step = int64_t{gridDim.x} * groups.count;
  for (int64_t first = int64_t{blockIdx.x} * groups.count; first < layout.outputs; first += step) {
    const int64_t output = first + groups.number;
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
