// Looking for values that an op does not take; see Note [Index faults].

#include "kernels/api/cuda_launch.cuh"
#include "kernels/elementwise/check_range.h"

namespace taut::kernels::cuda {
namespace {

template <class T>
__global__ void check_range_kernel(const T* input, int64_t n, double low, double high,
                                   FaultReport report, const char* expected) {
  wait_for_stream();
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) {
    const double value = static_cast<double>(widen(input[i]));
    if (value >= low && value <= high) continue;
    report.write({.op = report.op,
                  .expected = expected,
                  .index = static_cast<int64_t>(value),
                  .size = static_cast<int64_t>(high) + 1,
                  .position = i,
                  .value = value});
    return;
  }
}

template <class T>
void launch(const CheckRangeArgs& args) {
  launch_kernel(check_range_kernel<T>, {blocks_for(args.n, 4), kThreads},
                static_cast<const T*>(args.input), args.n, args.low, args.high,
                FaultReport(args.op), args.expected);
}

}  // namespace

void check_range(const CheckRangeArgs& args) {
  if (args.n == 0) return;
  if (args.dtype == DType::int64) {
    launch<int64_t>(args);
  } else {
    visit_floating(args.op, args.dtype,
                   [&](auto tag) { launch<typename decltype(tag)::type>(args); });
  }
  check_launch(args.op);
}

}  // namespace taut::kernels::cuda
