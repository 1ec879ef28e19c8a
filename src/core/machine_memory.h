#pragma once
// How much memory there is for this process at all.

#include <cstddef>

namespace taut::cpu {

/// Bytes of memory and swap space of the machine, or of the control group where that has a limit
/// of its own, as in a container. Systems that promise more than they have end the process that
/// uses it, so that more than this is refused from the start.
size_t machine_memory();

}  // namespace taut::cpu
