#include "src/ai/responses_output.h"

#include <utility>

#include "src/ai/finish_reason.h"
#include "src/ai/logprobs.h"
#include "src/ai/request_json.h"
#include "src/ai/signature.h"
#include "src/ai/usage.h"

namespace taut::ai {
namespace {

constexpr int kCandidate = 0;  // there is never another one

std::optional<Citation> citation_of(const Json& annotation) {
  const std::string url = text_of(annotation, "url");
  if (url.empty()) return std::nullopt;
  return Citation{url, text_of(annotation, "title"), {}, {}};
}

/// The summary of the thoughts, or the thoughts where the provider shows them.
std::string reasoning_of(const Json& item) {
  std::string text;
  for (const std::string_view key : {"summary", "content"}) {
    for (const Json& piece : elements(item, key)) {
      if (!text.empty()) text += "\n\n";
      text += text_of(piece, "text");
    }
  }
  return text;
}

}  // namespace

void ResponsesOutput::begin(const Json& response) {
  builder_.candidate(kCandidate);
  ChatResponse& built = builder_.response();
  if (built.id.empty()) built.id = text_of(response, "id");
  if (built.model.empty()) built.model = text_of(response, "model");
}

void ResponsesOutput::add_items(const Json& response, std::vector<StreamEvent>& events) {
  int64_t index = 0;
  for (const Json& item : elements(response, "output")) {
    if (!item.is_object()) continue;
    begin_item(index, item, events);
    end_item(index, item, events);
    if (text_of(item, "type") == "message") add_message(item, events);
    ++index;
  }
}

void ResponsesOutput::add_message(const Json& item, std::vector<StreamEvent>& events) {
  for (const Json& part : elements(item, "content")) {
    const std::string type = text_of(part, "type");
    if (type == "output_text") {
      builder_.add_text(kCandidate, text_of(part, "text"),
                        logprobs_of_openai(member(part, "logprobs")), events);
    } else if (type == "refusal") {
      add_refusal(text_of(part, "refusal"), events);
    }
  }
}

void ResponsesOutput::end(const Json& response, std::vector<StreamEvent>& events) {
  std::vector<Citation> citations;
  for (const Json& item : elements(response, "output")) {
    for (const Json& part : elements(item, "content")) {
      for (const Json& annotation : elements(part, "annotations")) {
        if (auto citation = citation_of(annotation)) citations.push_back(std::move(*citation));
      }
    }
  }
  if (!citations.empty()) builder_.set_citations(std::move(citations), events);
  const Json& usage = member(response, "usage");
  if (usage.is_object()) builder_.set_usage(usage_of_responses(usage), events);
  const std::string status = text_of(response, "status");
  const std::string why = text_of(response, "incomplete_details", "reason");
  FinishReason reason = finish_reason_of_responses(status, why);
  if (reason == FinishReason::stop && builder_.calls(kCandidate) > 0) {
    reason = FinishReason::tool_calls;
  }
  if (is_refused_) reason = FinishReason::content_filter;
  builder_.finish(kCandidate, reason, why.empty() ? status : why, events);
}

void ResponsesOutput::begin_item(int64_t index, const Json& json,
                                 std::vector<StreamEvent>& events) {
  builder_.candidate(kCandidate);
  Item item;
  const std::string type = text_of(json, "type");
  if (type == "function_call") {
    item.is_call = true;
    item.call = builder_.begin_call(
        kCandidate, {text_of(json, "call_id"), text_of(json, "name"), {}, {}}, events);
    builder_.add_arguments(kCandidate, item.call, text_of(json, "arguments"), events);
  } else if (type == "reasoning") {
    item.is_reasoning = true;
    item.place = builder_.begin_reasoning(kCandidate);
  }
  items_[index] = item;
}

/// The whole item says again what came in pieces, and what came not at all.
void ResponsesOutput::end_item(int64_t index, const Json& json, std::vector<StreamEvent>& events) {
  const auto found = items_.find(index);
  if (found == items_.end()) return;
  const Item item = found->second;
  if (item.is_call && builder_.call(kCandidate, item.call).arguments.empty()) {
    builder_.add_arguments(kCandidate, item.call, text_of(json, "arguments"), events);
  }
  if (!item.is_reasoning) return;
  if (builder_.reasoning(kCandidate, item.place).text.empty()) {
    builder_.add_to_reasoning(kCandidate, item.place, reasoning_of(json), events);
  }
  builder_.reasoning(kCandidate, item.place).signature =
      marked_signature("responses", to_text(json));
}

void ResponsesOutput::add_text(const Json& delta, std::vector<StreamEvent>& events) {
  builder_.candidate(kCandidate);
  builder_.add_text(kCandidate, text_of(delta, "delta"),
                    logprobs_of_openai(member(delta, "logprobs")), events);
}

void ResponsesOutput::add_refusal(std::string text, std::vector<StreamEvent>& events) {
  builder_.candidate(kCandidate);
  is_refused_ = is_refused_ || !text.empty();
  builder_.add_refusal(kCandidate, std::move(text), {}, events);
}

void ResponsesOutput::add_reasoning(int64_t index, std::string text,
                                    std::vector<StreamEvent>& events) {
  builder_.candidate(kCandidate);
  const auto found = items_.find(index);
  if (found != items_.end() && found->second.is_reasoning) {
    builder_.add_to_reasoning(kCandidate, found->second.place, std::move(text), events);
  } else {
    builder_.add_reasoning(kCandidate, std::move(text), events);
  }
}

void ResponsesOutput::add_arguments(int64_t index, std::string_view text,
                                    std::vector<StreamEvent>& events) {
  const auto found = items_.find(index);
  if (found == items_.end() || !found->second.is_call) return;
  builder_.add_arguments(kCandidate, found->second.call, text, events);
}

void ResponsesOutput::add_annotation(const Json& annotation, std::vector<StreamEvent>& events) {
  if (auto citation = citation_of(annotation)) builder_.add_citation(std::move(*citation), events);
}

bool ResponsesOutput::is_empty() const { return !builder_.has_output() && items_.empty(); }

}  // namespace taut::ai
