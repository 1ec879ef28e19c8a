#include "src/ai/anthropic_stream.h"

#include "src/ai/anthropic_errors.h"

namespace taut::ai {

void AnthropicAssembler::add_json(const Json& json, std::vector<StreamEvent>& events) {
  const std::string_view type = view_of(json, "type");
  const int64_t index = get<int64_t>(json, "index").value_or(0);
  if (type == "message_start") {
    message_.begin(member(json, "message"), events);
  } else if (type == "content_block_start") {
    builder_.candidate(0);
    blocks_.begin(index, member(json, "content_block"), events);
  } else if (type == "content_block_delta") {
    builder_.candidate(0);
    blocks_.add_delta(index, member(json, "delta"), events);
  } else if (type == "content_block_stop") {
    blocks_.end(index, events);
  } else if (type == "message_delta") {
    message_.add_usage(member(json, "usage"), events);
    message_.stop(member(json, "delta"), events);
  } else if (type == "message_stop") {
    if (!builder_.all_finished()) {
      refuse_truncated("stream: message_stop came before a stop reason");
    }
    complete();
  }
}

bool AnthropicAssembler::is_error(const Json& json) const { return is_anthropic_error(json); }

ErrorDetails AnthropicAssembler::error_of(const Json& json) const {
  return anthropic_error(config_, json, 0);
}

}  // namespace taut::ai
