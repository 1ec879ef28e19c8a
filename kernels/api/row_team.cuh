#pragma once
// The threads that work on one row together: a power of two of them up to 32, side by side in a
// warp, so that a block takes several short rows; or all threads of a block.
//   const TeamPlan plan = plan_teams(rows, threads_wanted);               // on the host
//   const RowTeam team(plan.lanes);                                       // in the kernel
//   const float total = team.fold(mine, Sum{});

#include <cstdint>

#include "kernels/api/packs.cuh"

namespace taut::kernels::cuda {

constexpr int kWarp = 32;
constexpr int kMaxLanes = 1024;

struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
  template <class T>
  __device__ static T identity() {
    return T(0);
  }
};

template <class T>
__device__ inline T lowest() {
  return -static_cast<T>(INFINITY);
}

/// NaN gives way to numbers.
struct Max {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
  __device__ double operator()(double a, double b) const { return fmax(a, b); }
  template <class T>
  __device__ static T identity() {
    return lowest<T>();
  }
};

/// A value of the lane whose number differs in the bits of `mask`.
template <class T>
__device__ inline T shuffle_xor(T value, int mask) {
  static_assert(sizeof(T) % 4 == 0);
  constexpr int kWords = static_cast<int>(sizeof(T) / 4);
  uint32_t words[kWords];
  memcpy(words, &value, sizeof(T));
#pragma unroll
  for (int i = 0; i < kWords; ++i) words[i] = __shfl_xor_sync(0xffffffffu, words[i], mask);
  memcpy(&value, words, sizeof(T));
  return value;
}

/// `values` of `lanes` neighbours (a power of two up to 32) folded; the same bits in each of them
/// where op(a, b) is op(b, a).
template <class T, class Op>
__device__ inline T fold_lanes(T value, Op op, int lanes = kWarp) {
  for (int mask = lanes / 2; mask > 0; mask /= 2) value = op(value, shuffle_xor(value, mask));
  return value;
}

struct RowTeam {
  int lanes;
  int lane;
  int64_t row;

  __device__ explicit RowTeam(int team_lanes) : lanes(team_lanes) {
    if (lanes > kWarp) {
      lane = static_cast<int>(threadIdx.x);
      row = blockIdx.x;
    } else {
      lane = static_cast<int>(threadIdx.x) & (lanes - 1);
      row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / static_cast<unsigned>(lanes);
    }
  }

  /// The team's values folded in a fixed order, in every thread of it. All threads of the block
  /// must call it.
  template <class T, class Op>
  __device__ T fold(T value, Op op) const {
    if (lanes < kWarp) return fold_lanes(value, op, lanes);
    value = fold_lanes(value, op);
    if (lanes == kWarp) return value;
    __shared__ alignas(16) unsigned char memory[kWarp * sizeof(T)];
    __syncthreads();  // the fold before has been read
    return fold_warps(value, op, reinterpret_cast<T*>(memory));
  }

  /// The same of a call whose `turn` differs from that of the one before, in its last bit: each of
  /// the two has room of its own, which saves a barrier.
  template <class T, class Op>
  __device__ T fold(T value, Op op, int turn) const {
    if (lanes < kWarp) return fold_lanes(value, op, lanes);
    value = fold_lanes(value, op);
    if (lanes == kWarp) return value;
    __shared__ alignas(16) unsigned char memory[2][kWarp * sizeof(T)];
    return fold_warps(value, op, reinterpret_cast<T*>(memory[turn & 1]));
  }

 private:
  // What the warps of a team have together.
  template <class T, class Op>
  __device__ T fold_warps(T value, Op op, T* partial) const {
    if (lane % kWarp == 0) partial[lane / kWarp] = value;
    __syncthreads();
    const int warps = lanes / kWarp;
    value = lane % kWarp < warps ? partial[lane % kWarp] : Op::template identity<T>();
    return fold_lanes(value, op);
  }
};

/// How rows are given to teams.
struct TeamPlan {
  int lanes;
  int threads;  // of a block
  unsigned blocks;
};

/// Teams of about `wanted` threads for each of `rows` rows.
inline TeamPlan plan_teams(int64_t rows, int64_t wanted) {
  TeamPlan plan;
  if (wanted > kWarp) {
    const int64_t whole = (wanted + kWarp - 1) / kWarp * kWarp;
    plan.lanes = static_cast<int>(whole < kMaxLanes ? whole : kMaxLanes);
    plan.threads = plan.lanes;
    plan.blocks = static_cast<unsigned>(rows);
    return plan;
  }
  plan.lanes = 1;
  while (plan.lanes < wanted) plan.lanes *= 2;
  plan.threads = kThreads;
  const int64_t rows_per_block = kThreads / plan.lanes;
  plan.blocks = static_cast<unsigned>((rows + rows_per_block - 1) / rows_per_block);
  return plan;
}

/// Whether teams of threads with `items` elements each still fill the chip. Then they are better
/// than larger teams of threads with fewer: there are more loads under way and fewer barriers.
inline bool fills_chip(int64_t rows, int64_t n, int items) {
  constexpr int64_t kThreadsOfMultiprocessor = 1024;
  return rows * ((n + items - 1) / items) >= kThreadsOfMultiprocessor * multiprocessors();
}

/// The n elements of a row in the registers of a team, kItems to a thread, in packs of kPack:
/// lanes * kItems >= n, n % kPack == 0. What lies past the end becomes `filler`.
template <int kPack, int kItems, class T>
__device__ inline void load_row(const RowTeam& team, const T* row, int n, Compute<T> filler,
                                Compute<T> (&values)[kItems]) {
  static_assert(kItems % kPack == 0);
#pragma unroll
  for (int j = 0; j < kItems / kPack; ++j) {
    const int at = (j * team.lanes + team.lane) * kPack;
    Compute<T> part[kPack];
    if (at < n) {
      load_widened<kPack>(row + at, part);
    } else {
#pragma unroll
      for (int e = 0; e < kPack; ++e) part[e] = filler;
    }
#pragma unroll
    for (int e = 0; e < kPack; ++e) values[j * kPack + e] = part[e];
  }
}

template <int kPack, int kItems, class T>
__device__ inline void store_row(const RowTeam& team, T* row, int n,
                                 const Compute<T> (&values)[kItems]) {
#pragma unroll
  for (int j = 0; j < kItems / kPack; ++j) {
    const int at = (j * team.lanes + team.lane) * kPack;
    if (at >= n) continue;
    Compute<T> part[kPack];
#pragma unroll
    for (int e = 0; e < kPack; ++e) part[e] = values[j * kPack + e];
    store_narrowed<kPack>(row + at, part);
  }
}

}  // namespace taut::kernels::cuda
