#include "src/ai/gemini_candidates.h"

#include <utility>

#include "src/ai/base64.h"
#include "src/ai/finish_reason.h"
#include "src/ai/logprobs.h"
#include "src/ai/request_json.h"
#include "src/ai/signature.h"

namespace taut::ai {

void GeminiReader::add(const Json& json, std::vector<StreamEvent>& events) {
  ChatResponse& response = builder_.response();
  if (response.id.empty()) response.id = text_of(json, "responseId");
  // There is no header with the name of a request.
  response.request_id = response.id;
  if (response.model.empty()) response.model = text_of(json, "modelVersion");
  int64_t place = 0;
  for (const Json& candidate : elements(json, "candidates")) {
    if (candidate.is_object()) add_candidate(candidate, place++, events);
  }
  add_block(member(json, "promptFeedback"), events);
  const Json& usage = member(json, "usageMetadata");
  if (!usage.is_object()) return;
  usage_.add(usage);
  builder_.set_usage(usage_of_gemini(usage_), events);
}

void GeminiReader::add_candidate(const Json& json, int64_t place,
                                 std::vector<StreamEvent>& events) {
  const int candidate = builder_.candidate(get<int64_t>(json, "index").value_or(place));
  std::vector<TokenLogprob> logprobs = logprobs_of_gemini(member(json, "logprobsResult"));
  // An answer without content or without parts is an empty one.
  for (const Json& part : elements(member(json, "content"), "parts")) {
    add_part(part, candidate, logprobs, events);
  }
  builder_.add_text(candidate, {}, std::move(logprobs), events);
  add_sources(json, events);
  const std::string word = text_of(json, "finishReason");
  if (word.empty()) return;
  FinishReason reason = finish_reason_of_gemini(word);
  if (reason == FinishReason::stop && builder_.calls(candidate) > 0) {
    reason = FinishReason::tool_calls;
  }
  builder_.finish(candidate, reason, word, events);
}

void GeminiReader::add_part(const Json& part, int candidate, std::vector<TokenLogprob>& logprobs,
                            std::vector<StreamEvent>& events) {
  if (member(part, "functionCall").is_object()) {
    add_call(part, candidate, events);
  } else if (member(part, "inlineData").is_object()) {
    add_picture(member(part, "inlineData"), candidate);
  } else if (member(part, "text").is_string()) {
    add_text(part, candidate, logprobs, events);
  }
}

/// The logarithms are those of the text, and go with its first piece.
void GeminiReader::add_text(const Json& part, int candidate, std::vector<TokenLogprob>& logprobs,
                            std::vector<StreamEvent>& events) {
  std::string text = text_of(part, "text");
  std::string signature = marked_signature("gemini", text_of(part, "thoughtSignature"));
  const bool is_thought = get<bool>(part, "thought").value_or(false);
  if (is_thought && signature.empty()) {
    builder_.add_reasoning(candidate, std::move(text), events);
  } else if (is_thought) {
    builder_.add_reasoning_part(candidate, {std::move(text), std::move(signature), {}}, events);
  } else if (signature.empty()) {
    builder_.add_text(candidate, std::move(text), std::exchange(logprobs, {}), events);
  } else {
    builder_.add_signed_text(candidate, {std::move(text), std::move(signature)}, events);
  }
}

void GeminiReader::add_call(const Json& part, int candidate, std::vector<StreamEvent>& events) {
  const Json& function = member(part, "functionCall");
  const Json& arguments = member(function, "args");
  ToolCall call;
  call.id = text_of(function, "id");
  call.name = text_of(function, "name");
  call.arguments = arguments.is_object() ? to_text(arguments) : "{}";
  call.signature = marked_signature("gemini", text_of(part, "thoughtSignature"));
  builder_.begin_call(candidate, std::move(call), events);
}

void GeminiReader::add_picture(const Json& data, int candidate) {
  const auto bytes = base64_decode(text_of(data, "data"));
  if (!bytes || bytes->empty()) return;
  ImagePart picture;
  picture.media_type = text_of(data, "mimeType");
  picture.bytes.assign(bytes->begin(), bytes->end());
  builder_.at(candidate).parts.emplace_back(std::move(picture));
}

void GeminiReader::add_sources(const Json& candidate, std::vector<StreamEvent>& events) {
  std::vector<Citation> citations;
  for (const Json& chunk : elements(member(candidate, "groundingMetadata"), "groundingChunks")) {
    const Json& web = member(chunk, "web");
    if (web.is_object()) citations.push_back({text_of(web, "uri"), text_of(web, "title"), {}, {}});
  }
  const Json& metadata = member(candidate, "citationMetadata");
  for (const std::string_view key : {"citationSources", "citations"}) {
    for (const Json& source : elements(metadata, key)) {
      citations.push_back({text_of(source, "uri"), text_of(source, "title"), {}, {}});
    }
  }
  if (!citations.empty()) builder_.set_citations(std::move(citations), events);
}

/// A prompt that is blocked has no candidates.
void GeminiReader::add_block(const Json& feedback, std::vector<StreamEvent>& events) {
  const std::string reason = text_of(feedback, "blockReason");
  if (reason.empty() || !builder_.response().candidates.empty()) return;
  const int candidate = builder_.candidate(0);
  builder_.add_refusal(candidate, text_of(feedback, "blockReasonMessage"), {}, events);
  builder_.finish(candidate, FinishReason::content_filter, reason, events);
}

}  // namespace taut::ai
