#include "tests/ai/plain_protocol.h"

#include <gtest/gtest.h>

#include <utility>

#include "taut/base/check.h"

namespace taut::ai::test {

namespace {

/// What follows "name: " in a body of lines.
std::string line_of(const std::string& body, const std::string& name) {
  const std::string begin = name + ": ";
  size_t at = 0;
  while (at < body.size()) {
    const size_t end = body.find('\n', at);
    const std::string line = body.substr(at, end - at);
    if (line.starts_with(begin)) return line.substr(begin.size());
    if (end == std::string::npos) break;
    at = end + 1;
  }
  return {};
}

[[noreturn]] void raise(ErrorKind kind, const std::string& message) {
  throw ProviderError({.kind = kind, .message = message});
}

ChatResponse response_of(const std::string& text, FinishReason reason) {
  ChatResponse response;
  response.candidates.emplace_back();
  if (!text.empty()) response.candidates.front().parts = {TextPart{text}};
  response.candidates.front().finish_reason = reason;
  return response;
}

class PlainAssembler final : public StreamAssembler {
 public:
  PlainAssembler() : response_(response_of({}, FinishReason::unknown)) {
    response_.usage.partial = true;
  }

  void add(const SseEvent& event, std::vector<StreamEvent>& events) override {
    if (event.type == "ping") return;
    if (event.data == "[end]" || event.data == "[finish]") {
      is_finished_ = true;
      is_complete_ = event.data == "[end]";
      response_.candidates.front().finish_reason = FinishReason::stop;
      response_.usage.partial = false;
      return;
    }
    if (event.data.starts_with("[error]")) {
      raise(ErrorKind::stream_error, concat("the provider failed: ", event.data));
    }
    if (event.is_cut) return;
    std::vector<Part>& parts = response_.candidates.front().parts;
    if (parts.empty()) parts.emplace_back();
    std::get<TextPart>(parts.front()).text += event.data;
    StreamEvent& piece = events.emplace_back();
    piece.text = event.data;
  }
  bool is_complete() const override { return is_complete_; }
  bool ends_here() override { return is_finished_; }
  const ChatResponse& response() const override { return response_; }

 private:
  bool is_complete_ = false, is_finished_ = false;
  ChatResponse response_;
};

class PlainHandler final : public ProtocolHandler {
 public:
  KeyHeader key_header(const ProviderConfig&) const override { return {"x-api-key", ""}; }
  std::vector<Header> headers(const ProviderConfig&) const override { return {{"x-plain", "1"}}; }
  Capabilities known_capabilities(const ProviderConfig&, const std::string&) const override {
    return {};
  }

  BuiltRequest chat(const ProviderConfig&, const ChatRequest& request,
                    const Capabilities& capabilities, bool is_stream) const override {
    BuiltRequest built;
    built.http.path = is_stream ? "/stream" : "/chat";
    built.http.body =
        "model: " + request.model + "\ntext: " + request.messages.back().text() + "\n";
    if (request.temperature) {
      if (capabilities[Feature::temperature] != Answer::no) {
        built.http.body += "temperature: set\n";
      } else if (request.features == FeaturePolicy::error) {
        throw ProviderError({.kind = ErrorKind::unsupported_parameter,
                             .message = "no temperature",
                             .param = "temperature"});
      } else {
        built.warnings.push_back("temperature: dropped");
      }
    }
    return built;
  }
  ChatResponse parse_chat(const ProviderConfig&, const HttpAnswer& answer) const override {
    const std::string text = line_of(answer.body, "answer");
    const std::string error = line_of(answer.body, "error");
    if (!error.empty()) raise(ErrorKind::overloaded, error);
    if (text.empty()) raise(ErrorKind::malformed_response, "no answer in the body");
    ChatResponse response = response_of(text, FinishReason::stop);
    response.usage.total = 7;
    response.raw = answer.body;
    return response;
  }
  std::unique_ptr<StreamAssembler> assembler(const ProviderConfig&) const override {
    return std::make_unique<PlainAssembler>();
  }

  BuiltRequest embed(const ProviderConfig&, const EmbeddingRequest& request,
                     const Capabilities&) const override {
    BuiltRequest built;
    built.http.path = "/embed";
    for (const std::string& input : request.inputs) built.http.body += "text: " + input + "\n";
    return built;
  }
  EmbeddingResponse parse_embeddings(const ProviderConfig&, const EmbeddingRequest& request,
                                     const HttpAnswer& answer) const override {
    EmbeddingResponse response;
    for (size_t i = 0; i < request.inputs.size(); ++i) {
      response.embeddings.push_back({std::stof(line_of(answer.body, "answer"))});
    }
    return response;
  }

  HttpRequest models(const ProviderConfig&) const override { return get("/models"); }
  ModelPage parse_models(const ProviderConfig&, const HttpAnswer& answer) const override {
    ModelPage page;
    page.models.push_back({.id = line_of(answer.body, "answer"),
                           .owner = {},
                           .created = {},
                           .context_length = {},
                           .max_output_tokens = {},
                           .raw = {}});
    const std::string next = line_of(answer.body, "next");
    if (!next.empty()) page.next = get(next);
    return page;
  }

