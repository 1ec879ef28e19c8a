#pragma once
// The reductions on CUDA are compiled in several files; each fills its part of the table.

#include "kernels/api/reduce.h"

namespace taut::kernels::cuda {

void fill_sum_launches(ReduceKernels& table);       // sum, mean
void fill_product_launches(ReduceKernels& table);   // prod
void fill_extremum_launches(ReduceKernels& table);  // amax, amin, aminmax
void fill_logic_launches(ReduceKernels& table);     // any, all, count_nonzero
void fill_moment_launches(ReduceKernels& table);    // var, logsumexp
void fill_norm_launches(ReduceKernels& table);      // vector_norm
void fill_index_launches(ReduceKernels& table);     // max, min

}  // namespace taut::kernels::cuda
