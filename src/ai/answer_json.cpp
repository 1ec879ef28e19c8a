#include "src/ai/answer_json.h"

#include <algorithm>
#include <utility>

#include "src/ai/error_kinds.h"
#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {

Json answer_object(const ProviderConfig& config, const HttpAnswer& answer) {
  std::optional<Json> json = parse_json(answer.body);
  if (json && json->is_object()) return std::move(*json);
  ErrorDetails details = error_without_json(config, answer);
  details.kind = ErrorKind::malformed_response;
  throw ProviderError(std::move(details));
}

std::vector<Json> answer_lines(const ProviderConfig& config, const HttpAnswer& answer) {
  std::vector<Json> objects;
  const std::string_view body = answer.body;
  for (size_t begin = 0; begin < body.size();) {
    const size_t end = std::min(body.find('\n', begin), body.size());
    const std::string_view line = body.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    std::optional<Json> json = parse_json(line);
    if (!json || !json->is_object()) {
      refuse_answer(config, concat("results: line ", objects.size() + 1, " is not a JSON object"));
    }
    objects.push_back(std::move(*json));
  }
  return objects;
}

}  // namespace taut::ai
