#pragma once
// Combining values into the elements that they are for, once those are sorted by element.

#include <cstdint>

#include "kernels/api/index.h"
#include "kernels/api/radix_sort.h"

namespace taut::kernels::cuda {

/// Offsets over dims in row-major order.
struct PutDims {
  int rank = 0;
  int64_t size[kMaxRank] = {};
  int64_t self[kMaxRank] = {};
  int64_t source[kMaxRank] = {};

  void push_back(int64_t n, int64_t self_stride, int64_t source_stride) {
    size[rank] = n;
    self[rank] = self_stride;
    source[rank] = source_stride;
    ++rank;
  }
  int64_t numel() const {
    int64_t product = 1;
    for (int d = 0; d < rank; ++d) product *= size[d];
    return product;
  }
};

/// The dims of a walk are of two kinds. Along a lane dim no index varies and self has a stride:
/// different coordinates are different elements of self, whatever the indices are. The others are
/// the keyed dims: the coordinates in them, with the indices, give an offset of self, the key.
/// Pairs of key and position (in row-major order of the keyed dims) are sorted by key, so that
/// whatever goes to one element stands side by side, in its order; every lane takes the same pairs.
/// The key is the offset from the lowest that can occur, in units of a common divisor of the
/// strides; a position whose index is out of range has the highest key and is left out.
struct SortedPut {
  const char* op = "";
  DType dtype = DType::float32;
  PutMode mode = PutMode::assign;
  bool include_self = true;
  double alpha = 1.0;
  void* self = nullptr;
  const void* source = nullptr;
  PutDims keyed;  // `self` strides are not used
  PutDims lanes;
  int64_t lowest = 0;     // the offset of self of key 0
  int64_t unit = 1;       // of a key
  uint64_t left_out = 0;  // the key of what is left out
};

/// Sorts the keys, whose positions are 0, 1, ..., and combines. K, P: uint32 both, or uint64 and
/// int64.
template <class K, class P>
void put_sorted(const SortedPut& put, SortBuffer<K> keys, SortBuffer<P> positions);

}  // namespace taut::kernels::cuda
