#include "taut/base/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "taut/base/check.h"
#include "taut/base/serial.h"

namespace taut {
namespace {

// OpenMP keeps its thread count per thread; Taut's is one for the process, read at every region.
std::atomic<int> thread_count{0};

thread_local bool inside_region = false;

// libgomp's pool does not survive fork: a child that entered a region would wait for threads that
// are not there, so it runs serially.
void become_serial_in_child() { thread_count.store(1, std::memory_order_relaxed); }

int initial_thread_count() {
  static const bool registered = [] {
    pthread_atfork(nullptr, nullptr, become_serial_in_child);
    return true;
  }();
  static_cast<void>(registered);
  return std::max(1, omp_get_max_threads());
}

// Calls member(index, size) on every thread of a team, which may come out smaller than asked for.
#if defined(__SANITIZE_THREAD__)
// libgomp is not built for ThreadSanitizer, which takes its hand-over of work for races.
template <class Member>
void run_team(int threads, const Member& member) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i)
    others.emplace_back([&member, i, threads] { member(i, threads); });
  member(0, threads);
  for (std::thread& other : others) other.join();
}
#else
template <class Member>
void run_team(int threads, const Member& member) {
#pragma omp parallel num_threads(threads)
  member(omp_get_thread_num(), omp_get_num_threads());
}
#endif

class FirstException {
 public:
  void capture() {
    const std::lock_guard lock(mutex_);
    if (!exception_) exception_ = std::current_exception();
  }
  void rethrow_if_any() {
    if (exception_) std::rethrow_exception(exception_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr exception_;
};

}  // namespace

int get_num_threads() {
  int count = thread_count.load(std::memory_order_relaxed);
  if (count == 0) {
    count = initial_thread_count();
    thread_count.store(count, std::memory_order_relaxed);
  }
  return count;
}

void set_num_threads(int threads) {
  TAUT_CHECK(threads >= 1, ValueError, "set_num_threads: expected at least 1 thread; got ",
             threads);
  get_num_threads();
  thread_count.store(threads, std::memory_order_relaxed);
}

SerialGuard::SerialGuard() : previous_(inside_region) { inside_region = true; }
SerialGuard::~SerialGuard() { inside_region = previous_; }

bool in_parallel_region() { return inside_region || omp_in_parallel() != 0; }

namespace detail {

void parallel_for(int64_t n, int64_t grain, RangeFn body, void* context) {
  const int64_t chunks = (n + std::max<int64_t>(grain, 1) - 1) / std::max<int64_t>(grain, 1);
  const int threads = static_cast<int>(std::min<int64_t>(chunks, get_num_threads()));
  if (threads <= 1 || in_parallel_region()) {
    body(context, 0, n);
    return;
  }
  FirstException failure;
  run_team(threads, [&](int64_t index, int64_t size) {
    const int64_t begin = n * index / size;
    const int64_t end = n * (index + 1) / size;
    inside_region = true;
    try {
      if (begin < end) body(context, begin, end);
    } catch (...) {
      failure.capture();
    }
    inside_region = false;
  });
  failure.rethrow_if_any();
}

}  // namespace detail
}  // namespace taut
