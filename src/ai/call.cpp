#include "src/ai/call.h"

#include <cmath>
#include <utility>

#include "taut/base/check.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {

namespace {

constexpr int64_t kLargeAnswer = int64_t{256} << 10;  // bytes: more take a worker's time to parse

/// The host that a redirection leads to; never its path or query, which may hold anything.
std::string target_of(std::string_view location) {
  const size_t scheme = location.find("://");
  if (scheme == std::string_view::npos) return "the same host";
  const std::string_view rest = location.substr(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const size_t user = authority.rfind('@');
  return std::string(user == std::string_view::npos ? authority : authority.substr(user + 1));
}

}  // namespace

Call::Call(std::shared_ptr<Client::Implementation> client,
           std::shared_ptr<Provider::State> provider, CallRequest request,
           std::unique_ptr<AnswerReader> reader)
    : reader_(std::move(reader)),
      client_(std::move(client)),
      provider_(std::move(provider)),
      request_(std::move(request)),
      body_(std::make_shared<const std::string>(std::move(request_.http.body))),
      error_body_(client_->options().limits.error_body) {}

void Call::begin() {
  if (is_over_ || std::exchange(has_begun_, true)) return;
  begun_at_ = client_->transport().time().now();
  if (std::isfinite(request_.deadline)) {
    deadline_timer_ = client_->transport().timers().set(request_.deadline, [this] {
      deadline_timer_ = {};
      fail(details_of(ErrorKind::timeout_total, "the call took longer than its deadline"));
    });
  }
  client_->retries().count_request(begun_at_);
  stand_in_line();
}

void Call::stand_in_line() {
  place_ = provider_->gate().join({request_.model, request_.tokens, [self = shared_from_this()] {
                                     self->place_.reset();
                                     self->is_inside_ = true;
                                     self->send();
                                   }});
  provider_->gate().admit();
}

void Call::send() {
  const BaseUrl& base = provider_->base();
  answer_ = {};
  error_body_.clear();
  try {
    reader_->begin();
    TransferRequest request;
    request.method = request_.http.method;
    request.url = join_url(base, request_.http.path);
    request.base = base;
    request.headers = provider_->headers(request_.http);
    request.key_header = provider_->handler().key_header(provider_->config());
    request.key = request_.key;
    request.body = body_;
    request.is_stream = request_.http.is_stream;
    request.connect_timeout = client_->options().timeouts.connect;
    request.first_byte_timeout = request_.first_byte_timeout;
    client_->count_attempt(attempts_.fetch_add(1) > 0);
    transfer_ = client_->transport().start(std::move(request), shared_from_this());
  } catch (...) {
    fail_attempt(std::current_exception());
  }
}

// ---- What the transport tells -------------------------------------------------------------------

void Call::on_head(int status, std::vector<Header> headers) {
  answer_.status = status;
  answer_.headers = std::move(headers);
  const TimeSource& time = client_->transport().time();
  provider_->gate().limits().learn(request_.model, answer_, time.now(), time.wall_time());
  if (status >= 300 && status < 400) {
    throw ProviderError(
        {.kind = ErrorKind::invalid_request,
         .message = concat("the server redirects, and keys are not sent elsewhere; got ",
                           "a redirection to ", target_of(answer_.header("location")))});
  }
  if (!is_success()) return;
  if (!request_.http.is_stream) first_at_ = time.now();
  reader_->on_head(answer_);
}

Flow Call::on_bytes(std::string_view bytes) {
  received_ += static_cast<int64_t>(bytes.size());
  if (!is_success()) {
    try {
      return error_body_.add(bytes);
    } catch (const ProviderError&) {
      // What is there says enough of the error.
      transfer_ = 0;
      read_error();
      return Flow::enough;
    }
  }
  const Flow flow = reader_->on_bytes(bytes);
  if (flow == Flow::pause) received_ -= static_cast<int64_t>(bytes.size());
  if (flow == Flow::progress && !first_at_) first_at_ = client_->transport().time().now();
  if (flow == Flow::enough) {
    transfer_ = 0;
    finish_attempt();
  }
  return flow;
}

void Call::fetch(int depth) const {
  depth == 0 ? fetch_memory(this, &answer_.headers) : reader_->fetch(depth - 1);
}

void Call::on_end(const TransferResult& result) {
  transfer_ = 0;
  if (is_over_) return;
  if (result.error) {
    fail_attempt(result.error);
  } else if (!result.is_complete && !(answer_.status != 0 && !is_success())) {
    fail_attempt(details_of(result.kind, result.message));
  } else if (!is_success()) {
    read_error();
  } else {
    finish_attempt();
  }
}

void Call::read_error() {
  answer_.body = error_body_.take();
  const ProviderConfig& config = provider_->config();
  ErrorDetails details = provider_->handler().parse_error(config, answer_);
  const double wall_time = client_->transport().time().wall_time();
  if (const auto told = retry_after_of(answer_, wall_time)) details.retry_after = told;
  if (details.retry_after && !(*details.retry_after >= 0 && std::isfinite(*details.retry_after))) {
    details.retry_after.reset();
  }
  fail_attempt(std::move(details));
}

// ---- The end of an attempt ----------------------------------------------------------------------

void Call::finish_attempt() {
  leave_gate();
  if (reader_->size() > kLargeAnswer) {
    finish_elsewhere();
    return;
  }
  std::exception_ptr error;
  try {
    reader_->finish(answer_);
  } catch (...) {
    error = std::current_exception();
  }
  settle_finished(error);
}

void Call::finish_elsewhere() {
  client_->workers().run([self = shared_from_this()] {
    std::exception_ptr error;
    try {
      self->reader_->finish(self->answer_);
    } catch (...) {
      error = std::current_exception();
    }
    // Where the client has been closed meanwhile, the call has been cancelled, too.
    self->client_->transport().post([self, error] { self->settle_finished(error); });
  });
}

void Call::settle_finished(const std::exception_ptr& error) {
  if (is_over_) return;
  if (error) {
    fail_attempt(error);
  } else {
    succeed();
  }
}

void Call::fail_attempt(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ProviderError& failure) {
    fail_attempt(failure.details());
  } catch (const ValueError& failure) {
    fail_attempt(details_of(ErrorKind::invalid_request, failure.what()));
  } catch (const std::exception& failure) {
    fail_attempt(details_of(ErrorKind::malformed_response,
                            concat("the answer could not be read; got ", failure.what())));
  }
}

