#pragma once
// Generated kernels compiled for the host, and run by threads of a block that take turns. They see
// the barriers and exchanges of a GPU; memory is the host's.

#include <string>
#include <vector>

#include "src/fusion/codegen.h"

namespace taut::fusion {

/// The kernels as one library, compiled by g++. @throws Error with the compiler's words.
class EmulatedKernels {
 public:
  explicit EmulatedKernels(const std::vector<KernelCode>& kernels);
  EmulatedKernels(const EmulatedKernels&) = delete;
  EmulatedKernels& operator=(const EmulatedKernels&) = delete;
  ~EmulatedKernels();

  void run(size_t which, const KernelCode& code, KernelArguments arguments) const;

 private:
  std::string folder_;
  void* library_ = nullptr;
};

/// All kernels in one source, number i in a namespace k<i>.
std::string joined_source(const std::vector<KernelCode>& kernels);

}  // namespace taut::fusion
