#include "src/ai/client_state.h"

#include <cmath>
#include <utility>
#include <vector>

#include "src/ai/call.h"
#include "taut/base/check.h"

namespace taut::ai {

namespace {

void check_seconds(const char* what, double value) {
  TAUT_CHECK(std::isfinite(value) && value > 0, ValueError, "client: ", what, ": not a time; got ",
             value, "; expected seconds above 0");
}

void check_bytes(const char* what, int64_t value) {
  TAUT_CHECK(value > 0, ValueError, "client: ", what, ": nothing would fit; got ", value,
             "; expected at least 1");
}

ClientOptions checked(ClientOptions options) {
  const auto& [connect, first_byte, whole_answer, idle, keep_alive_only, total] = options.timeouts;
  check_seconds("connect", connect);
  check_seconds("first_byte", first_byte);
  check_seconds("whole_answer", whole_answer);
  check_seconds("idle", idle);
  check_seconds("keep_alive_only", keep_alive_only);
  if (total) check_seconds("total", *total);
  const SizeLimits& limits = options.limits;
  check_bytes("limits.json", limits.json);
  check_bytes("limits.error_body", limits.error_body);
  check_bytes("limits.embeddings", limits.embeddings);
  check_bytes("limits.stream", limits.stream);
  check_bytes("limits.headers", limits.headers);
  check_bytes("limits.line", limits.line);
  check_bytes("limits.event", limits.event);
  check_bytes("limits.events", limits.events);
  check_bytes("limits.depth", limits.depth);
  check_bytes("limits.request", limits.request);
  check_bytes("max_connections", options.max_connections);
  check_bytes("max_connections_per_host", options.max_connections_per_host);
  check_bytes("buffered_events", options.buffered_events);
  TAUT_CHECK(options.callback_threads >= 0, ValueError,
             "client: callback_threads: not a number of threads; got ", options.callback_threads,
             "; expected at least 0");
  TAUT_CHECK(options.max_retries >= 0, ValueError,
             "client: max_retries: not a number of retries; got ", options.max_retries,
             "; expected at least 0");
  TAUT_CHECK(std::isfinite(options.max_retry_after) && options.max_retry_after >= 0, ValueError,
             "client: max_retry_after: not a time; got ", options.max_retry_after,
             "; expected seconds, at least 0");
  return options;
}

/// The password of a proxy, as it stands in its address.
std::string_view password_of(std::string_view proxy) {
  const size_t at = proxy.rfind('@');
  if (at == std::string_view::npos) return {};
  const size_t scheme = proxy.find("://");
  std::string_view user = proxy.substr(0, at);
  if (scheme != std::string_view::npos && scheme < at) user.remove_prefix(scheme + 3);
  const size_t colon = user.find(':');
  return colon == std::string_view::npos ? std::string_view() : user.substr(colon + 1);
}

/// Whoever traces sees no key.
ClientOptions traced_without_keys(ClientOptions options, KeyRing& keys) {
  keys.add(password_of(options.proxy));
  if (!options.trace) return options;
  options.trace = [&keys, trace = std::move(options.trace)](std::string_view line) {
    trace(keys.redact(line));
  };
  return options;
}

bool is_cancellation(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ProviderError& failure) {
    return failure.kind() == ErrorKind::cancelled;
  } catch (...) {
    return false;
  }
}

}  // namespace

Client::Implementation::Implementation(ClientOptions options, const Parts& parts)
    : options_(traced_without_keys(checked(std::move(options)), keys_)),
      time_(parts.time),
      handler_(parts.handler),
      chance_(options_.seed),
      callbacks_(std::make_shared<Executor>(options_.callback_threads)),
      runner_([callbacks = callbacks_](Callback<void()> task) { callbacks->run(std::move(task)); }),
      event_runner_([callbacks = callbacks_](Callback<void()> task) {
        callbacks->run_soon(std::move(task));
      }),
      workers_(1),
      transport_(options_, time_, callbacks_) {}

Client::Implementation::~Implementation() { close(); }

bool Client::Implementation::submit(std::shared_ptr<Call> call) {
  return transport_.post([this, call = std::move(call)] {
    calls_.insert(call);
    call->begin();
  });
}

void Client::Implementation::close() {
  transport_.close([this] {
    const std::vector<std::shared_ptr<Call>> left(calls_.begin(), calls_.end());
    for (const std::shared_ptr<Call>& call : left) call->cancel();
    calls_.clear();
  });
  workers_.close();
  callbacks_->close();
}

void Client::Implementation::count_call() { ++begun_; }

void Client::Implementation::count_end(const std::exception_ptr& error) {
  if (!error) {
    ++completed_;
  } else if (is_cancellation(error)) {
    ++cancelled_;
  } else {
    ++failed_;
  }
}

void Client::Implementation::count_attempt(bool is_retry) {
  ++attempts_;
  if (is_retry) ++retried_;
}

ClientStatistics Client::Implementation::statistics() const {
  ClientStatistics statistics;
  // The ends are read first: a call that ends meanwhile counts as active, never as less than none.
  statistics.completed = completed_;
  statistics.failed = failed_;
  statistics.cancelled = cancelled_;
  statistics.calls = begun_;
  statistics.active =
      statistics.calls - statistics.completed - statistics.failed - statistics.cancelled;
  statistics.attempts = attempts_;
  statistics.retries = retried_;
  const Transport::Counters counters = transport_.counters();
  statistics.connections = counters.connections;
  statistics.bytes_sent = counters.bytes_sent;
  statistics.bytes_received = counters.bytes_received;
  return statistics;
}

}  // namespace taut::ai
