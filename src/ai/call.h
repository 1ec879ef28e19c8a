#pragma once
// One request and all attempts to have it answered: waiting for its turn, sending, trying again,
// giving up. It belongs to the client's own thread.

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "src/ai/answer_reader.h"
#include "src/ai/client_state.h"
#include "src/ai/gate.h"
#include "src/ai/key_text.h"
#include "src/ai/provider_state.h"

namespace taut::ai {

struct CallRequest {
  HttpRequest http;
  std::string model;
  std::shared_ptr<const KeyText> key;
  double first_byte_timeout = 0;                              // seconds
  double deadline = std::numeric_limits<double>::infinity();  // on the client's clock
  double tokens = 0;                                          // that it will take, estimated
  /// Asked what to send instead, where a parameter was refused. Nothing: it stays refused.
  Callback<std::optional<HttpRequest>(const ErrorDetails&)> rebuild = {};
};

class Call final : public TransferListener, public std::enable_shared_from_this<Call> {
 public:
  Call(std::shared_ptr<Client::Implementation> client, std::shared_ptr<Provider::State> provider,
       CallRequest request, std::unique_ptr<AnswerReader> reader);

  void begin();
  /// Ends it without a word to its reader: somebody else has spoken.
  void abandon();
  /// Ends it with ErrorKind::cancelled.
  void cancel();
  /// The reader that paused it has room again.
  void resume();
  /// Requests sent so far; from any thread.
  int attempts() const { return attempts_.load(); }

  void on_head(int status, std::vector<Header> headers) override;
  Flow on_bytes(std::string_view bytes) override;
  void on_end(const TransferResult& result) override;
  void fetch(int depth) const override;

 private:
  void stand_in_line();
  void send();
  void finish_attempt();
  void finish_elsewhere();
  void settle_finished(const std::exception_ptr& error);
  void read_error();
  void fail_attempt(const std::exception_ptr& error);
  void fail_attempt(ErrorDetails details);
  void complete(ErrorDetails& details) const;
  bool adapts(const ErrorDetails& details);
  std::optional<double> pause_before_retry(const ErrorDetails& details);
  void try_again(double pause);
  void succeed();
  void fail(ErrorDetails details);
  void leave_gate();
  void end();
  ErrorDetails details_of(ErrorKind kind, std::string message) const;
  bool is_success() const { return answer_.status >= 200 && answer_.status < 300; }

  // What each piece of an answer needs stands together, in one line of the cache.
  const std::unique_ptr<AnswerReader> reader_;
  int64_t received_ = 0;
  std::optional<double> first_at_;
  HttpAnswer answer_;

  const std::shared_ptr<Client::Implementation> client_;
  const std::shared_ptr<Provider::State> provider_;
  CallRequest request_;
  std::shared_ptr<const std::string> body_;

  bool has_begun_ = false;
  bool is_over_ = false;
  std::atomic<int> attempts_{0};
  int retries_ = 0;
  std::map<ErrorKind, int> retries_of_;
  double begun_at_ = 0;
  TimerId deadline_timer_;
  TimerId pause_timer_;
  std::optional<Gate::Place> place_;
  bool is_inside_ = false;  // the gate
  TransferId transfer_ = 0;
  BodyCollector error_body_;
};

}  // namespace taut::ai
