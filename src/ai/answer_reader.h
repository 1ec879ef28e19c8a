#pragma once
// Makes something of the answer to a call. All of it happens on the client's own thread but for
// finish(), which a worker does where an answer is large.

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/ai/body_collector.h"
#include "src/ai/http.h"
#include "src/ai/transfer.h"
#include "taut/base/callback.h"

namespace taut::ai {

/// What a call has to tell of itself when it has succeeded.
struct CallReport {
  int attempts = 1;
  double seconds = 0;
  double seconds_to_first = 0;
  std::string request_id;
  std::vector<Header> headers;  // redacted
};

/// What it throws is the failure of the attempt; another one may follow.
class AnswerReader {
 public:
  virtual ~AnswerReader() = default;
  /// Another attempt begins: what came before is forgotten.
  virtual void begin() = 0;
  /// The head of an answer of status 2xx.
  virtual void on_head(const HttpAnswer& head) = 0;
  virtual Flow on_bytes(std::string_view bytes) = 0;
  /// The answer has ended in good order. Its body is empty here: the reader has it.
  virtual void finish(HttpAnswer& answer) = 0;
  virtual int64_t size() const { return 0; }  // of what finish() has to work on, in bytes
  /// Whether the caller has seen something: then nothing is tried again.
  virtual bool has_delivered() const { return false; }
  virtual std::optional<double> tokens_used() const { return std::nullopt; }
  /// What on_bytes() will need: see Note [Fetching chains].
  virtual void fetch(int /*depth*/) const {}

  /// The end of the call, one of the two.
  virtual void deliver(CallReport report) = 0;
  virtual void fail(std::exception_ptr error) = 0;
};

/// Takes a whole body and parses it.
template <class T>
class WholeReader final : public AnswerReader {
 public:
  using Parse = Callback<T(const HttpAnswer&)>;
  using Deliver = Callback<void(T, CallReport)>;
  using Fail = Callback<void(std::exception_ptr)>;
  using TokensUsed = Callback<std::optional<double>(const T&)>;

  WholeReader(int64_t limit, Parse parse, Deliver deliver, Fail fail, TokensUsed tokens_used = {})
      : body_(limit),
        parse_(std::move(parse)),
        deliver_(std::move(deliver)),
        fail_(std::move(fail)),
        tokens_used_(std::move(tokens_used)) {}

  void begin() override { body_.clear(); }
  void on_head(const HttpAnswer&) override {}
  Flow on_bytes(std::string_view bytes) override { return body_.add(bytes); }
  int64_t size() const override { return body_.size(); }
  void finish(HttpAnswer& answer) override {
    answer.body = body_.take();
    value_.emplace(parse_(answer));
  }
  std::optional<double> tokens_used() const override {
    return tokens_used_ && value_ ? tokens_used_(*value_) : std::nullopt;
  }
  void deliver(CallReport report) override { deliver_(std::move(*value_), std::move(report)); }
  void fail(std::exception_ptr error) override { fail_(std::move(error)); }

 private:
  BodyCollector body_;
  std::optional<T> value_;
  Parse parse_;
  Deliver deliver_;
  Fail fail_;
  TokensUsed tokens_used_;
};

}  // namespace taut::ai
