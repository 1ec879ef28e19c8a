#include "tests/ai/fake_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <utility>

#include "tests/ai/marker_key.h"

namespace taut::ai::test {

namespace {

std::chrono::duration<double> of_seconds(double seconds) {
  return std::chrono::duration<double>(seconds);
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

/// False where the client is gone.
bool send_all(int socket, std::string_view text) {
  while (!text.empty()) {
    const ssize_t sent = ::send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void parse_head(Request& request) {
  size_t begin = 0;
  bool is_first = true;
  while (begin < request.head.size()) {
    const size_t end = request.head.find("\r\n", begin);
    const std::string line = request.head.substr(begin, end - begin);
    begin = end == std::string::npos ? request.head.size() : end + 2;
    if (std::exchange(is_first, false)) {
      const size_t one = line.find(' '), two = line.rfind(' ');
      request.method = line.substr(0, one);
      request.target = line.substr(one + 1, two - one - 1);
    } else if (const size_t colon = line.find(':'); colon != std::string::npos) {
      const size_t value = line.find_first_not_of(' ', colon + 1);
      request.headers[lower(line.substr(0, colon))] =
          value == std::string::npos ? std::string() : line.substr(value);
    }
  }
}

}  // namespace

Step send(std::string text) { return {.text = std::move(text)}; }
Step send_slowly(std::string text, size_t piece, double seconds) {
  return {.text = std::move(text), .seconds = seconds, .piece = piece};
}
Step wait(double seconds) { return {.kind = Step::Kind::wait, .seconds = seconds}; }
Step repeat(std::string text, double seconds, int64_t times) {
  return {.kind = Step::Kind::repeat, .text = std::move(text), .seconds = seconds, .times = times};
}
Step close() { return {.kind = Step::Kind::close}; }
Step reset() { return {.kind = Step::Kind::reset}; }
Step hold() { return {.kind = Step::Kind::hold}; }
Step relay(int port) { return {.kind = Step::Kind::relay, .port = port}; }

std::string http(int status, const std::string& body, const std::string& headers,
                 const std::string& type) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\ncontent-type: " + type +
         "\r\ncontent-length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body;
}

std::string http_open(int status, const std::string& headers, const std::string& type) {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\ncontent-type: " + type +
         "\r\nconnection: close\r\n" + headers + "\r\n";
}

std::string chunk(const std::string& text) {
  char size[32];
  std::snprintf(size, sizeof(size), "%zx\r\n", text.size());
  return size + text + "\r\n";
}

std::string http_chunked(int status, const std::vector<std::string>& chunks,
                         const std::string& headers, const std::string& type) {
  std::string text = "HTTP/1.1 " + std::to_string(status) + " X\r\ncontent-type: " + type +
                     "\r\ntransfer-encoding: chunked\r\n" + headers + "\r\n";
  for (const std::string& piece : chunks) text += chunk(piece);
  return text + "0\r\n\r\n";
}

struct FakeServer::Connection {
  int socket = -1;
  bool is_over = false;
  std::thread thread;
};

FakeServer::FakeServer() {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener_, any, size), 0);
  EXPECT_EQ(::listen(listener_, 1024), 0);
  EXPECT_EQ(::getsockname(listener_, any, &size), 0);
  port_ = ntohs(address.sin_port);
  EXPECT_EQ(::pipe(stop_), 0);
  acceptor_ = std::thread([this] { accept_all(); });
}

FakeServer::~FakeServer() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  ::close(stop_[1]);  // every poll sees the end of the pipe
  acceptor_.join();
  for (Connection& connection : open_) {
    ::shutdown(connection.socket, SHUT_RDWR);
    connection.thread.join();
    ::close(connection.socket);
  }
  ::close(stop_[0]);
  ::close(listener_);
}

std::string FakeServer::url() const { return "http://127.0.0.1:" + std::to_string(port_); }

void FakeServer::answer(Script script) {
  const std::lock_guard lock(mutex_);
  scripts_.push_back(std::move(script));
}

void FakeServer::repeat_all() {
  const std::lock_guard lock(mutex_);
  is_repeating_ = true;
}

void FakeServer::forbid(std::string text) {
  const std::lock_guard lock(mutex_);
  forbidden_.push_back(std::move(text));
}

std::vector<Request> FakeServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

int64_t FakeServer::connections() const {
  const std::lock_guard lock(mutex_);
  return connections_;
}

int64_t FakeServer::open_connections() const {
  const std::lock_guard lock(mutex_);
  return active_;
}

bool FakeServer::wait_for_requests(size_t count, double seconds) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, of_seconds(seconds), [&] { return requests_.size() >= count; });
}

bool FakeServer::wait_until_idle(double seconds) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, of_seconds(seconds), [&] { return active_ == 0; });
}

void FakeServer::close_ended() {
  const std::lock_guard lock(mutex_);
  for (auto old = open_.begin(); old != open_.end();) {
    if (!old->is_over) {
      ++old;
      continue;
    }
    old->thread.join();
    ::close(old->socket);
    old = open_.erase(old);
  }
}

