#pragma once
// Sorting whole tensors: the positions of all elements in the order of their rows and, within each,
// of their keys.
//
// A key and the number of its row make one number where they fit 64 bits; wider keys are sorted
// first and the rows after, which leaves each row in order.

#include "kernels/api/radix_sort.h"
#include "kernels/api/strided_offset.cuh"
#include "kernels/sort/row_task.h"
#include "kernels/sort/sort_key.cuh"

namespace taut::kernels::cuda {

/// Some rows of a tensor; element i of row r lies at offset(r) + i * step.
template <class T>
struct RowGroup {
  const T* data;
  int64_t first;  // row of the walk
  int64_t rows;
  int64_t length;
  int64_t step;
  int rank;
  int64_t size[kMaxRank];
  int64_t strides[kMaxRank];

  RowGroup(const RowWalk& walk, const T* input, int64_t first_row, int64_t row_count)
      : data(input),
        first(first_row),
        rows(row_count),
        length(walk.length),
        step(walk.input_step),
        rank(walk.rank) {
    for (int d = 0; d < rank; ++d) {
      size[d] = walk.size[d];
      strides[d] = walk.input_strides[d];
    }
  }
  int64_t numel() const { return rows * length; }
  __device__ const T* row(int64_t r) const {
    return data + offset_at(first + r, rank, size, strides);
  }
  __device__ T at(int64_t r, int64_t i) const { return row(r)[i * step]; }
};

namespace row_positions {

template <class T, class K, class P>
__global__ void __launch_bounds__(kThreads)
    make_keys_kernel(RowGroup<T> group, bool descending, bool with_rows, K* keys, P* positions,
                     int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; p < n; p += step) {
    int64_t i;
    const int64_t r = divide(p, group.length, i);
    K key = key_of(group.at(r, i), descending);
    if constexpr (sizeof(K) > sizeof(T)) {
      if (with_rows) key |= static_cast<K>(r) << (8 * sizeof(T));
    }
    keys[p] = key;
    positions[p] = static_cast<P>(p);
  }
}

template <class K, class P>
__global__ void __launch_bounds__(kThreads)
    make_row_keys_kernel(const P* positions, int64_t length, K* keys, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t p = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; p < n; p += step) {
    int64_t i;
    keys[p] = static_cast<K>(divide(static_cast<int64_t>(positions[p]), length, i));
  }
}

template <class K, class P, class T>
void sort_by_key(const char* op, const RowGroup<T>& group, bool descending,
                 SortBuffer<P>& positions) {
  const int64_t n = group.numel();
  const taut::cuda::Scratch memory(static_cast<size_t>(2 * n) * sizeof(K));
  SortBuffer<K> keys{memory.as<K>(), memory.as<K>() + n};
  constexpr int kBits = 8 * static_cast<int>(sizeof(T));
  const bool has_rows = group.rows > 1;
  const bool with_rows = has_rows && sizeof(K) > sizeof(T);
  const int row_bits = bits_of(static_cast<uint64_t>(group.rows - 1));
  launch_kernel(make_keys_kernel<T, K, P>, {blocks_for(n), kThreads}, group, descending, with_rows,
                keys.data, positions.data, n);
  check_launch(op);
  radix_sort_pairs(op, keys, positions, n, 0, with_rows ? kBits + row_bits : kBits);
  if (!has_rows || with_rows) return;
  launch_kernel(make_row_keys_kernel<K, P>, {blocks_for(n), kThreads}, positions.data, group.length,
                keys.data, n);
  check_launch(op);
  radix_sort_pairs(op, keys, positions, n, 0, row_bits);
}

}  // namespace row_positions

/// Element numbers (row * length + i) in sorted order. P: uint32 for fewer than 2^31 elements,
/// int64 for any number of a single row.
template <class P>
class RowPositions {
 public:
  explicit RowPositions(int64_t n)
      : memory_(static_cast<size_t>(2 * n) * sizeof(P)),
        positions_{memory_.as<P>(), memory_.as<P>() + n} {}

  template <class T>
  void sort(const char* op, const RowGroup<T>& group, bool descending) {
    if constexpr (sizeof(P) == 8) {
      row_positions::sort_by_key<uint64_t>(op, group, descending, positions_);
    } else {
      if constexpr (sizeof(T) <= 4) {
        if (group.rows == 1) {
          return row_positions::sort_by_key<uint32_t>(op, group, descending, positions_);
        }
      }
      row_positions::sort_by_key<uint64_t>(op, group, descending, positions_);
    }
  }
  const P* data() const { return positions_.data; }

 private:
  taut::cuda::Scratch memory_;
  SortBuffer<P> positions_;
};

}  // namespace taut::kernels::cuda
