#pragma once
// Pools of planes that lie side by side, as in channels_last: vectors lie along the planes.

#include "kernels/api/pool.h"

namespace taut::kernels::pool_cpu {

/// The kernels for args.inner > 1. Values and indices are those of the kernels for single planes;
/// where windows overlap, gradients are summed in another order.
const PoolKernels& side_by_side_pools();

}  // namespace taut::kernels::pool_cpu
