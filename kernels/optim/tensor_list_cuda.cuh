#pragma once
// One launch over many tensors.
//
// Note [Tensor lists]
// The pointers of a list travel in the kernel's arguments, so a step needs no copy to the device
// and goes into a graph as it is. Every tensor is cut into chunks of kChunk elements, a block each,
// and a block finds its tensor by bisection. Lists longer than the arguments hold take several
// launches.

#include <cstdint>

#include "kernels/api/packs.cuh"

namespace taut::kernels::cuda {

/// A parameter, its gradient and three tensors of state; last the parameter in a 16-bit float.
constexpr int kMaxLists = 6;
constexpr int kMaxScalars = 2;
constexpr int64_t kChunk = 8192;

/// Tensors of one launch: kernels take 32,764 bytes of arguments since CUDA 12.1, 4 KiB before.
#if CUDART_VERSION >= 12010
constexpr int kManyTensors = 360;
#else
constexpr int kManyTensors = 48;
#endif
/// Short lists travel in a table that costs less to hand over.
constexpr int kFewTensors = 48;

template <int kCapacity>
struct TensorTable {
  int count;
  bool aligned[kCapacity];  // to 16 bytes, in all lists
  uint32_t first_chunk[kCapacity + 1];
  int64_t sizes[kCapacity];
  void* data[kMaxLists][kCapacity];
  double scalars[kMaxScalars][kCapacity];
  uint32_t steps[kCapacity];   // the host's count
  uint32_t places[kCapacity];  // in the optimizer
};
static_assert(sizeof(TensorTable<kManyTensors>) < 32000);

/// The elements of one tensor that a block works on.
struct ListChunk {
  int tensor;
  int64_t begin, size;

  template <int kCapacity>
  __device__ explicit ListChunk(const TensorTable<kCapacity>& table) {
    int low = 0, high = table.count;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (table.first_chunk[middle] <= blockIdx.x) {
        low = middle;
      } else {
        high = middle;
      }
    }
    tensor = low;
    begin = int64_t{blockIdx.x - table.first_chunk[low]} * kChunk;
    const int64_t left = table.sizes[low] - begin;
    size = left < kChunk ? left : kChunk;
  }
};

/// What a table holds of its i-th tensor beside pointers.
struct TensorNumbers {
  double scalars[kMaxScalars];
  uint32_t step;
  uint32_t place;
};
using NumbersOf = TensorNumbers (*)(const void* context, int64_t i);

/// Fills tables from lists of pointers and hands each to launch(table, chunks, chunks before).
template <int kCapacity, int kLists, class Launch>
void for_tables(const int64_t* sizes, int64_t count, const void* const* const (&lists)[kLists],
                const Launch& launch, NumbersOf numbers_of, const void* context) {
  TensorTable<kCapacity> table;
  int64_t before = 0;
  for (int64_t i = 0; i < count;) {
    uint32_t chunks = 0;
    table.count = 0;
    for (; i < count && table.count < kCapacity; ++i) {
      if (sizes[i] == 0) continue;
      const int at = table.count++;
      table.first_chunk[at] = chunks;
      table.sizes[at] = sizes[i];
      table.aligned[at] = true;
      for (int k = 0; k < kLists; ++k) {
        void* data = lists[k] == nullptr ? nullptr : const_cast<void*>(lists[k][i]);
        table.data[k][at] = data;
        table.aligned[at] = table.aligned[at] && is_aligned(data);
      }
      const TensorNumbers numbers =
          numbers_of == nullptr ? TensorNumbers{} : numbers_of(context, i);
      for (int which = 0; which < kMaxScalars; ++which) {
        table.scalars[which][at] = numbers.scalars[which];
      }
      table.steps[at] = numbers.step;
      table.places[at] = numbers.place;
      chunks += static_cast<uint32_t>((sizes[i] + kChunk - 1) / kChunk);
    }
    if (chunks == 0) continue;
    table.first_chunk[table.count] = chunks;
    launch(table, chunks, before);
    before += chunks;
  }
}

/// How many chunks a list has.
inline int64_t count_chunks(const int64_t* sizes, int64_t count) {
  int64_t chunks = 0;
  for (int64_t i = 0; i < count; ++i) chunks += (sizes[i] + kChunk - 1) / kChunk;
  return chunks;
}

/// for_tables with the smallest capacity that does.
template <int kLists, class Launch>
void for_list(const int64_t* sizes, int64_t count, const void* const* const (&lists)[kLists],
              const Launch& launch, NumbersOf numbers_of = nullptr, const void* context = nullptr) {
  if (count <= kFewTensors) {
    for_tables<kFewTensors>(sizes, count, lists, launch, numbers_of, context);
  } else {
    for_tables<kManyTensors>(sizes, count, lists, launch, numbers_of, context);
  }
}

}  // namespace taut::kernels::cuda
