#pragma once
// Sorting pairs of keys and positions on CUDA: what sorts, distinct values and indexed writes
// share.

#include <cstdint>

namespace taut::kernels::cuda {

/// Elements, and room for as many.
template <class T>
struct SortBuffer {
  T* data;
  T* spare;
};

/// Sorts n pairs by the bits [begin_bit, end_bit) of their keys, ascending; equal keys keep their
/// order. The result stands in `data` of both, which may have become what was `spare`. For
/// (uint32, uint32), (uint64, uint32) and (uint64, int64).
template <class K, class P>
void radix_sort_pairs(const char* op, SortBuffer<K>& keys, SortBuffer<P>& positions, int64_t n,
                      int begin_bit, int end_bit);

/// The bits that numbers from 0 to `largest` have.
inline int bits_of(uint64_t largest) {
  int bits = 1;
  while (bits < 64 && largest >> bits != 0) ++bits;
  return bits;
}

}  // namespace taut::kernels::cuda
