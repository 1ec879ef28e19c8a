#include "src/ai/openai_choices.h"

#include <utility>

#include "src/ai/finish_reason.h"
#include "src/ai/logprobs.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {
namespace {

/// A string, or parts of which some hold text.
std::string content_of(const Json& message) {
  const Json& content = member(message, "content");
  if (content.is_string()) return std::string(content.string());
  std::string text;
  if (!content.is_array()) return text;
  for (const Json& part : content) text += text_of(part, "text");
  return text;
}

std::string_view reasoning_of(const Json& message) {
  const std::string_view text = view_of(message, "reasoning_content");
  return text.empty() ? view_of(message, "reasoning") : text;
}

/// [{"title", "url", "date", "snippet"}] of Perplexity.
std::vector<Citation> search_results_of(const Json& json) {
  std::vector<Citation> citations;
  for (const Json& item : elements(json, "search_results")) {
    citations.push_back({text_of(item, "url"), text_of(item, "title"), text_of(item, "date"),
                         text_of(item, "snippet")});
  }
  return citations;
}

/// Plain addresses, which Perplexity and xAI list.
std::vector<Citation> addresses_of(const Json& json) {
  std::vector<Citation> citations;
  for (const Json& item : elements(json, "citations")) {
    if (auto url = as<std::string>(item)) citations.push_back({std::move(*url), {}, {}, {}});
  }
  return citations;
}

void keep_first(std::string& kept, const Json& json, std::string_view key) {
  if (kept.empty()) kept = text_of(json, key);
}

}  // namespace

void ChoiceReader::add(const Json& json, bool is_whole, std::vector<StreamEvent>& events) {
  keep_first(builder_.response().id, json, "id");
  keep_first(builder_.response().model, json, "model");
  // There is no header with the name of a request.
  if (vendor_ == Vendor::perplexity) builder_.response().request_id = builder_.response().id;
  int64_t place = 0;
  for (const Json& choice : elements(json, "choices")) {
    if (choice.is_object()) add_choice(choice, place++, is_whole, events);
  }
  add_sources(json, events);
  const Json& usage = member(json, "usage");
  if (!usage.is_object()) return;
  usage_.add(usage);
  builder_.set_usage(usage_of_chat(usage_, vendor_), events);
}

void ChoiceReader::fetch(int depth) const {
  if (depth == 0) fetch_memory(this, &usage_);
  if (depth == 1 && !choices_.empty()) fetch_memory(&choices_.back(), &choices_.back() + 1);
}

void ChoiceReader::add_choice(const Json& json, int64_t place, bool is_whole,
                              std::vector<StreamEvent>& events) {
  const int candidate = builder_.candidate(get<int64_t>(json, "index").value_or(place));
  if (static_cast<size_t>(candidate) >= choices_.size()) {
    choices_.resize(static_cast<size_t>(candidate) + 1);
  }
  const Json& message = member(json, is_whole ? "message" : "delta");
  add_message(message, member(json, "logprobs"), candidate, is_whole, events);
  const std::string_view word = view_of(json, "finish_reason");
  if (!word.empty() || is_whole) finish(candidate, std::string(word), events);
}

void ChoiceReader::add_message(const Json& message, const Json& logprobs, int candidate,
                               bool is_whole, std::vector<StreamEvent>& events) {
  Choice& choice = choices_[static_cast<size_t>(candidate)];
  const std::string_view reasoning = reasoning_of(message);
  if (!reasoning.empty()) builder_.add_reasoning(candidate, std::string(reasoning), events);
  add_text(content_of(message), logprobs_of_openai(member(logprobs, "content")), candidate, events);
  add_refusal(message, logprobs, candidate, events);
  choice.calls.add(elements(message, "tool_calls"), is_whole, candidate, builder_, events);
  add_annotations(message, events);
}

void ChoiceReader::add_refusal(const Json& message, const Json& logprobs, int candidate,
                               std::vector<StreamEvent>& events) {
  const std::string_view text = view_of(message, "refusal");
  const Json& tokens = member(logprobs, "refusal");
  if (text.empty() && !tokens.is_array()) return;
  Choice& choice = choices_[static_cast<size_t>(candidate)];
  choice.is_refused = choice.is_refused || !text.empty();
  builder_.add_refusal(candidate, std::string(text), logprobs_of_openai(tokens), events);
}

/// Perplexity's models think aloud before they answer.
void ChoiceReader::add_text(std::string text, std::vector<TokenLogprob> logprobs, int candidate,
                            std::vector<StreamEvent>& events) {
  if (vendor_ == Vendor::perplexity) {
    ThinkSplitter::Pieces pieces = choices_[static_cast<size_t>(candidate)].thoughts.add(text);
    builder_.add_reasoning(candidate, std::move(pieces.reasoning), events);
    text = std::move(pieces.text);
  }
  builder_.add_text(candidate, std::move(text), std::move(logprobs), events);
}

void ChoiceReader::add_annotations(const Json& message, std::vector<StreamEvent>& events) {
  for (const Json& annotation : elements(message, "annotations")) {
    const Json& source = member(annotation, "url_citation");
    if (!source.is_object()) continue;
    builder_.add_citation({text_of(source, "url"), text_of(source, "title"), {}, {}}, events);
  }
}

void ChoiceReader::add_sources(const Json& json, std::vector<StreamEvent>& events) {
  std::vector<Citation> citations = search_results_of(json);
  if (citations.empty()) citations = addresses_of(json);
  if (!citations.empty()) builder_.set_citations(std::move(citations), events);
}

void ChoiceReader::finish(int candidate, const std::string& word,
                          std::vector<StreamEvent>& events) {
  Choice& choice = choices_[static_cast<size_t>(candidate)];
  if (vendor_ == Vendor::perplexity && !builder_.is_finished(candidate)) {
    ThinkSplitter::Pieces pieces = choice.thoughts.finish();
    builder_.add_reasoning(candidate, std::move(pieces.reasoning), events);
    builder_.add_text(candidate, std::move(pieces.text), {}, events);
  }
  FinishReason reason = finish_reason_of_chat(word);
  // Calls that the request left no choice about end with "stop", too.
  if (reason == FinishReason::stop && builder_.calls(candidate) > 0) {
    reason = FinishReason::tool_calls;
  }
  if (choice.is_refused) reason = FinishReason::content_filter;
  builder_.finish(candidate, reason, word, events);
}

}  // namespace taut::ai
