#include "src/ai/poller.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include "src/ai/steady_time.h"
#include "taut/base/check.h"

namespace taut::ai {

namespace {

[[noreturn]] void fail(const char* what) {
  throw IoError(concat("client: ", what, " fails; got ", std::strerror(errno)));
}

/// Until one of the sets has something, but for so many seconds at most.
void sleep_on(std::span<pollfd> sets, double seconds) {
  const double left = std::max(seconds, 0.0);
  timespec time = {};
  time.tv_sec = static_cast<time_t>(left);
  time.tv_nsec = static_cast<long>(1e9 * (left - static_cast<double>(time.tv_sec)));
  ppoll(sets.data(), sets.size(), &time, nullptr);
}

}  // namespace

Poller::Poller(double rest)
    : rest_(rest),
      set_(epoll_create1(EPOLL_CLOEXEC)),
      patient_set_(epoll_create1(EPOLL_CLOEXEC)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (set_ < 0 || patient_set_ < 0 || wake_ < 0) {
    const int error = errno;
    close_all();
    errno = error;
    fail(wake_ < 0 ? "eventfd" : "epoll_create1");
  }
  watch(wake_, true, false);
}

Poller::~Poller() { close_all(); }

void Poller::close_all() const {
  for (const int one : {wake_, patient_set_, set_}) {
    if (one >= 0) close(one);
  }
}

// ---- What is waited for -------------------------------------------------------------------------

void Poller::watch(int socket, bool reads, bool writes) {
  note(socket, writes ? Watch::writes : reads ? Watch::reads : Watch::none);
  epoll_event event = {};
  event.events = (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u);
  event.data.fd = socket;
  if (epoll_ctl(set_, EPOLL_CTL_MOD, socket, &event) == 0) return;
  if (errno == ENOENT) epoll_ctl(set_, EPOLL_CTL_ADD, socket, &event);
}

void Poller::forget(int socket) {
  if (watch_of(socket) != Watch::patient) epoll_ctl(set_, EPOLL_CTL_DEL, socket, nullptr);
  note(socket, Watch::none);
}

void Poller::let_wait(int socket) {
  if (watch_of(socket) != Watch::reads) return;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = socket;
  if (epoll_ctl(patient_set_, EPOLL_CTL_ADD, socket, &event) != 0) return;  // it stays as it is
  epoll_ctl(set_, EPOLL_CTL_DEL, socket, nullptr);
  note(socket, Watch::patient);
}

Poller::Watch Poller::watch_of(int socket) const {
  const auto place = static_cast<size_t>(socket);
  return place < watches_.size() ? watches_[place] : Watch::none;
}

/// A socket that is patient no more is taken out of their set. Where there is no memory for a note
/// the socket never becomes patient: libcurl calls this, and nothing is thrown through it.
void Poller::note(int socket, Watch watch) {
  if (socket < 0) return;
  const auto place = static_cast<size_t>(socket);
  if (place >= watches_.size()) {
    try {
      watches_.resize(place + 1, Watch::none);
    } catch (const std::bad_alloc&) {
      return;
    }
  }
  const Watch before = std::exchange(watches_[place], watch);
  if (before == watch) return;
  if (before == Watch::patient) {
    epoll_ctl(patient_set_, EPOLL_CTL_DEL, socket, nullptr);
    --patients_;
  }
  if (watch == Watch::patient) ++patients_;
}

// ---- Waiting ------------------------------------------------------------------------------------

std::span<const Poller::Ready> Poller::wait(double seconds) {
  if (patients_ == 0) {
    const int milliseconds = seconds <= 0 ? 0 : static_cast<int>(std::ceil(seconds * 1000));
    return {ready_.data(), gather(set_, milliseconds, 0)};
  }
  pollfd sets[] = {{set_, POLLIN, 0}, {patient_set_, POLLIN, 0}};
  const double left = rests_until_ - steady_time();
  if (left > 0) {
    sleep_on({sets, 1}, std::min(left, seconds));
  } else {
    sleep_on(sets, seconds);
  }
  size_t ready = sets[0].revents == 0 ? 0 : gather(set_, 0, 0);
  const double now = steady_time();
  if (left > 0 ? now < rests_until_ : sets[1].revents == 0) return {ready_.data(), ready};
  const size_t others = ready;
  ready = gather(patient_set_, 0, ready);
  if (ready > others && ready < kAtOnce) rests_until_ = now + rest_;
  return {ready_.data(), ready};
}

/// Adds what is ready of a set to the first `ready` ones; how many there are then.
size_t Poller::gather(int set, int milliseconds, size_t ready) {
  if (ready == kAtOnce) return ready;
  const int count =
      epoll_wait(set, events_.data(), static_cast<int>(kAtOnce - ready), milliseconds);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<size_t>(i)];
    if (event.data.fd == wake_) {
      hear_wake();
      continue;
    }
    ready_[ready++] = {event.data.fd, (event.events & EPOLLIN) != 0, (event.events & EPOLLOUT) != 0,
                       (event.events & (EPOLLERR | EPOLLHUP)) != 0};
  }
  return ready;
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
