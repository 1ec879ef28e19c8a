#include "src/ai/json_assembler.h"

#include <utility>

#include "src/ai/json_series.h"
#include "src/ai/refusal.h"
#include "taut/base/check.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {
namespace {

constexpr size_t kExcerpt = 200;
constexpr std::string_view kDoneMark = "[DONE]";

/// Without the spaces around it.
std::string_view trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

}  // namespace

JsonAssembler::JsonAssembler(const ProviderConfig& config) : config_(config), builder_(config) {
  builder_.response().usage.partial = true;
}

void JsonAssembler::add(const SseEvent& event, std::vector<StreamEvent>& events) {
  if (is_complete_) return;
  const std::string_view data = trim(event.data);
  if (data.empty()) return;
  if (data == kDoneMark) {
    add_done(events);
    return;
  }
  // One for all streams of a thread: its memory stays in the cache.
  thread_local JsonSeries series;
  const Json& json = series.parse(data);
  // A report of an error may come as an array of one.
  const bool is_list = json.is_array() && json.size() == 1 && json.front().is_object();
  if (json.is_object() || is_list) {
    add_parsed(is_list ? json.front() : json, events);
  } else if (event.is_cut) {
    is_cut_ = true;
  } else {
    refuse_answer(config_, concat("stream: an event is not a JSON object; got ",
                                  event.data.substr(0, kExcerpt)));
  }
}

void JsonAssembler::add_parsed(const Json& json, std::vector<StreamEvent>& events) {
  if (!is_error(json)) {
    add_json(json, events);
    return;
  }
  ErrorDetails details = error_of(json);
  if (builder_.has_output()) {
    details.kind = ErrorKind::stream_error;
    details.partial_output = true;
  }
  throw ProviderError(std::move(details));
}

bool JsonAssembler::ends_here() {
  if (is_complete_) return true;
  if (is_cut_ || !may_end()) return false;
  complete();
  return true;
}

void JsonAssembler::fetch(int depth) const {
  if (depth == 0) fetch_memory(&is_complete_, this + 1);
  builder_.fetch(depth);
}

void JsonAssembler::add_done(std::vector<StreamEvent>&) {}

void JsonAssembler::complete() {
  is_complete_ = true;
  builder_.response().usage.partial = false;
}

void JsonAssembler::refuse_truncated(std::string message) const {
  ErrorDetails details;
  details.kind = ErrorKind::truncated_stream;
  details.provider = config_.name;
  details.message = std::move(message);
  details.partial_output = builder_.has_output();
  throw ProviderError(std::move(details));
}

}  // namespace taut::ai
