#pragma once
// Host memory that GPUs reach without waiting for the host: pages that stay where they are.

#include "src/core/cuda/context.h"
#include "taut/core/storage.h"

namespace taut::cuda {

/// The memory of a pinned storage is not handed out again before the work that is on `stream` now
/// is done.
void record_pinned_use(const Storage& storage, Device device, cudaStream_t stream);

}  // namespace taut::cuda
