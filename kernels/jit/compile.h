#pragma once
// CUDA C++ compiled at run time by NVRTC, which needs no GPU: kernels of users, and fused ones.
//   const CompiledCode& code = compiled({source, "scale<float>", {}, "sm_90"});
// is compiled once in a process, and once on a machine where the disk cache works.

#include <string>
#include <string_view>
#include <vector>

#include "taut/base/macros.h"

namespace taut::kernels::jit {

/// All that the code of a kernel depends on, but for the version of NVRTC.
struct CompileRequest {
  std::string source;
  /// A __global__ function of the source as an expression names it: "scale", "scale<float>".
  std::string name;
  /// Options of NVRTC. C++20 and the architecture are set unless they say otherwise.
  std::vector<std::string> options;
  /// "sm_90" for machine code, "compute_90" for PTX.
  std::string architecture;
};

struct CompiledCode {
  std::string image;    // a cubin, or PTX
  std::string symbol;   // the kernel's name in it
  std::string pointer;  // the demangled type of a pointer to the kernel; see signature.h
};

/// The code for a request, from this process, from the disk or from the compiler. It stays where it
/// is as long as the process. Safe from many threads, which compile side by side.
/// @throws CudaError with the compiler's log, whose lines are those of the source; DeviceError
/// where there is no NVRTC.
TAUT_API const CompiledCode& compiled(const CompileRequest& request);

/// Whether NVRTC can be opened.
TAUT_API bool has_compiler();

/// The architecture to compile for, of a GPU of compute capability `capability` (90 for 9.0), with
/// a compiler that knows `known`, in rising order: machine code where it can, else PTX for the
/// newest that the GPU still runs. @throws DeviceError for a GPU older than all of them.
TAUT_API std::string architecture_for(int capability, const std::vector<int>& known);

/// The same with the NVRTC at hand.
std::string architecture_for(int capability);

}  // namespace taut::kernels::jit
