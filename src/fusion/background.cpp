#include "src/fusion/background.h"

#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

namespace taut::fusion {
namespace {

class Worker {
 public:
  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void add(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(work));
      if (!thread_.joinable()) thread_ = std::thread([this] { serve(); });
    }
    wake_.notify_one();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return is_ending_ || !queue_.empty(); });
      if (is_ending_) return;
      const std::function<void()> work = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      work();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool is_ending_ = false;
  std::thread thread_;
};

// The worker of this process: that of a parent is only a memory of it here, never to be destroyed.
struct Owner {
  std::mutex mutex;
  pid_t process = 0;
  Worker* worker = nullptr;

  ~Owner() {
    if (process == ::getpid()) delete worker;
  }
  Worker& get() {
    const std::lock_guard lock(mutex);
    if (process != ::getpid()) {
      process = ::getpid();
      worker = new Worker;
    }
    return *worker;
  }
};

}  // namespace

void run_in_background(std::function<void()> work) {
  static Owner owner;
  owner.get().add(std::move(work));
}

}  // namespace taut::fusion
