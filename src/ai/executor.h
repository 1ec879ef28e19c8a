#pragma once
// Threads that run tasks in the order in which they come. They start with the first task. With none
// of its own, tasks run on the thread that gives them.

#include <memory>

#include "taut/base/callback.h"
#include "taut/base/macros.h"

namespace taut::ai {

class TAUT_API Executor {
 public:
  explicit Executor(int threads);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  /// Runs what is left and ends the threads. One that runs this very destructor is let go instead.
  ~Executor();

  /// On one of the threads, or on this one after close().
  void run(Callback<void()> task) const;
  /// The same for a task that may wait a millisecond for others, where it comes from a Holding's
  /// thread.
  void run_soon(Callback<void()> task) const;
  void close();

  /// While it is there, tasks that come from its thread are kept back until pass_on(): the threads
  /// are woken once for all of them. Without threads it runs them itself. One at a time.
  class TAUT_API Holding;

  /// Whether this thread is a Holding's that runs tasks: what it waits for would not come.
  static bool runs_here();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

class Executor::Holding {
 public:
  explicit Holding(const Executor& executor);
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;
  ~Holding();
  /// Passes on what is due, and tells in how many seconds the rest will be.
  double pass_on();

 private:
  void pass_on_all();
  double run_all();

  std::shared_ptr<State> state_;
  double passed_on_at_ = 0;
};

}  // namespace taut::ai
