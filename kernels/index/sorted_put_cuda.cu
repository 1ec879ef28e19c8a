// Combining runs of equal keys; see SortedPut.
//
// Sorted pairs are cut into chunks of fixed length. A piece is the part of a run that lies in one
// chunk: one thread combines it, in order. A run of one piece is finished at once; the pieces of a
// longer one are kept, two for each chunk at most (the one at its start and the one at its end),
// and combined in a second launch. Where the cuts are depends on the sorted pairs only.

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/group_reduce.cuh"
#include "kernels/api/sorted_put.h"
#include "kernels/api/strided_offset.cuh"

namespace taut::kernels::cuda {
namespace {

constexpr int64_t kChunk = 128;

template <class K, class P>
struct SortedPairs {
  const K* keys;
  const P* positions;
  int64_t n;
  K left_out;

  __device__ bool is_head(int64_t i) const { return i == 0 || keys[i - 1] != keys[i]; }
  __device__ bool ends_at(int64_t i) const { return i + 1 == n || keys[i + 1] != keys[i]; }
  // The end of the run that i belongs to.
  __device__ int64_t run_end(int64_t i) const {
    const K key = keys[i];
    int64_t low = i + 1, high = n;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (keys[middle] == key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }
};

struct Destination {
  PutDims keyed;
  PutDims lanes;
  int64_t lowest;
  int64_t unit;

  template <class K>
  __device__ int64_t self_offset(K key, int64_t lane) const {
    return lowest + static_cast<int64_t>(key) * unit +
           offset_at(lane, lanes.rank, lanes.size, lanes.self);
  }
  __device__ int64_t lane_source(int64_t lane) const {
    return offset_at(lane, lanes.rank, lanes.size, lanes.source);
  }
  __device__ int64_t source_offset(int64_t position) const {
    return offset_at(position, keyed.rank, keyed.size, keyed.source);
  }
};

template <class E, class K, class P>
__global__ void __launch_bounds__(kThreads)
    put_last_kernel(SortedPairs<K, P> pairs, Destination to, E* self, const E* source,
                    int64_t lanes) {
  wait_for_stream();
  const int64_t total = pairs.n * lanes;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < total; t += step) {
    int64_t lane;
    const int64_t i = divide(t, lanes, lane);
    const K key = pairs.keys[i];
    if (key == pairs.left_out || !pairs.ends_at(i)) continue;
    self[to.self_offset(key, lane)] =
        source[to.source_offset(pairs.positions[i]) + to.lane_source(lane)];
  }
}

// What values of T are combined in.
template <class T>
using Combined = std::conditional_t<std::is_integral_v<T>, int64_t, Compute<T>>;

// How values are combined, and with what self held before. Integers wrap around.
template <class T>
struct Combination {
  using A = Combined<T>;
  using State = A;

  PutMode mode;
  bool include_self;
  A alpha;

  __device__ static A wrapping_sum(A a, A b) {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<A>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    } else {
      return a + b;
    }
  }
  __device__ static A wrapping_product(A a, A b) {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<A>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    } else {
      return a * b;
    }
  }
  __device__ A term(T value) const {
    const A wide = static_cast<A>(widen(value));
    return mode == PutMode::sum ? wrapping_product(alpha, wide) : wide;
  }
  __device__ A merge(A a, A b) const {
    switch (mode) {
      case PutMode::prod: return wrapping_product(a, b);
      case PutMode::amax: return a != a || !(b != b || b > a) ? a : b;
      case PutMode::amin: return a != a || !(b != b || b < a) ? a : b;
      default: return wrapping_sum(a, b);
    }
  }
  __device__ T finish(T before, A values, int64_t count) const {
    A result = include_self ? merge(static_cast<A>(widen(before)), values) : values;
    if (mode == PutMode::mean) result = divided(result, count + (include_self ? 1 : 0));
    return narrow<T>(static_cast<Compute<T>>(result));
  }

 private:
  // Integers as T holds them, rounded down.
  __device__ static A divided(A sum, int64_t count) {
    if constexpr (std::is_integral_v<T>) {
      const int64_t wide = static_cast<T>(sum);
      const int64_t quotient = wide / count;
      return wide % count != 0 && wide < 0 ? quotient - 1 : quotient;
    } else {
      return sum / static_cast<A>(count);
    }
  }
};

template <class T, int kCount>
struct alignas(sizeof(T) * kCount) LanePack {
  T values[kCount];
};

