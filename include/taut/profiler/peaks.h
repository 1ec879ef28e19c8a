#pragma once
// What a machine can do at most: the roofs that a profile is measured against.

#include <string>

#include "taut/core/device.h"
#include "taut/core/dtype.h"

namespace taut::profiler {

/// Floating-point operations a second in a dtype; 0 where it is not known.
///
/// Of a GPU: multiprocessors x highest clock x operations a clock by NVIDIA's whitepapers (dense;
/// of tensor cores where the dtype has them, with sums in float32). float32 is that of tensor cores
/// in TF32 while set_float32_matmul_precision allows it. Of the CPU: Taut's own product of square
/// matrices, measured at the first call.
TAUT_API double peak_flops(Device device, DType dtype);

/// Bytes a second from and to memory; 0 where it is not known. Of a GPU: twice the memory's clock
/// times its width. Of the CPU: a copy of 64 MiB, measured at the first call.
TAUT_API double peak_bandwidth(Device device);

/// Where the two come from, in words.
TAUT_API std::string peak_source(Device device);

}  // namespace taut::profiler
