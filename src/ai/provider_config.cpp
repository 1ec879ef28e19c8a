#include "taut/ai/provider_config.h"

#include <cstdlib>
#include <utility>

namespace taut::ai {

namespace {

std::string variable(const char* name, std::string otherwise = {}) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? std::move(otherwise) : std::string(value);
}

}  // namespace

ProviderConfig ProviderConfig::openai(Protocol protocol) {
  ProviderConfig config;
  config.name = "openai";
  config.protocol = protocol;
  config.vendor = Vendor::openai;
  config.base_url = variable("OPENAI_BASE_URL", "https://api.openai.com/v1");
  config.key = Secret::from_environment("OPENAI_API_KEY");
  config.organization = variable("OPENAI_ORG_ID");
  config.project = variable("OPENAI_PROJECT_ID");
  return config;
}

ProviderConfig ProviderConfig::anthropic() {
  ProviderConfig config;
  config.name = "anthropic";
  config.protocol = Protocol::anthropic;
  config.vendor = Vendor::anthropic;
  config.base_url = variable("ANTHROPIC_BASE_URL", "https://api.anthropic.com");
  config.key = Secret::from_environment("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN");
  config.api_version = "2026-10-21";
  return config;
}

ProviderConfig ProviderConfig::gemini() {
  ProviderConfig config;
  config.name = "gemini";
  config.protocol = Protocol::gemini;
  config.vendor = Vendor::gemini;
  config.base_url = "https://generativelanguage.googleapis.com";
  config.key = Secret::from_environment("GOOGLE_API_KEY", "GEMINI_API_KEY");
  config.api_version = "v1";
  return config;
}

ProviderConfig ProviderConfig::xai(Protocol protocol) {
  ProviderConfig config;
  config.name = "xai";
  config.protocol = protocol;
  config.vendor = Vendor::xai;
  config.base_url = "https://api.x.ai/v1";
  config.key = Secret::from_environment("XAI_API_KEY");
  return config;
}

ProviderConfig ProviderConfig::perplexity() {
  ProviderConfig config;
  config.name = "perplexity";
  config.protocol = Protocol::openai_chat;
  config.vendor = Vendor::perplexity;
  config.base_url = "https://api.perplexity.ai";
  config.key = Secret::from_environment("PERPLEXITY_API_KEY");
  return config;
}

ProviderConfig ProviderConfig::compatible(std::string name, std::string base_url, Vendor vendor,
                                          Secret key) {
  ProviderConfig config;
  config.name = std::move(name);
  config.protocol = Protocol::openai_chat;
  config.vendor = vendor;
  config.base_url = std::move(base_url);
  config.key = std::move(key);
  return config;
}

}  // namespace taut::ai
