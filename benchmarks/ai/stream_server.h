#pragma once
// A server of chat completions for benchmarks: one thread, plain HTTP. The model of a request says
// in which shape its stream comes.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace taut::bench {

/// How the events of a stream are spread over time. Each stream has one event every 10 ms.
struct StreamShape {
  const char* model;
  const char* meaning;
  int events_at_once;  // in one write
  bool is_spread;      // streams take turns within their interval; otherwise all write at once
};
inline constexpr StreamShape kShapes[] = {
    {"together", "all streams at once every 10 ms", 1, false},
    {"spread", "spread over the 10 ms", 1, true},
    {"bursts", "eight events in one write every 80 ms, spread", 8, true},
};
inline constexpr int kEvents = 200;  // of a stream

/// What the events of a stream say, in turn, as JSON has it; and how many bytes that is without
/// escapes.
struct Word {
  std::string_view text;
  int bytes;
};
inline constexpr Word kWords[] = {{" The", 4}, {" tensor", 7},       {"'s", 2},    {" values", 7},
                                  {",", 1},    {R"( caf\u00e9)", 6}, {R"(\n)", 1}, {" word", 5}};
/// Of all that a stream says.
constexpr int64_t stream_bytes() {
  int64_t bytes = 0;
  for (size_t i = 0; i < kEvents; ++i) bytes += kWords[i % std::size(kWords)].bytes;
  return bytes;
}

class StreamServer {
 public:
  StreamServer() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) != 0 || listen(listener_, 1024) != 0 ||
        getsockname(listener_, any, &size) != 0) {
      std::perror("the server cannot listen");
      std::exit(1);
    }
    port_ = ntohs(address.sin_port);
  }
  int port() const { return port_; }

  [[noreturn]] void serve() {
    poller_ = epoll_create1(0);
    timer_ = timerfd_create(CLOCK_MONOTONIC, 0);
    timerfd_settime(timer_, 0, &kTick, nullptr);
    watch(listener_);
    watch(timer_);
    for (;;) {
      epoll_event events[64];
      const int count = epoll_wait(poller_, events, 64, -1);
      for (int i = 0; i < count; ++i) {
        const int ready = events[i].data.fd;
        if (ready == listener_) {
          welcome();
        } else if (ready == timer_) {
          tick();
        } else {
          read_from(ready);
        }
      }
    }
  }

 private:
  static constexpr itimerspec kTick = {{0, 100'000}, {0, 100'000}};  // a tenth of a millisecond
  static constexpr int kTicksOfEvent = 100;
  // Ticks from one peer to the next: no factor of an interval, so that they fill it.
  static constexpr int kStride = 37;

  struct Peer {
    std::string input;
    const StreamShape* shape = kShapes;
    int events_left = 0;  // of the stream that it is being sent
    int number = 0;       // its place among the peers
  };

  static constexpr std::string_view kAnswer =
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":"Hello, and welcome."},"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}})";
  /// An event of a peer's stream, whose first choice goes on so.
  static std::string event_of(const Peer& peer, std::string_view choice) {
    std::string event = R"(data: {"id":"chatcmpl-)" + std::to_string(peer.number);
    event += R"(","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,)";
    event += choice;
    event += "}]}\n\n";
    return event;
  }
  static std::string next_event(const Peer& peer) {
    const auto place = static_cast<size_t>(kEvents - peer.events_left) % std::size(kWords);
    std::string choice = R"("delta":{"content":")";
    choice += kWords[place].text;
    choice += R"("},"finish_reason":null)";
    return event_of(peer, choice);
  }

  static std::string chunk(std::string_view text) {
    char size[16];
    std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
    return size + std::string(text) + "\r\n";
  }

  void watch(int socket) const {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = socket;
    epoll_ctl(poller_, EPOLL_CTL_ADD, socket, &event);
  }
  void welcome() {
    const int peer = accept(listener_, nullptr, nullptr);
    const int on = 1;
    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peers_[peer].number = welcomed_++;
    watch(peer);
  }
  void part(int socket) {
    peers_.erase(socket);
    close(socket);
  }
  static void say(int socket, const std::string& text) {
    if (send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0) std::perror("server: send");
  }
  void read_from(int socket) {
    char piece[65536];
    const ssize_t got = recv(socket, piece, sizeof(piece), 0);
    if (got <= 0) {
      part(socket);
      return;
    }
    Peer& peer = peers_[socket];
    peer.input.append(piece, static_cast<size_t>(got));
    const size_t end = peer.input.find("\r\n\r\n");
    const size_t length = peer.input.find("Content-Length: ");
    if (end == std::string::npos || length == std::string::npos) return;
    const size_t bytes = static_cast<size_t>(std::atoll(peer.input.c_str() + length + 16));
    if (peer.input.size() < end + 4 + bytes) return;
    const std::string body = peer.input.substr(end + 4);
    peer.input.clear();
    body.find("\"stream\":true") != std::string::npos ? begin_stream(socket, peer, body)
                                                      : answer(socket);
  }
  static void answer(int socket) {
    say(socket, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " +
                    std::to_string(kAnswer.size()) + "\r\n\r\n" + std::string(kAnswer));
  }
  void begin_stream(int socket, Peer& peer, const std::string& body) {
    for (const StreamShape& shape : kShapes) {
      if (body.find(shape.model) != std::string::npos) peer.shape = &shape;
    }
    say(socket,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n");
    peer.events_left = kEvents;
  }
  /// Ticks that the system had no time for are not made up for: they would come all at once.
  void tick() {
    uint64_t passed = 0;
    if (read(timer_, &passed, sizeof(passed)) < 0) std::perror("server: read");
    ++ticks_;
    for (auto& [socket, peer] : peers_) {
      if (peer.events_left == 0) continue;
      const int interval = kTicksOfEvent * peer.shape->events_at_once;
      const int place = peer.shape->is_spread ? kStride * peer.number : 0;
      if ((ticks_ + place) % interval == 0) write(socket, peer);
    }
  }
  void write(int socket, Peer& peer) {
    std::string text;
    for (int i = 0; i < peer.shape->events_at_once; ++i, --peer.events_left) {
      text += next_event(peer);
    }
    say(socket, chunk(text));
    if (peer.events_left > 0) return;
    const std::string last = event_of(peer, R"("delta":{},"finish_reason":"stop")");
    say(socket, chunk(last + "data: [DONE]\n\n") + "0\r\n\r\n");
  }

  int listener_;
  int port_ = 0;
  int poller_ = -1;
  int timer_ = -1;
  int welcomed_ = 0;
  int64_t ticks_ = 0;
  std::map<int, Peer> peers_;
};

}  // namespace taut::bench
