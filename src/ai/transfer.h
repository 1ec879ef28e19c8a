#pragma once
// One request on its way, and what comes back. All of it happens on the client's own thread.

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/ai/address.h"
#include "src/ai/host_limits.h"
#include "src/ai/http.h"
#include "src/ai/key_text.h"
#include "src/ai/poller.h"
#include "src/ai/time_source.h"
#include "src/ai/timers.h"
#include "src/ai/trace.h"
#include "taut/ai/client.h"

namespace taut::ai {

struct TransferRequest {
  std::string method;
  std::string url;
  BaseUrl base;                 // whose host alone sees the key
  std::vector<Header> headers;  // all but the key
  KeyHeader key_header;
  std::shared_ptr<const KeyText> key;  // empty: none
  std::shared_ptr<const std::string> body;
  bool is_stream = false;
  // Seconds.
  double connect_timeout = 0;
  double first_byte_timeout = 0;
};

/// How a transfer ended.
struct TransferResult {
  bool is_complete = false;                // the answer ended as HTTP says
  ErrorKind kind = ErrorKind::connection;  // what went wrong otherwise
  std::string message;
  std::exception_ptr error;    // what the listener threw, instead
  int64_t bytes_received = 0;  // of the body, decoded
};

/// What became of some bytes of a body.
enum class Flow : uint8_t {
  progress,  // they carried something
  alive,     // they were a sign of life alone
  pause,     // they were not taken: they come again after Transport::resume
  enough,    // the answer is complete: nothing more is told of the transfer
};

/// Is told of a transfer. What it throws ends the transfer, and comes back in its result.
class TransferListener {
 public:
  virtual ~TransferListener() = default;
  virtual void on_head(int status, std::vector<Header> headers) = 0;
  virtual Flow on_bytes(std::string_view bytes) = 0;
  /// The last that is told.
  virtual void on_end(const TransferResult& result) = 0;
  /// What on_bytes() will need: see Note [Fetching chains].
  virtual void fetch(int /*depth*/) const {}
};

/// Owns nothing of libcurl's: the transport lends it a handle.
class Transfer {
 public:
  /// What it needs of its transport.
  struct Settings {
    const ClientOptions& options;
    const TimeSource& time;
    const double& now;  // on that clock, when the transport woke last
    Timers& timers;
    HostLimits& limits;  // learn whether connections carry many requests
    Poller& poller;
    const std::string& ca_file;
  };
  using Fail = Callback<void(ErrorKind, std::string)>;

  Transfer(Settings settings, uint64_t id, TransferRequest request,
           std::shared_ptr<TransferListener> listener, Fail fail);
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer();

  /// Sets every option of the handle, which is as libcurl makes or resets it.
  void attach(void* easy);

  uint64_t id() const { return id_; }
  const TransferRequest& request() const { return request_; }
  /// Who was told so far. Nothing more is told of the transfer.
  std::shared_ptr<TransferListener> take_listener() { return std::move(listener_); }
  /// Where libcurl waits for it; -1 where it does not.
  void set_socket(int socket) { socket_ = socket; }
  int socket() const { return socket_; }
  /// After Flow::pause. What libcurl's code says of it; an error is told nowhere else.
  [[nodiscard]] int resume();
  bool is_paused() const { return is_paused_; }
  bool was_paused() const { return was_paused_; }  // at any time

  /// What libcurl's code says of it.
  TransferResult result(int code) const;
  int64_t bytes_received() const { return bytes_received_; }
  /// What the next piece of the body will need: see Note [Fetching chains].
  void fetch(int depth) const;

 private:
  static int on_request_ready(void* self, char*, char*, int, int);
  static size_t on_header_line(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  static int on_trace(void* easy, int kind, char* data, size_t bytes, void* self);

  void set_options();
  void set_headers();
  void set_trace();
  void read_header_line(std::string_view line);
  void end_head();
  size_t read_body(std::string_view bytes);
  void flow_on();
  void pause();
  bool has_own_socket() const { return socket_ >= 0 && !is_multiplexed_; }
  size_t drain(size_t bytes);
  /// The listener has had enough: the rest is read for a moment, so that the connection can be used
  /// again, and thrown away.
  void start_draining();
  void watch_silence();
  ErrorKind kind_of(int code, std::string& message) const;
  ErrorKind kind_of_cut() const;

  // What each piece of a body needs stands together, in one line of the cache.
  std::shared_ptr<TransferListener> listener_;
  int64_t bytes_received_ = 0;
  int64_t received_before_ = 0;  // until the transport woke last
  double last_bytes_ = 0;        // when they came
  double last_progress_ = 0;     // when they carried something
  bool is_draining_ = false;
  bool is_flowing_ = false;    // what comes of it next may be read a moment later
  bool is_requested_ = false;  // there is a connection, and the request is on its way
  bool has_head_ = false;
  bool is_paused_ = false;
  bool was_paused_ = false;
  bool is_multiplexed_ = false;  // other transfers may go over the same connection

  Settings settings_;
  const uint64_t id_;  // its transport's
  TransferRequest request_;
  Fail fail_;
  void* easy_ = nullptr;
  void* header_list_ = nullptr;  // libcurl's; it holds the key and is wiped
  std::vector<char> error_text_;
  std::optional<Trace> trace_;  // where the client is traced

  TimerId timer_;
  int socket_ = -1;
  int status_ = 0;
  std::vector<Header> headers_;
  int64_t header_bytes_ = 0;
  int64_t drained_ = 0;
  std::exception_ptr error_;
};

}  // namespace taut::ai
