#pragma once
// Fused functions on the CPU: their generated kernels compiled for the host and run on emulated
// blocks, so that all that is around kernels is tested without a GPU.

#include "src/fusion/backend.h"
#include "tests/fusion/emulated_block.h"

namespace taut::fusion {

/// While it lives, fused functions of CPU tensors run generated kernels.
class HostBackend {
 public:
  HostBackend();
  HostBackend(const HostBackend&) = delete;
  HostBackend& operator=(const HostBackend&) = delete;
  ~HostBackend();

  /// How many kernels were launched so far.
  static int launches();
};

}  // namespace taut::fusion
