#include "src/ai/openai_dialect.h"

#include "src/ai/known_models.h"
#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

// OpenAI's limit on the name of who is asking.
constexpr size_t kMostSafetyIdentifier = 64;

}  // namespace

void put_openai_user(const ProviderConfig& config, CheckedRequest& request, RequestJson& body) {
  if (!request->user) return;
  switch (config.vendor) {
    case Vendor::openai:
      if (request->user->size() > kMostSafetyIdentifier) {
        refuse_request(config, request->model, "user",
                       concat("user: it is too long; got ", request->user->size(),
                              " bytes; expected at most ", kMostSafetyIdentifier));
      }
      body["safety_identifier"] = *request->user;
      return;
    case Vendor::perplexity:
    case Vendor::ollama:
      return request.lacks("user", "the provider has no field for who is asking");
    default: body["user"] = *request->user;
  }
}

Capabilities capabilities_for_request(const ProviderConfig& config, const ChatRequest& request,
                                      const Capabilities& capabilities) {
  const bool reasons = request.reasoning_effort && *request.reasoning_effort != "none";
  Capabilities now = capabilities;
  if (config.vendor != Vendor::openai || !reasons || !may_sample_without_reasoning(request.model)) {
    return now;
  }
  for (const Feature feature : {Feature::temperature, Feature::top_p, Feature::logprobs}) {
    if (now[feature] == Answer::unknown) now[feature] = Answer::no;
  }
  return now;
}

}  // namespace taut::ai
