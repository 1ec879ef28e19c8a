// The radix sort of keys with positions (Merrill and Grimshaw, "Parallel scan for stream
// architectures", 2009; Adinets and Merrill, "Onesweep", 2022), as CUB has it.

#include <cub/device/device_radix_sort.cuh>

#include "kernels/api/cuda_launch.cuh"
#include "kernels/api/radix_sort.h"

namespace taut::kernels::cuda {
namespace {

template <class K, class P, class N>
void sort_pairs(const char* op, SortBuffer<K>& keys, SortBuffer<P>& positions, N n, int begin_bit,
                int end_bit) {
  cub::DoubleBuffer<K> key_buffer(keys.data, keys.spare);
  cub::DoubleBuffer<P> position_buffer(positions.data, positions.spare);
  size_t bytes = 0;
  check(op, cub::DeviceRadixSort::SortPairs(nullptr, bytes, key_buffer, position_buffer, n,
                                            begin_bit, end_bit, stream()));
  const taut::cuda::Scratch scratch(bytes);
  check(op, cub::DeviceRadixSort::SortPairs(scratch.data(), bytes, key_buffer, position_buffer, n,
                                            begin_bit, end_bit, stream()));
  check_launch(op);
  keys = {key_buffer.Current(), key_buffer.Alternate()};
  positions = {position_buffer.Current(), position_buffer.Alternate()};
}

}  // namespace

template <class K, class P>
void radix_sort_pairs(const char* op, SortBuffer<K>& keys, SortBuffer<P>& positions, int64_t n,
                      int begin_bit, int end_bit) {
  if (n < 2 || begin_bit >= end_bit) return;
  // Positions of 32 bits come with counts of as many.
  if constexpr (sizeof(P) == 4) {
    sort_pairs(op, keys, positions, static_cast<int32_t>(n), begin_bit, end_bit);
  } else {
    sort_pairs(op, keys, positions, n, begin_bit, end_bit);
  }
}

template void radix_sort_pairs(const char*, SortBuffer<uint32_t>&, SortBuffer<uint32_t>&, int64_t,
                               int, int);
template void radix_sort_pairs(const char*, SortBuffer<uint64_t>&, SortBuffer<uint32_t>&, int64_t,
                               int, int);
template void radix_sort_pairs(const char*, SortBuffer<uint64_t>&, SortBuffer<int64_t>&, int64_t,
                               int, int);

}  // namespace taut::kernels::cuda
