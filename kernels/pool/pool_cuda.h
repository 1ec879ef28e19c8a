#pragma once
// The kernels of the pool family on CUDA; pool_cuda.cpp puts them into the table.

#include "kernels/api/pool.h"

namespace taut::kernels::cuda {

void max_pool(const MaxPoolArgs& args);
IndexResult max_pool_backward(const MaxPoolBackwardArgs& args);
void avg_pool(const AvgPoolArgs& args);
void avg_pool_backward(const AvgPoolBackwardArgs& args);
void adaptive_avg_pool(const AdaptiveAvgPoolArgs& args);
void adaptive_avg_pool_backward(const AdaptiveAvgPoolBackwardArgs& args);
void adaptive_max_pool(const AdaptiveMaxPoolArgs& args);

}  // namespace taut::kernels::cuda
