#include "taut/base/parallel.h"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>

#include "taut/base/check.h"
#include "taut/base/serial.h"

#if defined(__SANITIZE_THREAD__)
// libgomp is not built for ThreadSanitizer; these tell it that the region's start and end order
// memory.
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#define TAUT_TSAN_ACQUIRE(address) __tsan_acquire(address)
#define TAUT_TSAN_RELEASE(address) __tsan_release(address)
#else
#define TAUT_TSAN_ACQUIRE(address) static_cast<void>(address)
#define TAUT_TSAN_RELEASE(address) static_cast<void>(address)
#endif

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
  char fence = 0;
  TAUT_TSAN_RELEASE(&fence);
#pragma omp parallel num_threads(threads)
  {
    TAUT_TSAN_ACQUIRE(&fence);
    // The team may come out smaller than asked for.
    const int64_t team = omp_get_num_threads();
    const int64_t member = omp_get_thread_num();
    const int64_t begin = n * member / team;
    const int64_t end = n * (member + 1) / team;
    inside_region = true;
    try {
      if (begin < end) body(context, begin, end);
    } catch (...) {
      failure.capture();
    }
    inside_region = false;
    TAUT_TSAN_RELEASE(&fence);
  }
  TAUT_TSAN_ACQUIRE(&fence);
  failure.rethrow_if_any();
}

}  // namespace detail
}  // namespace taut
