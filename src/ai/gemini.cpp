#include "src/ai/gemini.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/batches.h"
#include "src/ai/embeddings.h"
#include "src/ai/gemini_batches.h"
#include "src/ai/gemini_embeddings.h"
#include "src/ai/gemini_errors.h"
#include "src/ai/gemini_request.h"
#include "src/ai/gemini_stream.h"
#include "src/ai/known_models.h"
#include "src/ai/path_segment.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr int kPage = 1000;

HttpRequest models_request(const ProviderConfig& config, std::string_view page_token) {
  std::string path = concat(gemini_root(config), "/models?pageSize=", kPage);
  if (!page_token.empty()) {
    path += concat("&pageToken=", path_segment(config, "pageToken", page_token));
  }
  return get_request(std::move(path));
}

ModelInfo model_info(const Json& json) {
  constexpr std::string_view kPrefix = "models/";
  ModelInfo info;
  info.id = text_of(json, "name");
  if (info.id.substr(0, kPrefix.size()) == kPrefix) info.id.erase(0, kPrefix.size());
  info.owner = "google";
  info.context_length = get<int64_t>(json, "inputTokenLimit");
  info.max_output_tokens = get<int64_t>(json, "outputTokenLimit");
  info.raw = to_text(json);
  return info;
}

class GeminiHandler final : public ProtocolHandler {
 public:
  /// Never in the address, which stands in logs and errors.
  KeyHeader key_header(const ProviderConfig&) const override { return {"x-goog-api-key", ""}; }
  std::vector<Header> headers(const ProviderConfig&) const override { return {}; }

  Capabilities known_capabilities(const ProviderConfig& config,
                                  const std::string& model) const override {
    return known_capabilities_of(config, model);
  }

  BuiltRequest chat(const ProviderConfig& config, const ChatRequest& request,
                    const Capabilities& capabilities, bool is_stream) const override {
    BuiltRequest built;
    const RequestJson body = gemini_body(config, request, capabilities, is_stream, built.warnings);
    const std::string_view method = is_stream ? "streamGenerateContent?alt=sse" : "generateContent";
    built.http = json_request(gemini_model_path(config, request.model, method), body, is_stream);
    built.http.headers = request.headers;
    return built;
  }

  ChatResponse parse_chat(const ProviderConfig& config, const HttpAnswer& answer) const override {
    const JsonDocument document = answer_object(config, answer);
    const Json& json = document.root();
    if (is_gemini_error(json)) throw ProviderError(parse_gemini_error(config, answer));
    ResponseBuilder builder(config);
    std::vector<StreamEvent> events;
    GeminiReader(builder).add(json, events);
    if (builder.response().candidates.empty()) {
      refuse_answer(config, "response: it has no candidates, and no reason for that");
    }
    builder.response().raw = answer.body;
    return std::move(builder.response());
  }

  std::unique_ptr<StreamAssembler> assembler(const ProviderConfig& config) const override {
    return std::make_unique<GeminiAssembler>(config);
  }

  BuiltRequest embed(const ProviderConfig& config, const EmbeddingRequest& request,
                     const Capabilities& capabilities) const override {
    check_embeddings(config, request.model, capabilities);
    return gemini_embedding_request(config, request);
  }
  EmbeddingResponse parse_embeddings(const ProviderConfig& config, const EmbeddingRequest& request,
                                     const HttpAnswer& answer) const override {
    return parse_gemini_embeddings(config, request, answer);
  }

  HttpRequest models(const ProviderConfig& config) const override {
    return models_request(config, {});
  }
  ModelPage parse_models(const ProviderConfig& config, const HttpAnswer& answer) const override {
    const JsonDocument document = answer_object(config, answer);
    const Json& json = document.root();
    if (is_gemini_error(json)) throw ProviderError(parse_gemini_error(config, answer));
    if (!member(json, "models").is_array()) {
      refuse_answer(config, "models: the answer has no list 'models'");
    }
    ModelPage page;
    for (const Json& item : elements(json, "models")) {
      ModelInfo info = model_info(item);
      if (!info.id.empty()) page.models.push_back(std::move(info));
    }
    const std::string next = text_of(json, "nextPageToken");
    if (!next.empty()) page.next = models_request(config, next);
    return page;
  }

  std::optional<HttpRequest> batch_upload(const ProviderConfig&,
                                          const BatchRequest&) const override {
    return std::nullopt;
  }
  HttpRequest create_batch(const ProviderConfig& config, const BatchRequest& request,
                           const HttpAnswer*) const override {
    return gemini_create_batch(*this, config, request);
  }
  HttpRequest batch(const ProviderConfig& config, const std::string& id) const override {
    return gemini_batch(config, id);
  }
  HttpRequest cancel_batch(const ProviderConfig& config, const std::string& id) const override {
    return gemini_cancel_batch(config, id);
  }
  BatchStatus parse_batch(const ProviderConfig& config, const HttpAnswer& answer) const override {
    return parse_gemini_batch(config, answer);
  }
  std::vector<HttpRequest> batch_results(const ProviderConfig& config,
                                         const BatchStatus& status) const override {
    check_batch_is_over(config, status);
    return {gemini_batch_results(config, status.output)};
  }
  std::vector<BatchResult> parse_batch_results(const ProviderConfig& config,
                                               const HttpAnswer& answer) const override {
    return parse_gemini_batch_results(*this, config, answer);
  }

  ErrorDetails parse_error(const ProviderConfig& config, const HttpAnswer& answer) const override {
    return parse_gemini_error(config, answer);
  }
  std::string_view request_id_header() const override { return {}; }
};

}  // namespace

const ProtocolHandler& gemini_handler() {
  static const GeminiHandler handler;
  return handler;
}

}  // namespace taut::ai
