#pragma once
// Memory for small objects that come and go with every op (tensors, storages, nodes of the tape):
// thread-local free lists by size, so that a steady loop takes no lock and asks the system nothing.
// An object may be freed on another thread than it was made on.

#include <cstddef>

#include "taut/base/macros.h"

namespace taut::detail {

/// Uninitialised memory of at least `bytes`, aligned to 16 bytes.
TAUT_API void* pool_allocate(size_t bytes);
/// Gives back what pool_allocate(bytes) returned.
TAUT_API void pool_free(void* memory, size_t bytes) noexcept;

}  // namespace taut::detail
