#pragma once
// A server on this machine that does what a script says, to the byte: faults come exactly as they
// are written. It listens at 127.0.0.1 and keeps what it was sent.
//   FakeServer server;
//   server.answer(http(200, "{}"));
//   server.url();  // http://127.0.0.1:34567

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace taut::ai::test {

/// What the server does after it has read a request, one step after the other.
struct Step {
  enum class Kind : uint8_t {
    send,    // `text`, in pieces of `piece` bytes with `seconds` between them
    wait,    // `seconds`, or until the client is gone
    repeat,  // `text` again and again, with `seconds` between, until the client is gone or `times`
             // is over
    close,   // in good order
    reset,   // with RST
    hold,    // until the client is gone
    relay,   // what comes from either side to the other: as a proxy does, to a port of this machine
  };
  Kind kind = Kind::send;
  std::string text = {};
  double seconds = 0;
  size_t piece = 0;   // 0: all at once
  int64_t times = 0;  // 0: without end
  int port = 0;       // to relay to
};

Step send(std::string text);
Step send_slowly(std::string text, size_t piece, double seconds);
Step wait(double seconds);
Step repeat(std::string text, double seconds, int64_t times = 0);
Step close();
Step reset();
Step hold();
Step relay(int port);

using Script = std::vector<Step>;

/// A whole answer with its length.
std::string http(int status, const std::string& body, const std::string& headers = {},
                 const std::string& type = "application/json");
/// The head of an answer whose body ends with the connection.
std::string http_open(int status, const std::string& headers = {},
                      const std::string& type = "text/event-stream");
/// An answer in chunks, complete.
std::string http_chunked(int status, const std::vector<std::string>& chunks,
                         const std::string& headers = {},
                         const std::string& type = "text/event-stream");
std::string chunk(const std::string& text);

struct Request {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
  std::string head;  // as it came
};

class FakeServer {
 public:
  FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;
  ~FakeServer();

  int port() const { return port_; }
  std::string url() const;

  /// For the next request that has none; the last script is used again for all that follow.
  void answer(Script script);
  /// From now on the scripts are used in turn, without end.
  void repeat_all();
  void answer(std::string text) { answer(Script{send(std::move(text))}); }
  /// What is done with every connection before its first request; what the client has sent by then
  /// stays unread where the script ends it. Before any connection.
  void greet(Script script) { greeting_ = std::move(script); }
  /// No request may hold this text: a failure of the test otherwise.
  void forbid(std::string text);

  std::vector<Request> requests() const;
  int64_t connections() const;
  int64_t open_connections() const;
  /// Whether so many requests came within the time.
  bool wait_for_requests(size_t count, double seconds = 10) const;
  bool wait_until_idle(double seconds = 10) const;
  /// Their descriptors, which stay until another connection comes otherwise.
  void close_ended();

 private:
  struct Connection;

  void accept_all();
  void serve(Connection& connection);
  bool read_request(int socket, std::string& buffer, Request& request) const;
  bool play(int socket, const Script& script) const;
  void relay_to(int port, int socket) const;
  Script next_script();
  void record(Request request);

  int listener_ = -1;
  int port_ = 0;
  int stop_[2] = {-1, -1};  // a pipe that ends every wait
  std::thread acceptor_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::list<Connection> open_;
  std::deque<Script> scripts_;
  Script last_, greeting_;
  std::vector<Request> requests_;
  std::vector<std::string> forbidden_;
  int64_t connections_ = 0;
  int64_t active_ = 0;
  bool is_repeating_ = false, is_stopping_ = false;
};

}  // namespace taut::ai::test
