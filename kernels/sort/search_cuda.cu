// Binary search in ascending boundaries: a thread for each value.

#include "kernels/api/strided_offset.cuh"
#include "kernels/sort/sort_cuda.h"
#include "kernels/sort/sort_key.cuh"

namespace taut::kernels::cuda {
namespace {

// A sorter's entry that is out of range is reported and counts as the first boundary.
template <class T>
struct Boundaries {
  const T* data;
  const int64_t* sorter;
  int64_t length;
  int64_t row_stride;
  FaultReport report;

  __device__ Key<T> key(int64_t start, int64_t i) const {
    if (sorter == nullptr) return key_of(data[start + i]);
    int64_t at = sorter[start + i];
    if (static_cast<uint64_t>(at) >= static_cast<uint64_t>(length)) {
      report(at, length, start + i);
      at = 0;
    }
    return key_of(data[start + at]);
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    searchsorted_kernel(Boundaries<T> boundaries, bool right, const T* values,
                        int64_t values_per_row, void* output, bool is_int32, int64_t n) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    int64_t rest;
    const int64_t start = divide(i, values_per_row, rest) * boundaries.row_stride;
    const Key<T> key = key_of(values[i]);
    int64_t low = 0, high = boundaries.length;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      const Key<T> boundary = boundaries.key(start, middle);
      if (right ? boundary <= key : boundary < key) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (is_int32) {
      static_cast<int32_t*>(output)[i] = static_cast<int32_t>(low);
    } else {
      static_cast<int64_t*>(output)[i] = low;
    }
  }
}

}  // namespace

IndexResult searchsorted(const SearchSortedArgs& args) {
  const int64_t n = args.rows * args.values_per_row;
  if (n == 0) return {};
  const FaultReport report(args.op);
  visit_all("searchsorted", args.dtype, [&]<class T>(TypeTag<T>) {
    const Boundaries<T> boundaries{static_cast<const T*>(args.boundaries), args.sorter, args.length,
                                   args.boundaries_row_stride, report};
    launch_kernel(searchsorted_kernel<T>, {blocks_for(n), kThreads}, boundaries, args.right,
                  static_cast<const T*>(args.values), args.values_per_row, args.output,
                  args.out_int32, n);
  });
  check_launch("searchsorted");
  return {};
}

}  // namespace taut::kernels::cuda