  std::optional<HttpRequest> batch_upload(const ProviderConfig&,
                                          const BatchRequest& request) const override {
    if (request.items.size() < 2) return std::nullopt;
    HttpRequest http;
    http.path = "/files";
    http.body = "items\n";
    http.content_type = "multipart/form-data; boundary=plain";
    return http;
  }
  HttpRequest create_batch(const ProviderConfig&, const BatchRequest&,
                           const HttpAnswer* upload) const override {
    HttpRequest http;
    http.path = "/batches";
    http.body = upload == nullptr ? "inline\n" : "file: " + line_of(upload->body, "answer") + "\n";
    return http;
  }
  HttpRequest batch(const ProviderConfig&, const std::string& id) const override {
    return get("/batches/" + id);
  }
  HttpRequest cancel_batch(const ProviderConfig&, const std::string& id) const override {
    HttpRequest http;
    http.path = "/batches/" + id + "/cancel";
    return http;
  }
  BatchStatus parse_batch(const ProviderConfig&, const HttpAnswer& answer) const override {
    BatchStatus status;
    status.id = line_of(answer.body, "answer");
    status.state = BatchStatus::State::done;
    return status;
  }
  std::vector<HttpRequest> batch_results(const ProviderConfig&,
                                         const BatchStatus& status) const override {
    return {get("/results/" + status.id), get("/failures/" + status.id)};
  }
  std::vector<BatchResult> parse_batch_results(const ProviderConfig&,
                                               const HttpAnswer& answer) const override {
    BatchResult result;
    result.id = line_of(answer.body, "answer");
    const std::string error = line_of(answer.body, "error");
    if (!error.empty()) {
      result.error = ErrorDetails{.kind = ErrorKind::server_error, .message = error};
    } else {
      result.response = response_of(result.id, FinishReason::stop);
    }
    return {std::move(result)};
  }

  ErrorDetails parse_error(const ProviderConfig&, const HttpAnswer& answer) const override {
    ErrorDetails details;
    details.http_status = answer.status;
    details.message = answer.body;
    details.param = line_of(answer.body, "param");
    details.vendor_code = line_of(answer.body, "code");
    details.kind = kind_of(answer.status, details);
    const std::string pause = line_of(answer.body, "retry");
    if (!pause.empty()) details.retry_after = std::stod(pause);
    return details;
  }
  std::string_view request_id_header() const override { return "x-request-id"; }

 private:
  static HttpRequest get(const std::string& path) {
    HttpRequest http;
    http.method = "GET";
    http.path = path;
    return http;
  }
  static ErrorKind kind_of(int status, const ErrorDetails& details) {
    if (details.vendor_code == "quota") return ErrorKind::quota_exhausted;
    if (!details.param.empty()) return ErrorKind::unsupported_parameter;
    switch (status) {
      case 401: return ErrorKind::auth;
      case 403: return ErrorKind::permission;
      case 404: return ErrorKind::not_found;
      case 413: return ErrorKind::request_too_large;
      case 429: return ErrorKind::rate_limited;
      case 503:
      case 529: return ErrorKind::overloaded;
      case 408:
      case 409: return ErrorKind::server_error;
      default: return status >= 500 ? ErrorKind::server_error : ErrorKind::invalid_request;
    }
  }
};

}  // namespace

Client::Parts plain_parts(std::shared_ptr<TimeSource> time) {
  static const PlainHandler handler;
  Client::Parts parts;
  parts.time = std::move(time);
  parts.handler = [](Protocol) -> const ProtocolHandler* { return &handler; };
  return parts;
}

ProviderConfig plain_config(const std::string& url, const std::string& key,
                            const std::string& name) {
  return ProviderConfig::compatible(name, url, Vendor::other,
                                    key.empty() ? Secret() : Secret::of(key));
}

ChatRequest plain_request(const std::string& text) {
  return {.model = "small", .messages = {Message::user(text)}};
}

double InstantTime::pause(double seconds) {
  const std::lock_guard lock(mutex_);
  pauses_.push_back(seconds);
  return 0;
}

std::vector<double> InstantTime::pauses() const {
  const std::lock_guard lock(mutex_);
  return pauses_;
}

ErrorDetails details_of(const std::exception_ptr& error) {
  if (!error) {
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }
  try {
    std::rethrow_exception(error);
  } catch (const ProviderError& failure) {
    return failure.details();
  } catch (const std::exception& failure) {
    ADD_FAILURE() << "thrown: " << failure.what();
    return {};
  }
}

Heard listen_to(const ChatStream& stream) {
  Heard heard;
  try {
    while (const std::optional<StreamEvent> event = stream.next()) {
      if (event->kind == StreamEvent::Kind::text) heard.text += event->text;
    }
  } catch (...) {
    heard.error = details_of(std::current_exception());
  }
  return heard;
}

std::string events(const std::vector<std::string>& data) {
  std::string text;
  for (const std::string& piece : data) text += "data: " + piece + "\n\n";
  return text;
}

}  // namespace taut::ai::test