void FakeServer::accept_all() {
  for (;;) {
    pollfd waits[2] = {{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    ::poll(waits, 2, -1);
    if (waits[1].revents != 0) return;
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    close_ended();  // so that thousands can come one after the other
    const std::lock_guard lock(mutex_);
    Connection& connection = open_.emplace_back();
    connection.socket = socket;
    ++connections_;
    ++active_;
    connection.thread = std::thread([this, &connection] { serve(connection); });
  }
}

void FakeServer::serve(Connection& connection) {
  std::string buffer;
  Request request;
  const bool goes_on = play(connection.socket, greeting_);
  while (goes_on && read_request(connection.socket, buffer, request)) {
    record(std::move(request));
    request = {};
    if (!play(connection.socket, next_script())) break;
  }
  ::shutdown(connection.socket, SHUT_RDWR);
  const std::lock_guard lock(mutex_);
  connection.is_over = true;
  --active_;
  changed_.notify_all();
}

bool FakeServer::read_request(int socket, std::string& buffer, Request& request) const {
  const auto read_more = [&] {
    pollfd waits[2] = {{socket, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    ::poll(waits, 2, -1);
    if (waits[1].revents != 0) return false;
    char piece[65536];
    const ssize_t got = ::recv(socket, piece, sizeof(piece), 0);
    if (got <= 0) return false;
    buffer.append(piece, static_cast<size_t>(got));
    return true;
  };
  size_t end = 0;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    if (!read_more()) return false;
  }
  request.head = buffer.substr(0, end + 2);
  buffer.erase(0, end + 4);
  parse_head(request);
  const auto length = request.headers.find("content-length");
  const size_t bytes = length == request.headers.end() ? 0 : std::stoull(length->second);
  while (buffer.size() < bytes) {
    if (!read_more()) return false;
  }
  request.body = buffer.substr(0, bytes);
  buffer.erase(0, bytes);
  return true;
}

/// Whether the connection goes on.
bool FakeServer::play(int socket, const Script& script) const {
  // False when the client is gone or the server stops.
  const auto pause = [&](double seconds) {
    pollfd waits[2] = {{socket, POLLRDHUP, 0}, {stop_[0], POLLIN, 0}};
    const int limit = seconds < 0 ? -1 : static_cast<int>(std::ceil(seconds * 1000));
    return ::poll(waits, 2, limit) == 0;
  };
  for (const Step& step : script) {
    switch (step.kind) {
      case Step::Kind::send: {
        const size_t piece = step.piece == 0 ? step.text.size() : step.piece;
        for (size_t begin = 0; begin < step.text.size(); begin += piece) {
          if (!send_all(socket, std::string_view(step.text).substr(begin, piece))) return false;
          if (step.seconds > 0 && !pause(step.seconds)) return false;
        }
        break;
      }
      case Step::Kind::wait:
        if (!pause(step.seconds)) return false;
        break;
      case Step::Kind::repeat:
        for (int64_t i = 0; step.times == 0 || i < step.times; ++i) {
          if (!send_all(socket, step.text) || !pause(step.seconds)) return false;
        }
        break;
      case Step::Kind::close: return false;
      case Step::Kind::reset: {
        const linger now = {1, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        // Closing is what sends RST; the descriptor stays for the owner to close.
        const int copy = ::open("/dev/null", 0);
        ::dup2(copy, socket);
        ::close(copy);
        return false;
      }
      case Step::Kind::hold: pause(-1); return false;
      case Step::Kind::relay: relay_to(step.port, socket); return false;
    }
  }
  return true;
}

void FakeServer::relay_to(int port, int socket) const {
  const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  bool is_open = ::connect(other, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  while (is_open) {
    pollfd waits[3] = {{socket, POLLIN, 0}, {other, POLLIN, 0}, {stop_[0], POLLIN, 0}};
    ::poll(waits, 3, -1);
    if (waits[2].revents != 0) break;
    for (int from = 0; from < 2; ++from) {
      if (waits[from].revents == 0) continue;
      char piece[65536];
      const ssize_t got = ::recv(waits[from].fd, piece, sizeof(piece), 0);
      is_open =
          is_open && got > 0 && send_all(waits[1 - from].fd, {piece, static_cast<size_t>(got)});
    }
  }
  ::close(other);
}

Script FakeServer::next_script() {
  const std::lock_guard lock(mutex_);
  if (!scripts_.empty()) {
    last_ = std::move(scripts_.front());
    scripts_.pop_front();
    if (is_repeating_) scripts_.push_back(last_);
  }
  return last_;
}

void FakeServer::record(Request request) {
  count_marked(request.head);
  const std::lock_guard lock(mutex_);
  for (const std::string& text : forbidden_) {
    EXPECT_EQ((request.head + request.body).find(text), std::string::npos)
        << "a request carries what is another provider's";
  }
  requests_.push_back(std::move(request));
  changed_.notify_all();
}

}  // namespace taut::ai::test
