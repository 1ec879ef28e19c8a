#pragma once
// The walk over an indexed result, as kernels see it; see Note [Indexed addresses].

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/index.h"
#include "kernels/api/strided_offset.cuh"

namespace taut::kernels::cuda {

/// One index tensor and what it indexes; strides for each dim of the walk.
struct WalkIndex {
  const void* data;
  int64_t dim_size;
  int64_t dim_stride;
  int64_t strides[kMaxRank];
};

/// `other` are the strides of the output or the source.
struct DeviceWalk {
  int rank;
  int index_count;
  bool wrap_negative;
  int64_t size[kMaxRank];
  int64_t self[kMaxRank];
  int64_t other[kMaxRank];
  WalkIndex indices[kMaxRank];

  int64_t numel() const {
    int64_t product = 1;
    for (int d = 0; d < rank; ++d) product *= size[d];
    return product;
  }
};

template <class Args>
DeviceWalk walk_of(const Args& args, const Dims& other_strides) {
  DeviceWalk walk{};
  walk.rank = args.size.rank();
  walk.index_count = args.index_count;
  walk.wrap_negative = args.wrap_negative;
  for (int d = 0; d < walk.rank; ++d) {
    walk.size[d] = args.size[d];
    walk.self[d] = args.self_strides[d];
    walk.other[d] = other_strides[d];
  }
  for (int j = 0; j < args.index_count; ++j) {
    const IndexedDim& from = args.indices[j];
    WalkIndex& to = walk.indices[j];
    to = {from.index, from.dim_size, from.dim_stride, {}};
    for (int d = 0; d < walk.rank; ++d) to.strides[d] = from.strides[d];
  }
  return walk;
}

/// Makes dim `to` what dim `from` is.
inline void move_dim(DeviceWalk& walk, int from, int to) {
  walk.size[to] = walk.size[from];
  walk.self[to] = walk.self[from];
  walk.other[to] = walk.other[from];
  for (int j = 0; j < walk.index_count; ++j) {
    walk.indices[j].strides[to] = walk.indices[j].strides[from];
  }
}

inline bool steps_as_one(const DeviceWalk& walk, int outer, int inner) {
  const int64_t n = walk.size[inner];
  bool joins =
      walk.self[outer] == walk.self[inner] * n && walk.other[outer] == walk.other[inner] * n;
  for (int j = 0; j < walk.index_count; ++j) {
    const int64_t* strides = walk.indices[j].strides;
    joins = joins && strides[outer] == strides[inner] * n;
  }
  return joins;
}

/// Drops dims of size 1 and merges neighbours that all tensors step through as one. The row-major
/// order of the elements stays.
inline void collapse(DeviceWalk& walk) {
  int rank = 0;
  for (int d = 0; d < walk.rank; ++d) {
    if (walk.size[d] == 1) continue;
    if (rank > 0 && steps_as_one(walk, rank - 1, d)) {
      const int64_t outer = walk.size[rank - 1];
      move_dim(walk, d, rank - 1);
      walk.size[rank - 1] *= outer;
    } else {
      move_dim(walk, d, rank++);
    }
  }
  walk.rank = rank;
}

/// Follows one index, whose entry stands at `offset`; false, and a report, when it is out of range.
template <class I>
__device__ inline bool follow(const DeviceWalk& walk, int j, int64_t offset,
                              const FaultReport& report, int64_t position, int64_t& self) {
  const WalkIndex& index = walk.indices[j];
  const int64_t given = static_cast<int64_t>(static_cast<const I*>(index.data)[offset]);
  const int64_t at = walk.wrap_negative && given < 0 ? given + index.dim_size : given;
  if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(index.dim_size)) {
    report(given, index.dim_size, position, j);
    return false;
  }
  self += at * index.dim_stride;
  return true;
}

/// The offsets of a position of the walk in self and in the other tensor; false when an index is
/// out of range, which is reported as at position * unit.
template <class I>
__device__ inline bool find(const DeviceWalk& walk, const FaultReport& report, int64_t position,
                            int64_t unit, int64_t& self, int64_t& other) {
  int64_t rest = position;
  int64_t first = 0;
  self = other = 0;
#pragma unroll 1
  for (int d = walk.rank - 1; d >= 0; --d) {
    int64_t index = rest;
    if (d > 0) rest = divide(rest, walk.size[d], index);
    self += index * walk.self[d];
    other += index * walk.other[d];
    first += index * walk.indices[0].strides[d];
  }
  bool is_there = true;
#pragma unroll 1
  for (int j = 0; j < walk.index_count; ++j) {
    const int64_t offset =
        j == 0 ? first : offset_at(position, walk.rank, walk.size, walk.indices[j].strides);
    is_there = is_there && follow<I>(walk, j, offset, report, position * unit, self);
  }
  return is_there;
}

}  // namespace taut::kernels::cuda
