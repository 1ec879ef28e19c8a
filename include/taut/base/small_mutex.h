#pragma once
// SmallMutex: a mutex of four bytes, for objects of which there are many. Who has to wait sleeps,
// as with std::mutex. The last of those in Drepper, "Futexes Are Tricky" (2011).

#include <atomic>
#include <cstdint>

namespace taut {

class SmallMutex {
 public:
  SmallMutex() = default;
  SmallMutex(const SmallMutex&) = delete;
  SmallMutex& operator=(const SmallMutex&) = delete;

  void lock() noexcept {
    uint32_t state = kFree;
    if (!state_.compare_exchange_strong(state, kHeld, std::memory_order_acquire)) wait_for_turn();
  }
  void unlock() noexcept {
    if (state_.exchange(kFree, std::memory_order_release) == kWaitedFor) state_.notify_one();
  }

 private:
  static constexpr uint32_t kFree = 0, kHeld = 1, kWaitedFor = 2;

  /// Whoever has waited says that others may: at worst they are told for nothing.
  void wait_for_turn() noexcept {
    while (state_.exchange(kWaitedFor, std::memory_order_acquire) != kFree) {
      state_.wait(kWaitedFor, std::memory_order_relaxed);
    }
  }

  std::atomic<uint32_t> state_{kFree};
};

}  // namespace taut
