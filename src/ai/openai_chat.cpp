#include "src/ai/openai_chat.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/openai_chat_request.h"
#include "src/ai/openai_chat_stream.h"
#include "src/ai/openai_choices.h"
#include "src/ai/openai_errors.h"
#include "src/ai/openai_handler.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"

namespace taut::ai {
namespace {

bool has_messages(const Json& json) {
  for (const Json& choice : elements(json, "choices")) {
    if (!member(choice, "message").is_object()) return false;
  }
  return !elements(json, "choices").empty();
}

class OpenAiChatHandler final : public OpenAiHandler {
 public:
  BuiltRequest chat(const ProviderConfig& config, const ChatRequest& request,
                    const Capabilities& capabilities, bool is_stream) const override {
    BuiltRequest built;
    const RequestJson body =
        openai_chat_body(config, request, capabilities, is_stream, built.warnings);
    built.http = json_request("/chat/completions", body, is_stream);
    built.http.headers = request.headers;
    return built;
  }

  ChatResponse parse_chat(const ProviderConfig& config, const HttpAnswer& answer) const override {
    const JsonDocument document = answer_object(config, answer);
    const Json& json = document.root();
    if (is_openai_error(json)) throw ProviderError(parse_openai_error(config, answer));
    if (!has_messages(json)) refuse_answer(config, "response: it has no choices with messages");
    ResponseBuilder builder(config);
    std::vector<StreamEvent> events;
    ChoiceReader(config, builder).add(json, true, events);
    builder.response().raw = answer.body;
    return std::move(builder.response());
  }

  std::unique_ptr<StreamAssembler> assembler(const ProviderConfig& config) const override {
    return std::make_unique<OpenAiChatAssembler>(config);
  }

 protected:
  std::string_view batch_endpoint() const override { return "/v1/chat/completions"; }
};

}  // namespace

const ProtocolHandler& openai_chat_handler() {
  static const OpenAiChatHandler handler;
  return handler;
}

}  // namespace taut::ai