// Threads are pairs by packs of kPack lanes, which are neighbours in self and in source.
template <class T, class K, class P, int kPack>
__global__ void __launch_bounds__(kThreads)
    combine_pieces_kernel(Combination<T> combination, SortedPairs<K, P> pairs, Destination to,
                          T* self, const T* source, int64_t packs, Combined<T>* pieces) {
  wait_for_stream();
  using A = Combined<T>;
  using Pack = LanePack<T, kPack>;
  const int64_t total = pairs.n * packs;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t t = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; t < total; t += step) {
    int64_t pack;
    const int64_t i = divide(t, packs, pack);
    const K key = pairs.keys[i];
    if (key == pairs.left_out) continue;
    const bool starts_chunk = i % kChunk == 0;
    const bool starts_run = pairs.is_head(i);
    if (!starts_chunk && !starts_run) continue;

    const int64_t chunk_end = (i / kChunk + 1) * kChunk;
    const int64_t limit = chunk_end < pairs.n ? chunk_end : pairs.n;
    int64_t end = i + 1;
    while (end < limit && pairs.keys[end] == key) ++end;

    const int64_t lane = pack * kPack;
    const T* lane_source = source + to.lane_source(lane);
    const auto load = [&](int64_t pair) {
      return *reinterpret_cast<const Pack*>(lane_source + to.source_offset(pairs.positions[pair]));
    };
    A sums[kPack];
    const Pack first = load(i);
#pragma unroll
    for (int e = 0; e < kPack; ++e) sums[e] = combination.term(first.values[e]);
#pragma unroll 4
    for (int64_t j = i + 1; j < end; ++j) {
      const Pack next = load(j);
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        sums[e] = combination.merge(sums[e], combination.term(next.values[e]));
      }
    }

    const bool ends_run = pairs.ends_at(end - 1);
    if (starts_run && ends_run) {
      Pack* target = reinterpret_cast<Pack*>(self + to.self_offset(key, lane));
      Pack result{};
      if (combination.include_self) result = *target;
#pragma unroll
      for (int e = 0; e < kPack; ++e) {
        result.values[e] = combination.finish(result.values[e], sums[e], end - i);
      }
      *target = result;
    } else {
      A* piece = pieces + (2 * (i / kChunk) + (starts_chunk ? 0 : 1)) * packs * kPack + lane;
#pragma unroll
      for (int e = 0; e < kPack; ++e) piece[e] = sums[e];
    }
  }
}

// For each chunk that a longer run begins in, and each lane: a group of threads combines its
// pieces.
template <class T, class K, class P>
__global__ void __launch_bounds__(kThreads)
    combine_long_runs_kernel(Combination<T> combination, SortedPairs<K, P> pairs, Destination to,
                             T* self, int64_t lanes, int group, const Combined<T>* pieces) {
  wait_for_stream();
  using A = Combined<T>;
  const int64_t chunks = ceil_divide(pairs.n, kChunk);
  const int64_t total = chunks * lanes;
  const int member = static_cast<int>(threadIdx.x) % group;
  const int64_t step = int64_t{gridDim.x} * (blockDim.x / group);
  for (int64_t t = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / group; t < total; t += step) {
    int64_t lane;
    const int64_t chunk = divide(t, lanes, lane);
    const int64_t last = (chunk + 1) * kChunk - 1;
    if (last >= pairs.n || pairs.ends_at(last)) continue;
    const K key = pairs.keys[last];
    if (key == pairs.left_out) continue;
    const bool fills_chunk = pairs.keys[chunk * kChunk] == key;
    if (fills_chunk && !pairs.is_head(chunk * kChunk)) continue;

    const int64_t end = pairs.run_end(last);
    const int64_t last_chunk = (end - 1) / kChunk;
    A values = pieces[(2 * chunk + (fills_chunk ? 0 : 1)) * lanes + lane];
    if (member > 0 && chunk + member <= last_chunk) {
      values = pieces[2 * (chunk + member) * lanes + lane];
    }
    for (int64_t c = chunk + member + group; c <= last_chunk; c += group) {
      values = combination.merge(values, pieces[2 * c * lanes + lane]);
    }
    // Members without a piece have none to give.
    const int64_t given = last_chunk - chunk + 1;
    for (int offset = group / 2; offset > 0; offset /= 2) {
      const A other = shuffle_down(values, offset, group);
      if (member + offset < given) values = combination.merge(values, other);
    }
    if (member != 0) continue;

    int64_t first = chunk * kChunk;
    if (!fills_chunk) {
      first = last;
      while (pairs.keys[first - 1] == key) --first;
    }
    T* target = self + to.self_offset(key, lane);
    const T before = combination.include_self ? *target : T{};
    *target = combination.finish(before, values, end - first);
  }
}

template <class K, class P>
class PutLaunch {
 public:
  PutLaunch(const SortedPut& put, const K* keys, const P* positions)
      : put_(put),
        pairs_{keys, positions, put.keyed.numel(), static_cast<K>(put.left_out)},
        to_{put.keyed, put.lanes, put.lowest, put.unit},
        lanes_(put.lanes.numel()) {}

