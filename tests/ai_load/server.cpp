// A server for tests of load and for measurements: it speaks OpenAI's language, answers thousands
// of requests a second from one thread, and is a process of its own, so that its memory, its
// descriptors and its time are not the client's.
//   taut_ai_load_server [SEED [MILLISECONDS]]
// It prints its port, and serves until its standard input ends. MILLISECONDS lie between two words.
// The model that is asked for says what comes:
//   answer      a whole answer
//   words-20    a stream of 20 words, one at a time
//   burst-20    the same, as fast as they are read
//   held        a word, and then nothing more
//   faulty-20   words-20, or a fault: 5 % limits, 3 % failures, 3 % resets in the middle, 2 % that
//               fall silent, 1 % whose line never ends. Whole answers fail so where `stream` is not
//               asked for.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <string_view>

namespace {

constexpr size_t kEnough = size_t{1} << 16;  // bytes that wait for a slow reader

const std::string kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,)"
    R"("message":{"role":"assistant","content":"Hello, and welcome."},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14}})";
const std::string kWord =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
    R"({"index":0,"delta":{"content":" word"},"finish_reason":null}]})"
    "\n\n";
const std::string kEnd =
    R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m","choices":[)"
    R"({"index":0,"delta":{},"finish_reason":"stop"}]})"
    "\n\ndata: [DONE]\n\n";

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string chunk(std::string_view text) {
  char size[16];
  std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
  return size + std::string(text) + "\r\n";
}

std::string whole(int status, const std::string& body, const std::string& headers = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " X\r\ncontent-type: application/json\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n" + headers + "\r\n" + body;
}

const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// What becomes of the stream that a peer is being sent.
enum class Course : uint8_t { none, in_time, at_once, silent, endless, ends_in_a_reset };

struct Peer {
  std::string input, output;
  Course course = Course::none;
  int words_left = 0;
  bool waits_to_write = false;
};

struct Asked {
  std::string model;
  bool is_stream = false;
  int words() const {
    const size_t dash = model.find('-');
    return dash == std::string::npos ? 1 : std::max(1, std::atoi(model.c_str() + dash + 1));
  }
  bool begins(std::string_view kind) const { return model.compare(0, kind.size(), kind) == 0; }
};

/// The text after `"name":`, without its quotes where it has some.
std::string member(std::string_view body, std::string_view name) {
  const std::string quoted = "\"" + std::string(name) + "\"";
  size_t at = body.find(quoted);
  if (at == std::string_view::npos) return {};
  at = body.find_first_not_of(": \"", at + quoted.size());
  return std::string(body.substr(at, body.find_first_of("\",}", at) - at));
}

