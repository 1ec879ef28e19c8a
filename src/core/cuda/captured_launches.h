#pragma once
// Launches in a captured graph that get their arguments anew before each replay.
//
// Note [Arguments of replays]
// A captured launch has the arguments of its capture in every replay. Where the host decides them
// step by step, as an optimizer does with its rates and counts, it does the host's part of the step
// again before each replay, and the launcher hands its arguments to the launches that were captured
// instead of launching. So the graph runs the very kernels of an eager step, with the same
// arguments: no copy to the device, no second form of the kernel, and the same bits. Launches that
// are on their way keep what they had.

#include <cstddef>

#include "taut/base/macros.h"

namespace taut::cuda {

/// The launches of one call of a launcher, in their order, which is the same in every call.
class TAUT_API CapturedLaunches {
 public:
  CapturedLaunches() = default;
  CapturedLaunches(const CapturedLaunches&) = delete;
  CapturedLaunches& operator=(const CapturedLaunches&) = delete;
  ~CapturedLaunches();

  /// Notes the launch that was just made on the current stream, which is being captured.
  void add();
  /// From here on arguments are set, beginning with the first launch.
  void rewind() {
    is_replaying_ = true;
    next_ = 0;
  }
  bool is_replaying() const { return is_replaying_; }
  /// Gives the next launch another kernel or size and other arguments, for the replays to come.
  void set_next(const void* kernel, unsigned blocks, unsigned threads, void** arguments);

 private:
  void** nodes_ = nullptr;  // cudaGraphNode_t
  size_t count_ = 0;
  size_t next_ = 0;
  bool is_replaying_ = false;
};

}  // namespace taut::cuda
