#pragma once
// Threads that run tasks in the order in which they come. They start with the first task.

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
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace taut::ai
