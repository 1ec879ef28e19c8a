#pragma once
// The kernels of the pool family that gain nothing from vectors; pool_cpu.cpp has the others.

#include "kernels/api/pool.h"

namespace taut::kernels::pool_cpu {

IndexResult max_pool_backward(const MaxPoolBackwardArgs& args);
void adaptive_avg_pool(const AdaptiveAvgPoolArgs& args);
void adaptive_avg_pool_backward(const AdaptiveAvgPoolBackwardArgs& args);
void adaptive_max_pool(const AdaptiveMaxPoolArgs& args);

}  // namespace taut::kernels::pool_cpu
