#pragma once
// Compiled code on a GPU, and its launch. In a build without CUDA all of it throws DeviceError.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/jit/compile.h"

namespace taut::kernels::jit {

/// Loaded once for all GPUs that it is made for, and kept as long as the process: captured graphs
/// and work under way may still need it.
struct LoadedKernel;

/// What the current GPU runs; see architecture_for.
std::string current_architecture();

/// Loads code that compiled() gave. `name` is how errors name it, "kernel scale", and lives as long
/// as the process. @throws CudaError.
LoadedKernel& load(const CompiledCode& code, const char* name);

/// The bytes of each of `count` parameters, or nothing where the driver cannot tell (before CUDA
/// 12.4). @throws CudaError when there are not so many.
std::vector<size_t> parameter_sizes(const LoadedKernel& kernel, size_t count);

struct LaunchShape {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t shared_memory = 0;  // dynamic, in bytes
};

/// Puts the kernel on the current stream of the current GPU. `parameters` points to the value of
/// each. @throws CudaError that names the kernel and the shape.
void launch(LoadedKernel& kernel, const LaunchShape& shape, void** parameters);

}  // namespace taut::kernels::jit
