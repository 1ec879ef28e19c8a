#include "src/ai/openai_responses.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/openai_errors.h"
#include "src/ai/openai_handler.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/responses_output.h"
#include "src/ai/responses_request.h"
#include "src/ai/responses_stream.h"

namespace taut::ai {
namespace {

class OpenAiResponsesHandler final : public OpenAiHandler {
 public:
  BuiltRequest chat(const ProviderConfig& config, const ChatRequest& request,
                    const Capabilities& capabilities, bool is_stream) const override {
    BuiltRequest built;
    const RequestJson body =
        responses_body(config, request, capabilities, is_stream, built.warnings);
    // Perplexity's other paths have no version, and its base address has none.
    const bool has_version = config.vendor == Vendor::perplexity;
    built.http = json_request(has_version ? "/v1/responses" : "/responses", body, is_stream);
    built.http.headers = request.headers;
    return built;
  }

  ChatResponse parse_chat(const ProviderConfig& config, const HttpAnswer& answer) const override {
    const JsonDocument document = answer_object(config, answer);
    const Json& json = document.root();
    if (is_failed_response(json)) {
      throw ProviderError(failed_response_error(config, json, answer.status));
    }
    if (!member(json, "output").is_array()) refuse_answer(config, "response: it has no output");
    ResponseBuilder builder(config);
    ResponsesOutput output(builder);
    std::vector<StreamEvent> events;
    output.begin(json);
    output.add_items(json, events);
    output.end(json, events);
    builder.response().raw = answer.body;
    return std::move(builder.response());
  }

  std::unique_ptr<StreamAssembler> assembler(const ProviderConfig& config) const override {
    return std::make_unique<ResponsesAssembler>(config);
  }

 protected:
  std::string_view batch_endpoint() const override { return "/v1/responses"; }
};

}  // namespace

const ProtocolHandler& openai_responses_handler() {
  static const OpenAiResponsesHandler handler;
  return handler;
}

}  // namespace taut::ai
