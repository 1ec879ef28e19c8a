#include "src/ai/anthropic_blocks.h"

#include <utility>

#include "src/ai/request_json.h"
#include "src/ai/signature.h"

namespace taut::ai {
namespace {

constexpr int kCandidate = 0;  // there is never another one

/// The input of a call as JSON text; nothing where it comes in pieces behind an empty object.
std::string input_of(const Json& block) {
  const Json& input = member(block, "input");
  return input.is_object() && !input.empty() ? to_text(input) : std::string();
}

/// The text of a block, its input replaced by the one that came in pieces, if that is an object.
std::string with_input(const std::string& block, const std::string& pieces) {
  const std::optional<JsonDocument> input = parse_json(pieces);
  if (!input || !input->root().is_object()) return block;
  SortedJson whole = sorted(parse_json(block)->root());
  whole["input"] = sorted(input->root());
  return to_text(whole);
}

}  // namespace

void AnthropicBlocks::begin(int64_t index, const Json& json, std::vector<StreamEvent>& events) {
  Block& block = open_[index];
  block = Block{};
  const std::string type = text_of(json, "type");
  if (type == "text") {
    block.kind = Kind::text;
    builder_.add_text(kCandidate, text_of(json, "text"), {}, events);
    for (const Json& citation : elements(json, "citations")) add_citation(citation, events);
  } else if (type == "thinking" || type == "redacted_thinking") {
    begin_reasoning(block, json, events);
  } else if (type == "tool_use") {
    begin_call(block, json, events);
  } else if (json.is_object()) {
    block.own = to_text(json);
  }
}

void AnthropicBlocks::begin_reasoning(Block& block, const Json& json,
                                      std::vector<StreamEvent>& events) {
  block.kind = Kind::reasoning;
  block.place = builder_.begin_reasoning(kCandidate);
  builder_.add_to_reasoning(kCandidate, block.place, text_of(json, "thinking"), events);
  ReasoningPart& part = builder_.reasoning(kCandidate, block.place);
  part.signature = marked_signature("anthropic", text_of(json, "signature"));
  part.redacted = marked_signature("anthropic", text_of(json, "data"));
}

void AnthropicBlocks::begin_call(Block& block, const Json& json, std::vector<StreamEvent>& events) {
  block.kind = Kind::call;
  block.call =
      builder_.begin_call(kCandidate, {text_of(json, "id"), text_of(json, "name"), {}, {}}, events);
  builder_.add_arguments(kCandidate, block.call, input_of(json), events);
}

void AnthropicBlocks::add_delta(int64_t index, const Json& delta,
                                std::vector<StreamEvent>& events) {
  const std::string_view type = view_of(delta, "type");
  if (type == "text_delta") builder_.add_text(kCandidate, text_of(delta, "text"), {}, events);
  if (type == "citations_delta") add_citation(member(delta, "citation"), events);
  const auto found = open_.find(index);
  if (found == open_.end()) return;
  Block& block = found->second;
  if (type == "input_json_delta" && block.kind == Kind::call) {
    builder_.add_arguments(kCandidate, block.call, text_of(delta, "partial_json"), events);
  } else if (type == "input_json_delta") {
    block.input += text_of(delta, "partial_json");
  } else if (type == "thinking_delta" && block.kind == Kind::reasoning) {
    builder_.add_to_reasoning(kCandidate, block.place, text_of(delta, "thinking"), events);
  } else if (type == "signature_delta" && block.kind == Kind::reasoning) {
    std::string& signature = builder_.reasoning(kCandidate, block.place).signature;
    const std::string more = text_of(delta, "signature");
    if (signature.empty()) {
      signature = marked_signature("anthropic", more);
    } else {
      signature += more;
    }
  }
}

/// A call without arguments has an empty object of them. What the provider did on its own goes back
/// as it came, where the conversation goes on.
void AnthropicBlocks::end(int64_t index, std::vector<StreamEvent>& events) {
  const auto found = open_.find(index);
  if (found == open_.end()) return;
  Block block = std::move(found->second);
  open_.erase(found);
  if (block.kind == Kind::call && builder_.call(kCandidate, block.call).arguments.empty()) {
    builder_.add_arguments(kCandidate, block.call, "{}", events);
  }
  if (block.kind != Kind::other || block.own.empty()) return;
  ReasoningPart part;
  part.redacted = marked_signature("anthropic-block", with_input(block.own, block.input));
  builder_.add_reasoning_part(kCandidate, std::move(part), events);
}

void AnthropicBlocks::add_citation(const Json& json, std::vector<StreamEvent>& events) {
  if (!json.is_object()) return;
  std::string title = text_of(json, "title");
  if (title.empty()) title = text_of(json, "document_title");
  std::string url = text_of(json, "url");
  if (url.empty()) url = text_of(json, "source");
  builder_.add_citation({std::move(url), std::move(title), {}, text_of(json, "cited_text")},
                        events);
}

}  // namespace taut::ai
