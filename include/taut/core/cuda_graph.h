#pragma once
// Work on a GPU recorded once and replayed at the cost of one launch.
//   cuda::Graph graph;
//   step();                              // once before: libraries and caches are set up
//   graph.capture([&] { loss = step(); });
//   x.copy_(batch);  graph.replay();     // the same kernels on the same memory
//
// A replay reads and writes the memory that the captured ops did: new inputs are copied into the
// tensors that were captured, results are found in the tensors that the ops returned. Random
// numbers are drawn anew from the default generator, the very ones that the ops would draw without
// a graph. Optimizers and schedules of learning rates go on by a step at each replay, with the
// options that their groups have then. Everything else that the host decided, a shape or the way an
// `if` went, stays as it was. taut/autograd/graphed_step.h does all of this for a function.

#include <cstdint>
#include <memory>

#include "taut/base/callback.h"
#include "taut/base/macros.h"
#include "taut/core/stream.h"

namespace taut::cuda {

/// A captured piece of work, on one GPU. While it captures it stays where it is, and with the
/// thread that captures. Its tensors have memory of their own, which is kept until the graph and
/// they are gone.
class TAUT_API Graph {
 public:
  Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  Graph(Graph&&) noexcept;
  Graph& operator=(Graph&&) noexcept;
  /// Waits for replays on their way.
  ~Graph();

  /// Records what `body` does on the current GPU instead of running it, on a stream of the pool.
  /// What `body` throws is thrown on, and then nothing is captured. Host code in `body` runs once.
  /// @throws CudaError where something cannot be captured: whatever makes the host wait for the
  /// GPU (item(), cpu(), nonzero(), synchronize()), copies from memory that is not pinned, steps of
  /// optimizers whose parameters are elsewhere. @throws ValueError when the graph holds a capture
  /// already, or this thread is capturing.
  template <class Body>
  void capture(const Body& body) {
    const StreamGuard guard(side_stream());
    capture_begin();
    try {
      body();
    } catch (...) {
      abandon();
      throw;
    }
    capture_end();
  }

  /// The same in two calls, on the current stream, which must not be the default one.
  void capture_begin();
  void capture_end();
  /// Ends a capture and forgets it.
  void abandon() noexcept;

  /// Puts the work on the current stream of its GPU. @throws ValueError without a capture,
  /// CudaError when an optimizer whose step was captured is gone; then nothing is put there.
  void replay();
  /// Forgets the capture and gives its memory back.
  void reset() noexcept;
  bool has_capture() const;

 private:
  struct State;
  /// One of the pool, which waits for what the current stream holds.
  static Stream side_stream();
  std::unique_ptr<State> state_;
};

/// Whether this thread's current stream on the current GPU is being captured.
TAUT_API bool is_current_stream_capturing();

/// What the host has to do before each replay of the graph that this thread is capturing, in the
/// order of these calls: to advance what changes from step to step. It is kept until the graph
/// forgets its capture. @throws ValueError unless this thread is capturing a Graph.
TAUT_API void on_replay(Callback<void()> callback);

}  // namespace taut::cuda
