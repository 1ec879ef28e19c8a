#pragma once
// Where a provider is and how it is spoken to.
//   ProviderConfig::openai();                                       // its key from OPENAI_API_KEY
//   ProviderConfig::compatible("mine", "http://localhost:8000/v1"); // vLLM, Ollama, llama.cpp ...

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taut/ai/capability.h"
#include "taut/ai/secret.h"

namespace taut::ai {

/// The language that a provider speaks.
enum class Protocol : uint8_t {
  openai_chat,       // POST /chat/completions, and what is like it
  openai_responses,  // POST /responses
  anthropic,         // POST /v1/messages
  gemini,            // POST /{version}/models/{model}:generateContent
};

/// Whose servers they are, for what differs among those that speak one language.
enum class Vendor : uint8_t {
  openai,
  anthropic,
  gemini,
  xai,
  perplexity,
  vllm,
  ollama,
  llama_cpp,
  other
};

struct ProviderConfig {
  std::string name;  // how errors, reports and budgets call it
  Protocol protocol = Protocol::openai_chat;
  Vendor vendor = Vendor::other;
  std::string base_url;  // with /v1 where the server's paths have it
  Secret key;
  std::string api_version;                                   // Anthropic's and Gemini's
  std::string organization, project;                         // OpenAI's
  std::vector<std::string> beta;                             // Anthropic's
  std::vector<std::pair<std::string, std::string>> headers;  // sent with every request
  std::string extra_body;    // fields of every request, as the JSON text of an object
  bool allows_http = false;  // plain http to other hosts than this one
  /// What the user knows of its models, over what Taut knows: by model, or "" for all of them.
  std::vector<std::pair<std::string, Capabilities>> capabilities;

  /// Requests and tokens a minute and requests at once that are allowed; unset: no limit but what
  /// the provider's answers tell.
  std::optional<double> requests_per_minute, tokens_per_minute;
  int max_concurrent = 64;

  /// Keys and addresses from the environment, as the vendors' own libraries read them:
  /// OPENAI_API_KEY, OPENAI_BASE_URL, OPENAI_ORG_ID, OPENAI_PROJECT_ID;
  TAUT_API static ProviderConfig openai(Protocol protocol = Protocol::openai_chat);
  /// ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL;
  TAUT_API static ProviderConfig anthropic();
  /// GOOGLE_API_KEY or GEMINI_API_KEY;
  TAUT_API static ProviderConfig gemini();
  /// XAI_API_KEY;
  TAUT_API static ProviderConfig xai(Protocol protocol = Protocol::openai_chat);
  /// PERPLEXITY_API_KEY.
  TAUT_API static ProviderConfig perplexity();
  /// Any server that speaks OpenAI's chat completions.
  TAUT_API static ProviderConfig compatible(std::string name, std::string base_url,
                                            Vendor vendor = Vendor::other, Secret key = {});
};

}  // namespace taut::ai