void Call::fail_attempt(ErrorDetails details) {
  if (is_over_) return;
  leave_gate();
  complete(details);
  if (adapts(details)) {
    stand_in_line();
    return;
  }
  if (const std::optional<double> pause = pause_before_retry(details)) {
    try_again(*pause);
  } else {
    fail(std::move(details));
  }
}

/// Fills in what every error of a call tells, and takes out what none may tell.
void Call::complete(ErrorDetails& details) const {
  details.provider = provider_->config().name;
  if (details.model.empty()) details.model = request_.model;
  if (details.http_status == 0) details.http_status = answer_.status;
  if (details.request_id.empty()) {
    details.request_id = answer_.header(provider_->handler().request_id_header());
  }
  details.attempts = attempts_.load() < 1 ? 1 : attempts_.load();
  details.bytes_received = received_;
  details.partial_output = reader_->has_delivered();
  client_->keys().redact(details);
}

/// Whether the request was changed after a refusal, and may go once more.
bool Call::adapts(const ErrorDetails& details) {
  if (!request_.rebuild || reader_->has_delivered()) return false;
  std::optional<HttpRequest> changed;
  try {
    changed = request_.rebuild(details);
  } catch (const std::exception&) {
    return false;  // it cannot do without: the refusal is the answer
  }
  if (!changed) return false;
  request_.http = std::move(*changed);
  body_ = std::make_shared<const std::string>(std::move(request_.http.body));
  return true;
}

std::optional<double> Call::pause_before_retry(const ErrorDetails& details) {
  const ClientOptions& options = client_->options();
  if (reader_->has_delivered() || retries_ >= options.max_retries) return std::nullopt;
  const bool is_answer = answer_.status != 0 && !is_success();
  const std::optional<bool> told = is_answer ? should_retry_of(answer_) : std::nullopt;
  int most = most_retries(details.kind, options.max_retries);
  if (told && !*told) most = 0;
  // Waiting does not fill an empty purse, whatever a header says.
  if (told && *told && details.kind != ErrorKind::quota_exhausted) most = options.max_retries;
  if (retries_of_[details.kind] >= most) return std::nullopt;

  double pause = backoff(retries_, client_->chance().draw());
  if (details.retry_after) {
    if (*details.retry_after > options.max_retry_after) return std::nullopt;
    pause = *details.retry_after;
  }
  const double now = client_->transport().time().now();
  if (now + pause >= request_.deadline) return std::nullopt;
  if (!client_->retries().take(now)) return std::nullopt;
  ++retries_of_[details.kind];
  return pause;
}

void Call::try_again(double pause) {
  ++retries_;
  received_ = 0;
  const double seconds = client_->time().pause(pause);
  pause_timer_ =
      client_->transport().timers().set(client_->transport().time().now() + seconds, [this] {
        pause_timer_ = {};
        stand_in_line();
      });
}

// ---- The end of the call ------------------------------------------------------------------------

void Call::succeed() {
  const double now = client_->transport().time().now();
  CallReport report;
  report.attempts = attempts_.load();
  report.seconds = now - begun_at_;
  report.seconds_to_first = first_at_.value_or(now) - begun_at_;
  report.request_id =
      client_->keys().excerpt(answer_.header(provider_->handler().request_id_header()));
  report.headers = std::move(answer_.headers);
  client_->keys().redact(report.headers);
  if (const std::optional<double> used = reader_->tokens_used()) {
    provider_->gate().limits().settle(request_.tokens, *used, now);
  }
  const auto self = shared_from_this();
  end();
  reader_->deliver(std::move(report));
}

void Call::fail(ErrorDetails details) {
  if (is_over_) return;
  const auto self = shared_from_this();
  complete(details);
  end();
  reader_->fail(std::make_exception_ptr(ProviderError(std::move(details))));
}

void Call::cancel() { fail(details_of(ErrorKind::cancelled, "the call was cancelled")); }

void Call::abandon() {
  if (is_over_) return;
  const auto self = shared_from_this();
  end();
}

void Call::resume() {
  if (transfer_ != 0) client_->transport().resume(transfer_);
}

void Call::leave_gate() {
  if (std::exchange(is_inside_, false)) provider_->gate().leave();
}

void Call::end() {
  is_over_ = true;
  Timers& timers = client_->transport().timers();
  timers.cancel(deadline_timer_);
  timers.cancel(pause_timer_);
  if (place_) provider_->gate().give_up(*place_);
  place_.reset();
  if (transfer_ != 0) client_->transport().stop(transfer_);
  transfer_ = 0;
  leave_gate();
  client_->forget(shared_from_this());
}

ErrorDetails Call::details_of(ErrorKind kind, std::string message) const {
  ErrorDetails details;
  details.kind = kind;
  details.message = std::move(message);
  return details;
}

}  // namespace taut::ai
