#include "src/ai/chat_builder.h"

#include <utility>

#include "taut/base/check.h"

namespace taut::ai {

CallRequest call_of(const OperationBase& operation, HttpRequest http) {
  CallRequest call;
  call.model = operation.model();
  call.first_byte_timeout = operation.provider().client()->options().timeouts.whole_answer;
  call.http = std::move(http);
  return call;
}

double estimated_tokens(const HttpRequest& http, int64_t output) {
  constexpr double kBytesPerToken = 4;
  return static_cast<double>(http.body.size()) / kBytesPerToken + static_cast<double>(output);
}

ChatBuilder::ChatBuilder(std::shared_ptr<Provider::State> provider, ChatRequest request,
                         bool is_stream)
    : provider_(std::move(provider)), request_(std::move(request)), is_stream_(is_stream) {}

CallRequest ChatBuilder::call(const OperationBase& operation) {
  CallRequest call = call_of(operation, build());
  if (is_stream_ && !is_silent_at_first()) {
    call.first_byte_timeout = provider_->client()->options().timeouts.first_byte;
  }
  call.tokens = estimated_tokens(call.http, request_.max_output_tokens.value_or(0));
  call.rebuild = [self = shared_from_this()](const ErrorDetails& refusal) {
    return self->rebuild(refusal);
  };
  return call;
}

/// Models that think before they answer.
bool ChatBuilder::is_silent_at_first() const {
  return request_.reasoning_effort.has_value() ||
         provider_->capabilities(request_.model)[Feature::reasoning_effort] == Answer::yes;
}

HttpRequest ChatBuilder::build() {
  BuiltRequest built = provider_->handler().chat(
      provider_->config(), request_, provider_->capabilities(request_.model), is_stream_);
  warnings_ = std::move(built.warnings);
  built.http.is_stream = is_stream_;
  for (const Header& header : request_.headers) built.http.headers.push_back(header);
  return std::move(built.http);
}

/// After a refusal: the request without what was refused, where the caller allows it.
std::optional<HttpRequest> ChatBuilder::rebuild(const ErrorDetails& refusal) {
  if (!provider_->learn(request_.model, refusal)) return std::nullopt;
  if (request_.features != FeaturePolicy::drop_with_warning) return std::nullopt;
  learned_.push_back(
      concat(refusal.param, ": ", request_.model, " refused it; it is not asked for it again"));
  return build();
}

std::vector<std::string> ChatBuilder::warnings() const {
  std::vector<std::string> all = warnings_;
  all.insert(all.end(), learned_.begin(), learned_.end());
  return all;
}

}  // namespace taut::ai
