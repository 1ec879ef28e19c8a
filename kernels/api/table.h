#pragma once
// The explicit table of kernels of each device: one struct of function pointers for each family,
// bound by symbol when the device is first used. No registration, no look-up by name.

#include "kernels/api/attention.h"
#include "kernels/api/conv.h"
#include "kernels/api/copy.h"
#include "kernels/api/gated.h"
#include "kernels/api/index.h"
#include "kernels/api/matmul.h"
#include "kernels/api/norm.h"
#include "kernels/api/optim.h"
#include "kernels/api/pointwise.h"
#include "kernels/api/pool.h"
#include "kernels/api/random.h"
#include "kernels/api/reduce.h"
#include "kernels/api/rotary.h"
#include "kernels/api/scan.h"
#include "kernels/api/softmax.h"
#include "kernels/api/sort.h"
#include "taut/base/macros.h"
#include "taut/core/device.h"

namespace taut::kernels {

struct KernelTable {
  PointwiseKernels pointwise;
  CopyKernels copy;
  ReduceKernels reduce;
  MatmulKernels matmul;
  SoftmaxKernels softmax;
  NormKernels norm;
  OptimKernels optim;
  RandomKernels random;
  IndexKernels index;
  ConvKernels conv;
  PoolKernels pool;
  ScanKernels scan;
  SortKernels sort;
  GatedKernels gated;
  RotaryKernels rotary;
  /// Null where attention is composed of other ops.
  AttentionKernels attention;
};

namespace detail {

/// Null before the first make_cpu_table().
extern const KernelTable* made_cpu_table;
const KernelTable& make_cpu_table();

}  // namespace detail

/// The tables of the devices, made at first use.
inline const KernelTable& cpu_table() {
  const KernelTable* table = __atomic_load_n(&detail::made_cpu_table, __ATOMIC_ACQUIRE);
  return TAUT_LIKELY(table != nullptr) ? *table : detail::make_cpu_table();
}
/// @throws DeviceError in a build without CUDA.
const KernelTable& cuda_table();

}  // namespace taut::kernels
