#pragma once
// Whether what was learnt of who is inside whom still holds.

#include <atomic>
#include <cstdint>

namespace taut::nn {

/// Raised whenever a module is put into another one or taken out of it, and when one that has
/// others inside moves or goes. While it stays, so do the modules inside a module, and none of them
/// has the address of another.
extern constinit std::atomic<uint64_t> module_tree_version;

}  // namespace taut::nn
