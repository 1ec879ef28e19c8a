#include "taut/base/parallel.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "src/base/team.h"
#include "taut/base/check.h"
#include "taut/base/serial.h"

namespace taut {
namespace {

// One number for the process, read at every call; 0 before the first.
std::atomic<int> thread_count{0};

thread_local bool inside_region = false;

// A child has the memory of its parent's threads but, often, the machine together with many like
// it, as the workers of a data loader do.
void become_serial_in_child() { thread_count.store(1, std::memory_order_relaxed); }

// OMP_NUM_THREADS is how users tell all of their numeric libraries; of a list, the first number.
int threads_of_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  int count = 0;
  if (text != nullptr) std::from_chars(text, text + std::strlen(text), count);
  return count;
}

int initial_thread_count() {
  static const bool registered = [] {
    pthread_atfork(nullptr, nullptr, become_serial_in_child);
    return true;
  }();
  static_cast<void>(registered);
  const int wanted = threads_of_environment();
  return wanted >= 1 ? wanted : available_cores();
}

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

bool in_parallel_region() { return inside_region; }

namespace detail {

void parallel_for(int64_t n, int64_t grain, RangeFn body, void* context) {
  const int64_t chunks = (n + std::max<int64_t>(grain, 1) - 1) / std::max<int64_t>(grain, 1);
  const int pieces = static_cast<int>(std::min<int64_t>(chunks, get_num_threads()));
  if (pieces > 1 && !inside_region) {
    const SerialGuard inside;
    if (Team::of_process().run(n, pieces, body, context)) return;
  }
  body(context, 0, n);
}

}  // namespace detail
}  // namespace taut
