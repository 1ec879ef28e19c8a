#include "src/ai/answer_json.h"

#include <algorithm>
#include <utility>

#include "src/ai/error_kinds.h"
#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {

JsonDocument answer_object(const ProviderConfig& config, const HttpAnswer& answer) {
  JsonDocument document;
  if (document.parse(answer.body) && document.root().is_object()) return document;
  ErrorDetails details = error_without_json(config, answer);
  details.kind = ErrorKind::malformed_response;
  throw ProviderError(std::move(details));
}

std::vector<JsonDocument> answer_lines(const ProviderConfig& config, const HttpAnswer& answer) {
  std::vector<JsonDocument> objects;
  const std::string_view body = answer.body;
  for (size_t begin = 0; begin < body.size();) {
    const size_t end = std::min(body.find('\n', begin), body.size());
    const std::string_view line = body.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    JsonDocument document;
    if (!document.parse(line) || !document.root().is_object()) {
      refuse_answer(config, concat("results: line ", objects.size() + 1, " is not a JSON object"));
    }
    objects.push_back(std::move(document));
  }
  return objects;
}

}  // namespace taut::ai
