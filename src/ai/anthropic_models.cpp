#include "src/ai/anthropic_models.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/anthropic_errors.h"
#include "src/ai/path_segment.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr int kPage = 1000;

/// The number that stands at a place with so many digits, or -1.
int64_t digits(std::string_view text, size_t at, size_t count) {
  if (at + count > text.size()) return -1;
  int64_t number = 0;
  for (const char c : text.substr(at, count)) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

/// Days from 1970-01-01 to a day of the Gregorian calendar, whose years begin in March for the
/// count.
int64_t days_since_1970(int64_t year, int64_t month, int64_t day) {
  const int64_t shifted = month > 2 ? year : year - 1;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + day_of_year - 719468;
}

}  // namespace

std::optional<int64_t> seconds_of_timestamp(std::string_view text) {
  const int64_t year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const int64_t hour = digits(text, 11, 2), minute = digits(text, 14, 2);
  const int64_t second = digits(text, 17, 2);
  const bool is_time = year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
                       hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0;
  if (!is_time) return std::nullopt;
  return ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
}

HttpRequest anthropic_models_request(std::string_view after_id) {
  std::string path = concat("/v1/models?limit=", kPage);
  if (!after_id.empty()) path += concat("&after_id=", after_id);
  return get_request(std::move(path));
}

ModelPage parse_anthropic_models(const ProviderConfig& config, const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_anthropic_error(json)) throw ProviderError(parse_anthropic_error(config, answer));
  if (!member(json, "data").is_array())
    refuse_answer(config, "models: the answer has no list 'data'");
  ModelPage page;
  for (const Json& item : elements(json, "data")) {
    ModelInfo info;
    info.id = text_of(item, "id");
    if (info.id.empty()) continue;
    info.owner = "anthropic";
    info.created = seconds_of_timestamp(text_of(item, "created_at"));
    info.context_length = get<int64_t>(item, "max_input_tokens");
    info.max_output_tokens = get<int64_t>(item, "max_tokens");
    info.raw = to_text(item);
    page.models.push_back(std::move(info));
  }
  const std::string last = text_of(json, "last_id");
  if (get<bool>(json, "has_more").value_or(false) && !last.empty()) {
    page.next = anthropic_models_request(path_segment(config, "last_id", last));
  }
  return page;
}

}  // namespace taut::ai
