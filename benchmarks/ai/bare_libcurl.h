#pragma once
// The same requests by nothing but libcurl, which throws away what comes: once with the loop that
// its manual begins with (curl_multi_poll), once with its interface for many sockets and epoll.

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "measure.h"

namespace taut::bench {

/// Keeps its connections from one run to the next.
class BareLibcurl {
 public:
  enum class Loop { poll, epoll };

  BareLibcurl(std::string url, Loop loop) : url_(std::move(url)), loop_(loop) {
    headers_ = curl_slist_append(headers_, "Content-Type: application/json");
    if (loop_ == Loop::poll) return;
    poller_ = epoll_create1(0);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, &on_socket);
    curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, &on_timer);
    curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
  }
  BareLibcurl(const BareLibcurl&) = delete;
  BareLibcurl& operator=(const BareLibcurl&) = delete;
  ~BareLibcurl() {
    curl_multi_cleanup(multi_);
    curl_slist_free_all(headers_);
    if (poller_ >= 0) close(poller_);
  }

  /// So many requests, so many of them at once.
  void run(const std::string& body, int total, int at_once) {
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(at_once));
    total_ = total;
    begun_ = running_ = at_once;
    for (int i = 0; i < at_once; ++i) begin(body);
    while (running_ > 0) turn();
  }
  /// So many requests, of whose answers one piece comes and no end: returns when all have come, and
  /// leaves them open for as long as the process runs.
  void hold(const std::string& body, int count) {
    total_ = begun_ = running_ = count;
    pieces_ = 0;
    for (int i = 0; i < count; ++i) begin(body);
    while (pieces_ < count) turn();
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  static size_t discard(char*, size_t size, size_t count, void* self) {
    ++static_cast<BareLibcurl*>(self)->pieces_;
    return size * count;
  }

  static int on_socket(CURL*, curl_socket_t socket, int what, void* self, void* is_known) {
    const auto& loop = *static_cast<BareLibcurl*>(self);
    epoll_event event = {};
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    event.data.fd = socket;
    if (what == CURL_POLL_REMOVE) {
      epoll_ctl(loop.poller_, EPOLL_CTL_DEL, socket, &event);
      return 0;
    }
    epoll_ctl(loop.poller_, is_known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, socket, &event);
    curl_multi_assign(loop.multi_, socket, self);
    return 0;
  }
  static int on_timer(CURLM*, long timeout, void* self) {
    static_cast<BareLibcurl*>(self)->due_ =
        timeout < 0 ? kNever : now() + 1e-3 * static_cast<double>(timeout);
    return 0;
  }

  void begin(const std::string& body) {
    CURL* easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url_.c_str());
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.c_str());
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &discard);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);  // as programs with threads have to
    curl_multi_add_handle(multi_, easy);
  }

  void turn() { loop_ == Loop::poll ? perform() : act_on_sockets(); }

  void perform() {
    int still = 0;
    curl_multi_perform(multi_, &still);
    read_finished();
    if (running_ > 0) curl_multi_poll(multi_, nullptr, 0, 1000, nullptr);
  }

  void act_on_sockets() {
    epoll_event events[64];
    const double left = due_ == kNever ? -1e-3 : std::max(due_ - now(), 0.0);
    const int count = epoll_wait(poller_, events, 64, static_cast<int>(std::ceil(1000 * left)));
    int still = 0;
    if (due_ <= now()) {
      due_ = kNever;  // libcurl says it only where it changes
      curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &still);
    }
    for (int i = 0; i < count; ++i) {
      const int ready = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                        (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                        (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
      curl_multi_socket_action(multi_, events[i].data.fd, ready, &still);
    }
    read_finished();
  }

  void read_finished() {
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      CURL* easy = message->easy_handle;
      curl_multi_remove_handle(multi_, easy);
      if (begun_ < total_) {
        ++begun_;
        curl_multi_add_handle(multi_, easy);
      } else {
        --running_;
        curl_easy_cleanup(easy);
      }
    }
  }

  const std::string url_;
  const Loop loop_;
  CURLM* const multi_ = curl_multi_init();
  curl_slist* headers_ = nullptr;
  int total_ = 0, begun_ = 0, running_ = 0;
  int64_t pieces_ = 0;  // of all answers
  int poller_ = -1;
  double due_ = kNever;
};

}  // namespace taut::bench
