#include "src/ai/openai_models.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/openai_errors.h"
#include "src/ai/refusal.h"
#include "src/ai/request_json.h"

namespace taut::ai {
namespace {

/// vLLM and llama.cpp tell the length of the context, each in a place of its own.
std::optional<int64_t> context_length_of(const Json& json) {
  if (const auto length = get<int64_t>(json, "max_model_len")) return length;
  if (const auto length = get<int64_t>(json, "context_length")) return length;
  return get<int64_t>(json, "meta", "n_ctx_train");
}

}  // namespace

ModelPage parse_openai_models(const ProviderConfig& config, const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_openai_error(json)) throw ProviderError(parse_openai_error(config, answer));
  // Ollama writes null where it has none.
  if (!json.contains("data")) refuse_answer(config, "models: the answer has no list 'data'");
  ModelPage page;
  for (const Json& item : elements(json, "data")) {
    ModelInfo info;
    info.id = text_of(item, "id");
    if (info.id.empty()) continue;
    info.owner = text_of(item, "owned_by");
    info.created = get<int64_t>(item, "created");
    info.context_length = context_length_of(item);
    info.raw = to_text(item);
    page.models.push_back(std::move(info));
  }
  return page;
}

}  // namespace taut::ai
