#include "src/ai/anthropic.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/anthropic_batches.h"
#include "src/ai/anthropic_errors.h"
#include "src/ai/anthropic_models.h"
#include "src/ai/anthropic_request.h"
#include "src/ai/anthropic_stream.h"
#include "src/ai/batches.h"
#include "src/ai/embeddings.h"
#include "src/ai/known_models.h"
#include "src/ai/path_segment.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

[[noreturn]] void refuse_embeddings(const ProviderConfig& config, const EmbeddingRequest& request) {
  refuse_request(config, request.model, "embeddings",
                 concat("embeddings: ", config.name, " gives none"),
                 ErrorKind::unsupported_parameter);
}

std::string batch_path(const ProviderConfig& config, std::string_view id) {
  return concat("/v1/messages/batches/", path_segment(config, "batch", id));
}

class AnthropicHandler final : public ProtocolHandler {
 public:
  KeyHeader key_header(const ProviderConfig& config) const override {
    if (anthropic_version(config) < kAnthropicWithoutSampling) return {"x-api-key", ""};
    return {"authorization", "Bearer "};
  }

  std::vector<Header> headers(const ProviderConfig& config) const override {
    std::vector<Header> headers = {{"anthropic-version", std::string(anthropic_version(config))}};
    std::string beta;
    for (const std::string& flag : config.beta) beta += (beta.empty() ? "" : ",") + flag;
    if (!beta.empty()) headers.emplace_back("anthropic-beta", beta);
    return headers;
  }

  Capabilities known_capabilities(const ProviderConfig& config,
                                  const std::string& model) const override {
    return known_capabilities_of(config, model);
  }

  BuiltRequest chat(const ProviderConfig& config, const ChatRequest& request,
                    const Capabilities& capabilities, bool is_stream) const override {
    BuiltRequest built;
    const RequestJson body =
        anthropic_body(config, request, capabilities, is_stream, built.warnings);
    built.http = json_request("/v1/messages", body, is_stream);
    built.http.headers = request.headers;
    return built;
  }

  ChatResponse parse_chat(const ProviderConfig& config, const HttpAnswer& answer) const override {
    const JsonDocument document = answer_object(config, answer);
    const Json& json = document.root();
    if (is_anthropic_error(json)) throw ProviderError(parse_anthropic_error(config, answer));
    const Json& content = member(json, "content");
    if (!content.is_array()) refuse_answer(config, "response: it has no content");
    ResponseBuilder builder(config);
    AnthropicMessage message(builder);
    AnthropicBlocks blocks(builder);
    std::vector<StreamEvent> events;
    message.begin(json, events);
    int64_t index = 0;
    for (const Json& block : content) {
      blocks.begin(index, block, events);
      blocks.end(index++, events);
    }
    message.stop(json, events);
    builder.response().raw = answer.body;
    return std::move(builder.response());
  }

  std::unique_ptr<StreamAssembler> assembler(const ProviderConfig& config) const override {
    return std::make_unique<AnthropicAssembler>(config);
  }

  BuiltRequest embed(const ProviderConfig& config, const EmbeddingRequest& request,
                     const Capabilities&) const override {
    refuse_embeddings(config, request);
  }
  EmbeddingResponse parse_embeddings(const ProviderConfig& config, const EmbeddingRequest& request,
                                     const HttpAnswer&) const override {
    refuse_embeddings(config, request);
  }

  HttpRequest models(const ProviderConfig&) const override { return anthropic_models_request(); }
  ModelPage parse_models(const ProviderConfig& config, const HttpAnswer& answer) const override {
    return parse_anthropic_models(config, answer);
  }

  std::optional<HttpRequest> batch_upload(const ProviderConfig&,
                                          const BatchRequest&) const override {
    return std::nullopt;
  }
  HttpRequest create_batch(const ProviderConfig& config, const BatchRequest& request,
                           const HttpAnswer*) const override {
    return anthropic_create_batch(*this, config, request);
  }
  HttpRequest batch(const ProviderConfig& config, const std::string& id) const override {
    return get_request(batch_path(config, id));
  }
  HttpRequest cancel_batch(const ProviderConfig& config, const std::string& id) const override {
    HttpRequest request;
    request.path = batch_path(config, id) + "/cancel";
    return request;
  }
  BatchStatus parse_batch(const ProviderConfig& config, const HttpAnswer& answer) const override {
    return parse_anthropic_batch(config, answer);
  }
  std::vector<HttpRequest> batch_results(const ProviderConfig& config,
                                         const BatchStatus& status) const override {
    check_batch_is_over(config, status);
    return {get_request(batch_path(config, status.output) + "/results")};
  }
  std::vector<BatchResult> parse_batch_results(const ProviderConfig& config,
                                               const HttpAnswer& answer) const override {
    return parse_anthropic_batch_results(*this, config, answer);
  }

  ErrorDetails parse_error(const ProviderConfig& config, const HttpAnswer& answer) const override {
    return parse_anthropic_error(config, answer);
  }
  std::string_view request_id_header() const override { return "request-id"; }
};

}  // namespace

const ProtocolHandler& anthropic_handler() {
  static const AnthropicHandler handler;
  return handler;
}

}  // namespace taut::ai
