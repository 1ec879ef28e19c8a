#include "src/ai/openai_chat_stream.h"

#include "src/ai/openai_errors.h"

namespace taut::ai {

void OpenAiChatAssembler::add_json(const Json& json, std::vector<StreamEvent>& events) {
  choices_.add(json, false, events);
  // Perplexity's last object, behind which [DONE] may come or not.
  if (view_of(json, "object") == "chat.completion.done" && builder_.all_finished()) complete();
}

void OpenAiChatAssembler::add_done(std::vector<StreamEvent>&) {
  if (!builder_.all_finished()) {
    refuse_truncated("stream: [DONE] came before a choice had a finish reason");
  }
  complete();
}

/// xAI's {"code": "...", "error": "..."} comes in streams, too.
bool OpenAiChatAssembler::is_error(const Json& json) const { return is_openai_error(json); }

ErrorDetails OpenAiChatAssembler::error_of(const Json& json) const {
  return openai_error(config_, json, 0);
}

}  // namespace taut::ai
