#include "src/ai/signature.h"

#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr std::string_view kLanguages[] = {"anthropic", "anthropic-block", "gemini", "responses"};

/// The language that a mark names, or an empty one.
std::string_view language_of(std::string_view marked) {
  for (const std::string_view language : kLanguages) {
    if (marked.size() > language.size() && marked.substr(0, language.size()) == language &&
        marked[language.size()] == ':') {
      return language;
    }
  }
  return {};
}

}  // namespace

std::string marked_signature(std::string_view language, std::string_view signature) {
  return signature.empty() ? std::string() : concat(language, ":", signature);
}

std::optional<std::string> own_signature(std::string_view language, std::string_view marked) {
  if (marked.empty()) return std::nullopt;
  const std::string_view found = language_of(marked);
  if (found.empty()) return std::string(marked);
  if (found != language) return std::nullopt;
  return std::string(marked.substr(language.size() + 1));
}

}  // namespace taut::ai
