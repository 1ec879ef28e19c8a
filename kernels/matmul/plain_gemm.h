#pragma once
// Kernels of our own for the products that cuBLASLt does not do: integers, empty sums, odd layouts.

#include "kernels/api/matmul.h"

namespace taut::kernels::cuda {

/// Any GemmArgs, by tiles in shared memory; floats are summed in order of k.
void run_plain_gemm(const GemmArgs& args);

/// c = activation(c + bias) in place, over (batch, m, n) as args.c lays it out; alpha, beta, a and
/// b are not read.
void run_gemm_epilogue(const GemmArgs& args);

void run_dot(const DotArgs& args);

}  // namespace taut::kernels::cuda
