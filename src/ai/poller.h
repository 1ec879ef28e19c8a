#pragma once
// Waits for many sockets at once, at a cost that does not grow with those that are silent.

#include <sys/epoll.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "taut/base/macros.h"

namespace taut::ai {

/// Used by one thread, but for wake().
class TAUT_API Poller {
 public:
  struct Ready {
    int socket = -1;
    bool can_read = false, can_write = false, has_failed = false;
  };

  /// `rest`: how many seconds sockets that may wait do so.
  explicit Poller(double rest = 0.001);
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  /// From now on it is waited for this of the socket, and for nothing else. Nothing happens where
  /// the system has no room for it.
  void watch(int socket, bool reads, bool writes);
  /// A socket that is closed already is forgotten by itself.
  void forget(int socket);
  /// It is waited for something to read, which may itself wait a moment for more of its kind: to
  /// wake a thread costs more than to read a piece of a stream. What comes after a rest is told at
  /// once, and then nobody looks at these sockets for the next. Until watch() or forget(); nothing
  /// changes for a socket that is not waited for, or not for something to read alone.
  void let_wait(int socket);
  /// There is much to read: what comes next does not wait.
  void hurry() { rests_until_ = 0; }

  /// Those that are ready, after so many seconds at most. What it gives is there until the next
  /// wait; a socket that has been closed since may be among it.
  std::span<const Ready> wait(double seconds);
  /// Ends a wait, or the next one. From any thread.
  void wake() const;

 private:
  static constexpr size_t kAtOnce = 128;

  void close_all() const;
  void hear_wake() const;
  enum class Watch : uint8_t { none, reads, writes, patient };  // writes: perhaps reads, too

  Watch watch_of(int socket) const;
  void note(int socket, Watch watch);
  size_t gather(int set, int milliseconds, size_t ready);

  const double rest_;
  int set_ = -1;
  int patient_set_ = -1;
  int wake_ = -1;
  std::vector<Watch> watches_;  // by socket
  int patients_ = 0;
  double rests_until_ = 0;  // nobody looks at the patient ones before
  std::array<epoll_event, kAtOnce> events_ = {};
  std::array<Ready, kAtOnce> ready_ = {};
};

}  // namespace taut::ai
