#include "src/ai/poller.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "taut/base/check.h"

namespace taut::ai {

namespace {

[[noreturn]] void fail(const char* what) {
  throw IoError(concat("client: ", what, " fails; got ", std::strerror(errno)));
}

}  // namespace

Poller::Poller() : set_(epoll_create1(EPOLL_CLOEXEC)) {
  if (set_ < 0) fail("epoll_create1");
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) {
    close(set_);
    fail("eventfd");
  }
  watch(wake_, true, false);
}

Poller::~Poller() {
  close(wake_);
  close(set_);
}

void Poller::watch(int socket, bool reads, bool writes) {
  epoll_event event = {};
  event.events = (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u);
  event.data.fd = socket;
  if (epoll_ctl(set_, EPOLL_CTL_MOD, socket, &event) == 0) return;
  if (errno == ENOENT) epoll_ctl(set_, EPOLL_CTL_ADD, socket, &event);
}

void Poller::forget(int socket) { epoll_ctl(set_, EPOLL_CTL_DEL, socket, nullptr); }

std::span<const Poller::Ready> Poller::wait(double seconds) {
  const int milliseconds = seconds <= 0 ? 0 : static_cast<int>(std::ceil(seconds * 1000));
  const int count =
      epoll_wait(set_, events_.data(), static_cast<int>(events_.size()), milliseconds);
  size_t ready = 0;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<size_t>(i)];
    if (event.data.fd == wake_) {
      hear_wake();
      continue;
    }
    ready_[ready++] = {event.data.fd, (event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                       (event.events & (EPOLLERR | EPOLLHUP)) != 0};
  }
  return {ready_.data(), ready};
}

void Poller::wake() const {
  const uint64_t one = 1;
  // It fails only where a wake is there already.
  [[maybe_unused]] const ssize_t written = write(wake_, &one, sizeof(one));
}

void Poller::hear_wake() const {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_, &count, sizeof(count));
}

}  // namespace taut::ai
