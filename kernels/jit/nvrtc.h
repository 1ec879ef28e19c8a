#pragma once
// The one door to NVRTC. Its few functions are declared here and found when they are first needed,
// so that a build without the CUDA toolkit has them too.

#include <string>
#include <vector>

#include "kernels/jit/compile.h"

namespace taut::kernels::jit {

/// "13.0". @throws DeviceError where there is no NVRTC.
std::string nvrtc_version();

/// What it can compile for: 75, 80, ... 90 ...
std::vector<int> nvrtc_architectures();

/// Runs the compiler. @throws CudaError with its log.
CompiledCode run_nvrtc(const CompileRequest& request);

/// What every source begins with: the integers of <cstdint>, INFINITY and NAN, and what signatures
/// are read from.
extern const char* const kPrelude;

}  // namespace taut::kernels::jit
