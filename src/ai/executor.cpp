#include "src/ai/executor.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace taut::ai {

struct Executor::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Callback<void()>> tasks;
  std::vector<std::thread> threads;
  int limit = 1;
  int idle = 0;
  bool is_closed = false;

  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      changed.wait(lock, [this] { return is_closed || !tasks.empty(); });
      --idle;
      if (tasks.empty()) return;
      Callback<void()> task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it holds is let go of without the lock
      lock.lock();
    }
  }
};

Executor::Executor(int threads) : state_(std::make_shared<State>()) {
  state_->limit = threads < 1 ? 1 : threads;
}

Executor::~Executor() { close(); }

void Executor::run(Callback<void()> task) const {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->is_closed) {
      state_->tasks.push_back(std::move(task));
      const bool is_short = static_cast<int>(state_->tasks.size()) > state_->idle &&
                            static_cast<int>(state_->threads.size()) < state_->limit;
      if (is_short) state_->threads.emplace_back([state = state_] { state->serve(); });
      state_->changed.notify_one();
      return;
    }
  }
  task();
}

void Executor::close() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(state_->mutex);
    state_->is_closed = true;
    threads.swap(state_->threads);
    state_->changed.notify_all();
  }
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

}  // namespace taut::ai
