// Random permutations on CUDA: the stable argsort of wide keys.

#include <cub/device/device_radix_sort.cuh>

#include "kernels/random/fill_cuda.cuh"
#include "kernels/random/random_parts_cuda.h"

namespace taut::kernels::cuda {
namespace {

__global__ void __launch_bounds__(kThreads)
    keys_kernel(uint64_t* keys, int64_t* positions, int64_t n, RandomStream stream) {
  wait_for_stream();
  const int64_t i = stream_block();
  if (2 * i >= n) return;
  const PhiloxBlock block = stream.block(i);
#pragma unroll
  for (int e = 0; e < 2; ++e) {
    const int64_t at = 2 * i + e;
    if (at >= n) continue;
    keys[at] = wide_bits(block, e);
    positions[at] = at;
  }
}

}  // namespace

void randperm(const RandpermArgs& args) {
  if (args.n == 0) return;
  const size_t bytes = static_cast<size_t>(args.n) * sizeof(uint64_t);
  const taut::cuda::Scratch keys(bytes), sorted(bytes), positions(bytes);
  launch_kernel(keys_kernel, {blocks_for_stream(args.n, 2), kThreads}, keys.as<uint64_t>(),
                positions.as<int64_t>(), args.n, RandomStream(args));
  check_launch("randperm");
  const auto sort = [&](void* memory, size_t& size) {
    check("randperm",
          cub::DeviceRadixSort::SortPairs(
              memory, size, keys.as<uint64_t>(), sorted.as<uint64_t>(), positions.as<int64_t>(),
              static_cast<int64_t*>(args.output), args.n, 0, 64, stream()));
  };
  size_t size = 0;
  sort(nullptr, size);
  const taut::cuda::Scratch memory(size > 0 ? size : 1);
  sort(memory.data(), size);
}

}  // namespace taut::kernels::cuda
