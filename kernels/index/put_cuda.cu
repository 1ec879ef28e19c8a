// Indexed writes: each element's place in self becomes a key, and what has the same key is combined
// in order; see SortedPut.

#include "kernels/api/sorted_put.h"
#include "kernels/index/index_cuda.h"
#include "kernels/index/indexed_walk.cuh"

namespace taut::kernels::cuda {
namespace {

template <class I, class K, class P>
__global__ void __launch_bounds__(kThreads)
    put_keys_kernel(DeviceWalk keyed, FaultReport report, int64_t lowest, int64_t unit, K left_out,
                    int64_t lanes, K* keys, P* positions, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t at, source;
    const bool is_there = find<I>(keyed, report, i, lanes, at, source);
    keys[i] = is_there ? static_cast<K>((at - lowest) / unit) : left_out;
    positions[i] = static_cast<P>(i);
  }
}

bool is_lane(const DeviceWalk& walk, int d) {
  bool varies = false;
  for (int j = 0; j < walk.index_count; ++j) varies = varies || walk.indices[j].strides[d] != 0;
  return !varies && walk.self[d] != 0;
}

// Takes the lanes out of a walk.
PutDims split_lanes(DeviceWalk& walk) {
  PutDims lanes;
  int rank = 0;
  for (int d = 0; d < walk.rank; ++d) {
    if (is_lane(walk, d)) {
      lanes.push_back(walk.size[d], walk.self[d], walk.other[d]);
    } else {
      move_dim(walk, d, rank++);
    }
  }
  walk.rank = rank;
  return lanes;
}

int64_t greatest_common_divisor(int64_t a, int64_t b) {
  while (b != 0) {
    const int64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

// The offsets of self that the keyed dims and the indices reach.
struct Reach {
  int64_t lowest = 0;
  int64_t highest = 0;
  int64_t unit = 0;

  void add(int64_t n, int64_t stride) {
    if (n < 2 || stride == 0) return;
    const int64_t far = (n - 1) * stride;
    (far < 0 ? lowest : highest) += far;
    unit = greatest_common_divisor(stride < 0 ? -stride : stride, unit);
  }
  uint64_t keys() const {
    return static_cast<uint64_t>((highest - lowest) / (unit == 0 ? 1 : unit)) + 1;
  }
};

Reach reach_of(const DeviceWalk& keyed) {
  Reach reach;
  for (int d = 0; d < keyed.rank; ++d) reach.add(keyed.size[d], keyed.self[d]);
  for (int j = 0; j < keyed.index_count; ++j) {
    reach.add(keyed.indices[j].dim_size, keyed.indices[j].dim_stride);
  }
  return reach;
}

template <class K, class P>
void put_with_keys(const SortedPut& put, const DeviceWalk& keyed, DType index_dtype) {
  const int64_t n = keyed.numel();
  const taut::cuda::Scratch memory(static_cast<size_t>(n) * 2 * (sizeof(K) + sizeof(P)));
  const SortBuffer<K> keys{memory.as<K>(), memory.as<K>() + n};
  P* positions = reinterpret_cast<P*>(memory.as<K>() + 2 * n);
  const FaultReport report(put.op);
  const K left_out = static_cast<K>(put.left_out);
  const int64_t lanes = put.lanes.numel();
  if (index_dtype == DType::int32) {
    launch_kernel(put_keys_kernel<int32_t, K, P>, {blocks_for(n), kThreads}, keyed, report,
                  put.lowest, put.unit, left_out, lanes, keys.data, positions, n);
  } else {
    launch_kernel(put_keys_kernel<int64_t, K, P>, {blocks_for(n), kThreads}, keyed, report,
                  put.lowest, put.unit, left_out, lanes, keys.data, positions, n);
  }
  check_launch(put.op);
  put_sorted(put, keys, SortBuffer<P>{positions, positions + n});
}

}  // namespace

IndexResult put(const IndexPutArgs& args) {
  if (args.size.numel() == 0) return {};
  DeviceWalk walk = walk_of(args, args.source_strides);
  collapse(walk);
  SortedPut put;
  put.op = args.op;
  put.dtype = args.dtype;
  put.mode = args.mode;
  put.include_self = args.include_self;
  put.alpha = args.alpha;
  put.self = args.self;
  put.source = args.source;
  put.lanes = split_lanes(walk);
  for (int d = 0; d < walk.rank; ++d)
    put.keyed.push_back(walk.size[d], walk.self[d], walk.other[d]);
  const Reach reach = reach_of(walk);
  put.lowest = reach.lowest;
  put.unit = reach.unit == 0 ? 1 : reach.unit;
  put.left_out = reach.keys();
  constexpr int64_t kShort = int64_t{1} << 31;
  if (walk.numel() < kShort && put.left_out < (uint64_t{1} << 32)) {
    put_with_keys<uint32_t, uint32_t>(put, walk, args.index_dtype);
  } else {
    put_with_keys<uint64_t, int64_t>(put, walk, args.index_dtype);
  }
  return {};
}

}  // namespace taut::kernels::cuda
