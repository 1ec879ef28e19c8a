#pragma once
// Products whose epilogue in cuBLASLt is more than a bias or an activation.

#include "kernels/api/matmul.h"

namespace taut::kernels::cuda {

/// MatmulKernels::fuses and MatmulKernels::fused_gemm.
bool has_fused_gemm(const FusedGemmArgs& args);
bool run_fused_gemm(const FusedGemmArgs& args);

}  // namespace taut::kernels::cuda
