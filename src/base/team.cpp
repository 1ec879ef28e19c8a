#include "src/base/team.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "taut/base/macros.h"
#include "taut/base/serial.h"

namespace taut {
namespace {

using Clock = std::chrono::steady_clock;

// About the gap between two ops of a training step.
constexpr std::chrono::microseconds kPatience{60};

void pause_briefly() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks until it is done or so much time is over; whether it is done. By the clock, as one pause
// takes between 10 and 150 ns, depending on the processor.
template <class Done>
bool watch(std::chrono::microseconds patience, const Done& done) {
  constexpr int kLooks = 32;  // between two looks at the clock
  const Clock::time_point end = Clock::now() + patience;
  do {
    for (int i = 0; i < kLooks; ++i) {
      if (done()) return true;
      pause_briefly();
    }
  } while (Clock::now() < end);
  return false;
}

// Lives as long as the process: threads may still look at it while static objects are destroyed.
std::atomic<Team*> process_team{nullptr};

// The threads of a team do not survive fork, nor do its locks: a child begins anew.
void begin_anew_in_child() { process_team.store(new Team, std::memory_order_relaxed); }

}  // namespace

Team& Team::of_process() {
  static const bool made = [] {
    process_team.store(new Team, std::memory_order_relaxed);
    pthread_atfork(nullptr, nullptr, begin_anew_in_child);
    return true;
  }();
  static_cast<void>(made);
  return *process_team.load(std::memory_order_relaxed);
}

bool Team::run(int64_t n, int pieces, detail::RangeFn body, void* context) {
  const std::unique_lock lock(in_use_, std::try_to_lock);
  if (!lock) return false;
  pieces = std::min(pieces, kMostPieces);
  if (pieces > threads_) add_threads(pieces);
  // Who spins on a core that another thread of the team needs keeps it from beginning.
  static const int cores = available_cores();
  has_cores_ = pieces <= cores;
  n_ = n;
  body_ = body;
  context_ = context;
  failure_ = nullptr;
  pieces_.store(pieces, std::memory_order_relaxed);
  unfinished_.store(pieces, std::memory_order_relaxed);
  const uint32_t call = call_.load(std::memory_order_relaxed) + 1;
  for (int i = 0; i < pieces; ++i) {
    states_[static_cast<size_t>(i)].state.store(open_state(call), std::memory_order_release);
  }
  call_.store(call, std::memory_order_seq_cst);
  call_.notify_all();
  take_pieces(0, call);
  wait_for_others();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  return true;
}

// Where the system has no more threads to give, the team stays smaller.
void Team::add_threads(int wanted) {
  const uint32_t call = call_.load(std::memory_order_relaxed);
  for (; threads_ < wanted; ++threads_) {
    try {
      std::thread([this, thread = threads_, call] { work_forever(thread, call); }).detach();
    } catch (const std::system_error&) {
      return;
    }
  }
}

void Team::work_forever(int thread, uint32_t last_call) {
  const SerialGuard serial;
  for (;;) {
    last_call = wait_for_call(last_call);
    take_pieces(thread, last_call);
  }
}

uint32_t Team::wait_for_call(uint32_t last_call) const {
  const auto has_come = [&] { return call_.load(std::memory_order_acquire) != last_call; };
  if (!watch(kPatience, has_come)) call_.wait(last_call, std::memory_order_seq_cst);
  return call_.load(std::memory_order_acquire);
}

// A thread that comes late may read the number of pieces of a later call, whose pieces it cannot
// take for this one.
void Team::take_pieces(int first, uint32_t call) {
  const int pieces = pieces_.load(std::memory_order_relaxed);
  for (int k = 0; k < pieces; ++k) {
    const int piece = (first + k) % pieces;
    uint64_t open = open_state(call);
    std::atomic<uint64_t>& state = states_[static_cast<size_t>(piece)].state;
    if (state.load(std::memory_order_relaxed) != open) continue;
    if (state.compare_exchange_strong(open, open | 1, std::memory_order_acquire)) {
      run_piece(piece, pieces_.load(std::memory_order_relaxed));
    }
  }
}

void Team::run_piece(int piece, int pieces) {
  const int64_t begin = n_ * piece / pieces;
  const int64_t end = n_ * (piece + 1) / pieces;
  try {
    if (begin < end) body_(context_, begin, end);
  } catch (...) {
    const std::lock_guard lock(failure_in_use_);
    if (!failure_) failure_ = std::current_exception();
  }
  if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_all();
}

void Team::wait_for_others() const {
  const auto all_done = [&] { return unfinished_.load(std::memory_order_acquire) == 0; };
  if (has_cores_ && watch(kPatience, all_done)) return;
  for (int left = unfinished_.load(std::memory_order_acquire); left != 0;
       left = unfinished_.load(std::memory_order_acquire)) {
    unfinished_.wait(left, std::memory_order_acquire);
  }
}

int available_cores() {
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace taut
