#pragma once
// The reductions are compiled in several files; each fills its part of the table.

#include "kernels/api/reduce.h"

namespace taut::kernels {

void fill_sum_kernels(ReduceKernels& table);       // sum, prod, mean
void fill_extremum_kernels(ReduceKernels& table);  // amax, amin, aminmax
void fill_logic_kernels(ReduceKernels& table);     // any, all, count_nonzero
void fill_moment_kernels(ReduceKernels& table);    // var, logsumexp
void fill_norm_kernels(ReduceKernels& table);      // vector_norm
void fill_index_kernels(ReduceKernels& table);     // max, min

}  // namespace taut::kernels
