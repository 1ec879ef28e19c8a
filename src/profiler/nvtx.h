#pragma once
// The one door to NVTX, whose ranges tools of NVIDIA show beside what a GPU does.

namespace taut::profiler {

/// A range of this thread begins, and the innermost one ends. Nothing without NVTX or a tool.
void nvtx_push(const char* name) noexcept;
void nvtx_pop() noexcept;

}  // namespace taut::profiler
