// Indexed reads. Elements move by size; runs that no index interrupts move 16 bytes at a time.

#include "kernels/index/index_cuda.h"
#include "kernels/index/indexed_walk.cuh"

namespace taut::kernels::cuda {
namespace {

// `unit` elements of the tensors make one E. What an index out of range is for becomes 0.
template <class E, class I>
__global__ void __launch_bounds__(kThreads)
    get_kernel(DeviceWalk walk, FaultReport report, const E* self, E* output, int64_t unit,
               int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t from, to;
    const bool is_there = find<I>(walk, report, i, unit, from, to);
    output[to] = is_there ? self[from] : E{};
  }
}

bool is_even(int64_t value) { return value % 2 == 0; }

// Whether pairs of neighbours along the last dim can move as one element of twice the size.
bool pairs_up(const DeviceWalk& walk, size_t bytes, const void* self, const void* output) {
  if (walk.rank == 0) return false;
  const int last = walk.rank - 1;
  bool fits = walk.self[last] == 1 && walk.other[last] == 1 && is_even(walk.size[last]);
  for (int d = 0; d < last; ++d) fits = fits && is_even(walk.self[d]) && is_even(walk.other[d]);
  for (int j = 0; j < walk.index_count; ++j) {
    fits = fits && walk.indices[j].strides[last] == 0 && is_even(walk.indices[j].dim_stride);
  }
  const uintptr_t addresses =
      reinterpret_cast<uintptr_t>(self) | reinterpret_cast<uintptr_t>(output);
  return fits && addresses % (2 * bytes) == 0;
}

void pair_up(DeviceWalk& walk) {
  const int last = walk.rank - 1;
  walk.size[last] /= 2;
  for (int d = 0; d < last; ++d) {
    walk.self[d] /= 2;
    walk.other[d] /= 2;
  }
  for (int j = 0; j < walk.index_count; ++j) walk.indices[j].dim_stride /= 2;
}

template <class E>
void launch(const IndexGetArgs& args, const DeviceWalk& walk, int64_t unit) {
  const int64_t n = walk.numel();
  const FaultReport report(args.op);
  const E* self = static_cast<const E*>(args.self);
  E* output = static_cast<E*>(args.output);
  if (args.index_dtype == DType::int32) {
    launch_kernel(get_kernel<E, int32_t>, {blocks_for(n), kThreads}, walk, report, self, output,
                  unit, n);
  } else {
    launch_kernel(get_kernel<E, int64_t>, {blocks_for(n), kThreads}, walk, report, self, output,
                  unit, n);
  }
  check_launch(args.op);
}

}  // namespace

IndexResult get(const IndexGetArgs& args) {
  if (args.size.numel() == 0) return {};
  DeviceWalk walk = walk_of(args, args.output_strides);
  collapse(walk);
  size_t bytes = item_size(args.dtype);
  int64_t unit = 1;
  while (bytes < 16 && pairs_up(walk, bytes, args.self, args.output)) {
    pair_up(walk);
    bytes *= 2;
    unit *= 2;
  }
  switch (bytes) {
    case 1: launch<uint8_t>(args, walk, unit); break;
    case 2: launch<uint16_t>(args, walk, unit); break;
    case 4: launch<uint32_t>(args, walk, unit); break;
    case 8: launch<uint64_t>(args, walk, unit); break;
    default: launch<uint4>(args, walk, unit); break;
  }
  return {};
}

}  // namespace taut::kernels::cuda