  void run() const {
    if (put_.mode == PutMode::assign) return assign();
    if (put_.dtype == DType::bool_) {  // a logical or
      return combine<uint8_t>(Combination<uint8_t>{PutMode::amax, put_.include_self, 1});
    }
    visit_numeric(put_.op, put_.dtype, [&]<class T>(TypeTag<T>) {
      using A = Combined<T>;
      combine<T>(Combination<T>{put_.mode, put_.include_self, static_cast<A>(put_.alpha)});
    });
  }

 private:
  void assign() const {
    visit_width(put_.dtype, [&]<class E>(TypeTag<E>) {
      launch_kernel(put_last_kernel<E, K, P>, {blocks_for(pairs_.n * lanes_), kThreads}, pairs_,
                    to_, static_cast<E*>(put_.self), static_cast<const E*>(put_.source), lanes_);
    });
    check_launch(put_.op);
  }

  template <class T>
  void combine(const Combination<T>& combination) const {
    constexpr int kPack =
        16 / static_cast<int>(sizeof(T)) < 8 ? 16 / static_cast<int>(sizeof(T)) : 8;
    const int64_t chunks = ceil_divide(pairs_.n, kChunk);
    const bool has_long_runs = chunks > 1;
    const taut::cuda::Scratch pieces(has_long_runs ? static_cast<size_t>(2 * chunks * lanes_) *
                                                         sizeof(Combined<T>)
                                                   : sizeof(Combined<T>));
    // Only floats, which gradients are made of, are worth kernels of their own.
    if constexpr (!std::is_integral_v<T> && sizeof(K) == 4) {
      if (has_lane_packs(kPack, sizeof(T))) {
        combine_pieces<T, kPack>(combination, pieces.as<Combined<T>>());
        return combine_long_runs<T>(combination, pieces.as<Combined<T>>());
      }
    }
    combine_pieces<T, 1>(combination, pieces.as<Combined<T>>());
    combine_long_runs<T>(combination, pieces.as<Combined<T>>());
  }

  template <class T, int kPack>
  void combine_pieces(const Combination<T>& combination, Combined<T>* pieces) const {
    const int64_t packs = lanes_ / kPack;
    launch_kernel(combine_pieces_kernel<T, K, P, kPack>, {blocks_for(pairs_.n * packs), kThreads},
                  combination, pairs_, to_, static_cast<T*>(put_.self),
                  static_cast<const T*>(put_.source), packs, pieces);
    check_launch(put_.op);
  }

  template <class T>
  void combine_long_runs(const Combination<T>& combination, const Combined<T>* pieces) const {
    const int64_t chunks = ceil_divide(pairs_.n, kChunk);
    if (chunks == 1) return;
    // With few lanes a warp shares the pieces of a run; with many, neighbouring lanes are threads.
    const int group = lanes_ < kWarp ? kWarp : 1;
    launch_kernel(combine_long_runs_kernel<T, K, P>,
                  {blocks_for(chunks * lanes_ * group), kThreads}, combination, pairs_, to_,
                  static_cast<T*>(put_.self), lanes_, group, pieces);
    check_launch(put_.op);
  }

  // Whether lanes can be taken in packs: a single run of them, aligned in self and in source for
  // every key and position.
  bool has_lane_packs(int pack, size_t item) const {
    const PutDims& lanes = put_.lanes;
    if (lanes.rank != 1 || lanes.self[0] != 1 || lanes.source[0] != 1) return false;
    bool fits = lanes.size[0] % pack == 0 && put_.unit % pack == 0 && put_.lowest % pack == 0;
    for (int d = 0; d < put_.keyed.rank; ++d) fits = fits && put_.keyed.source[d] % pack == 0;
    const uintptr_t addresses =
        reinterpret_cast<uintptr_t>(put_.self) | reinterpret_cast<uintptr_t>(put_.source);
    return fits && addresses % (static_cast<size_t>(pack) * item) == 0;
  }

  const SortedPut& put_;
  SortedPairs<K, P> pairs_;
  Destination to_;
  int64_t lanes_;
};

}  // namespace

template <class K, class P>
void put_sorted(const SortedPut& put, SortBuffer<K> keys, SortBuffer<P> positions) {
  radix_sort_pairs(put.op, keys, positions, put.keyed.numel(), 0, bits_of(put.left_out));
  PutLaunch<K, P>(put, keys.data, positions.data).run();
}

template void put_sorted(const SortedPut&, SortBuffer<uint32_t>, SortBuffer<uint32_t>);
template void put_sorted(const SortedPut&, SortBuffer<uint64_t>, SortBuffer<int64_t>);

}  // namespace taut::kernels::cuda
