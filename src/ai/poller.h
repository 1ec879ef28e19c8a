#pragma once
// Waits for many sockets at once, at a cost that does not grow with those that are silent.

#include <sys/epoll.h>

#include <array>
#include <span>

#include "taut/base/macros.h"

namespace taut::ai {

/// Used by one thread, but for wake().
class TAUT_API Poller {
 public:
  struct Ready {
    int socket = -1;
    bool can_read = false, can_write = false, has_failed = false;
  };

  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();

  /// From now on it is waited for this of the socket, and for nothing else. Nothing happens where
  /// the system has no room for it.
  void watch(int socket, bool reads, bool writes);
  /// A socket that is closed already is forgotten by itself.
  void forget(int socket);

  /// Those that are ready, after so many seconds at most. What it gives is there until the next
  /// wait; a socket that has been closed since may be among it.
  std::span<const Ready> wait(double seconds);
  /// Ends a wait, or the next one. From any thread.
  void wake() const;

 private:
  void hear_wake() const;

  int set_ = -1;
  int wake_ = -1;
  std::array<epoll_event, 128> events_ = {};
  std::array<Ready, 128> ready_ = {};
};

}  // namespace taut::ai