class Server {
 public:
  Server(unsigned seed, double pause)
      : random_(seed), pause_(pause), listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* any = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, any, size) != 0 || listen(listener_, 1024) != 0 ||
        getsockname(listener_, any, &size) != 0) {
      std::perror("load server: cannot listen");
      std::exit(1);
    }
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
  }

  void serve() {
    poller_ = epoll_create1(0);
    watch(listener_, EPOLL_CTL_ADD, EPOLLIN);
    watch(STDIN_FILENO, EPOLL_CTL_ADD, EPOLLIN);
    double next_tick = now();
    for (;;) {
      epoll_event events[64];
      const int count = epoll_wait(poller_, events, 64, milliseconds_to(next_tick));
      for (int i = 0; i < count; ++i) {
        const int socket = events[i].data.fd;
        if (socket == STDIN_FILENO) return;
        if (socket == listener_) {
          welcome();
        } else if ((events[i].events & ~EPOLLOUT) != 0) {
          read_from(socket);
        } else {
          write_to(socket);
        }
      }
      if (now() < next_tick) continue;
      if (in_time_ > 0) tick();
      next_tick = now() + pause_;
    }
  }

 private:
  int milliseconds_to(double time) const {
    if (in_time_ == 0) return -1;
    return std::max(0, static_cast<int>((time - now()) * 1000) + 1);
  }

  void watch(int socket, int operation, uint32_t what) const {
    epoll_event event = {};
    event.events = what;
    event.data.fd = socket;
    epoll_ctl(poller_, operation, socket, &event);
  }

  void welcome() {
    const int socket = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    peers_[socket] = {};
    watch(socket, EPOLL_CTL_ADD, EPOLLIN);
  }

  void part(int socket) {
    set_course(peers_[socket], Course::none);
    peers_.erase(socket);
    close(socket);
  }

  void set_course(Peer& peer, Course course) {
    in_time_ -= is_timed(peer.course) ? 1 : 0;
    in_time_ += is_timed(course) ? 1 : 0;
    peer.course = course;
  }
  static bool is_timed(Course course) {
    return course == Course::in_time || course == Course::ends_in_a_reset;
  }

  void read_from(int socket) {
    char piece[65536];
    const ssize_t got = recv(socket, piece, sizeof(piece), 0);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) return part(socket);
    Peer& peer = peers_[socket];
    peer.input.append(piece, static_cast<size_t>(got));
    const size_t end = peer.input.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const char* length = strcasestr(peer.input.c_str(), "content-length:");
    const size_t bytes = length == nullptr ? 0 : static_cast<size_t>(std::atoll(length + 15));
    if (peer.input.size() < end + 4 + bytes) return;
    const std::string_view body = std::string_view(peer.input).substr(end + 4);
    const Asked asked = {member(body, "model"), member(body, "stream") == "true"};
    peer.input.clear();
    answer(peer, asked);
    write_to(socket);
  }

  void answer(Peer& peer, const Asked& asked) {
    Course course = Course::in_time;
    if (asked.begins("burst")) course = Course::at_once;
    if (asked.begins("held")) course = Course::silent;
    if (asked.begins("faulty")) {
      const int die = std::uniform_int_distribution<int>(0, 99)(random_);
      if (die < 5) return say(peer, whole(429, "{}", "retry-after-ms: 1\r\n"));
      if (die < 8) return say(peer, whole(503, "{}"));
      course = die < 11   ? Course::ends_in_a_reset
               : die < 13 ? Course::silent
               : die < 14 ? Course::endless
                          : Course::in_time;
    }
    if (asked.is_stream) {
      say(peer, kStreamHead);
      peer.words_left = asked.words();
      if (course == Course::ends_in_a_reset) peer.words_left = std::max(1, peer.words_left / 2);
      set_course(peer, course);
      if (course == Course::silent) say(peer, chunk(kWord));
    } else if (course == Course::in_time) {
      say(peer, whole(200, kAnswer));
    } else {
      say(peer, whole(200, kAnswer).substr(0, 150));
      peer.words_left = 1;
      set_course(peer, course);
    }
  }

  static void say(Peer& peer, const std::string& text) { peer.output += text; }

  void say_word(Peer& peer) {
    say(peer, chunk(kWord));
    if (--peer.words_left > 0) return;
    say(peer, chunk(kEnd) + "0\r\n\r\n");
    set_course(peer, Course::none);
  }

  /// Sends what can be sent; makes more where the stream waits for no clock.
  void write_to(int socket) {
    Peer& peer = peers_[socket];
    for (;;) {
      while (peer.course == Course::at_once && peer.output.size() < kEnough) say_word(peer);
      if (peer.course == Course::endless && peer.output.size() < kEnough) {
        say(peer, chunk(std::string(kEnough, 'x')));
      }
      if (peer.output.empty()) break;
      const ssize_t sent = send(socket, peer.output.data(), peer.output.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN) return part(socket);
      if (sent <= 0) break;
      peer.output.erase(0, static_cast<size_t>(sent));
    }
    if (peer.waits_to_write == !peer.output.empty()) return;
    peer.waits_to_write = !peer.waits_to_write;
    watch(socket, EPOLL_CTL_MOD, peer.waits_to_write ? EPOLLIN | EPOLLOUT : EPOLLIN);
  }

  void tick() {
    for (auto next = peers_.begin(); next != peers_.end();) {
      const int socket = next->first;
      Peer& peer = next->second;
      ++next;  // this one may go
      if (!is_timed(peer.course)) continue;
      if (peer.course == Course::ends_in_a_reset && peer.words_left <= 1) {
        const linger at_once = {1, 0};
        setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        part(socket);
        continue;
      }
      say_word(peer);
      write_to(socket);
    }
  }

  std::mt19937 random_;
  double pause_;  // seconds between two words
  int listener_;
  int poller_ = -1;
  int in_time_ = 0;  // streams whose words wait for the clock
  std::map<int, Peer> peers_;
};

}  // namespace

int main(int count, char** arguments) {
  const auto number = [&](int i, int otherwise) {
    return count > i ? std::atoi(arguments[i]) : otherwise;
  };
  Server(static_cast<unsigned>(number(1, 1)), number(2, 10) * 1e-3).serve();
  return 0;
}
