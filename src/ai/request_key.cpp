#include "src/ai/json_parts.h"
#include "src/ai/sha256.h"
#include "taut/ai/cache.h"
#include "taut/ai/json_text.h"

namespace taut::ai {
namespace {

// Another number where equal requests would give other keys than before.
constexpr int kKeyFormat = 1;

/// The text that is hashed. Objects are sorted by the names of their members.
std::string meaning(std::string_view provider, std::string_view kind, form::Json request) {
  // Fields of the provider's own mean the same however they are written.
  if (const auto extra = request.find("extra"); extra != request.end()) {
    const form::Json parsed =
        form::Json::parse(extra->get_ref<const std::string&>(), nullptr, false);
    if (!parsed.is_discarded()) *extra = parsed;
  }
  const form::Json whole = form::Writer()
                               .put("format", kKeyFormat)
                               .put("kind", std::string(kind))
                               .put("provider", std::string(provider))
                               .put("request", std::move(request))
                               .take();
  return form::dump(whole);
}

}  // namespace

std::string request_key(std::string_view provider, const ChatRequest& request) {
  ChatRequest meant = request;
  meant.headers.clear();
  meant.deadline.reset();
  meant.task.clear();
  meant.user.reset();
  return sha256(meaning(provider, "chat", form::form_of(meant)));
}

std::string request_key(std::string_view provider, const EmbeddingRequest& request) {
  EmbeddingRequest meant = request;
  meant.deadline.reset();
  meant.task.clear();
  return sha256(meaning(provider, "embedding", form::parse(to_json(meant), "request")));
}

}  // namespace taut::ai
