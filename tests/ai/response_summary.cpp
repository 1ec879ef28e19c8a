#include "tests/ai/response_summary.h"

#include <cmath>

namespace taut::ai::testing {
namespace {

using Summary = nlohmann::ordered_json;

template <class T>
Summary or_null(const std::optional<T>& value) {
  return value ? Summary(*value) : Summary();
}

Summary number(double value) { return std::isnan(value) ? Summary() : Summary(value); }

template <class Entry>
Summary token_of(const Entry& entry) {
  return {{"token", entry.token},
          {"logprob", number(entry.logprob)},
          {"bytes", or_null(entry.bytes)},
          {"token_id", or_null(entry.token_id)}};
}

Summary logprobs_of(const std::vector<TokenLogprob>& logprobs) {
  Summary list = Summary::array();
  for (const TokenLogprob& entry : logprobs) {
    Summary token = token_of(entry);
    token["top"] = Summary::array();
    for (const TokenLogprob::Other& other : entry.top) token["top"].push_back(token_of(other));
    list.push_back(std::move(token));
  }
  return list;
}

Summary call_of(const ToolCall& call) {
  return {{"id", call.id},
          {"name", call.name},
          {"arguments", call.arguments},
          {"signature", call.signature}};
}

Summary part_of(const TextPart& part) {
  return {{"text", part.text}, {"signature", part.signature}};
}
Summary part_of(const ImagePart& part) { return {{"image", part.media_type}}; }
Summary part_of(const ToolCall& call) { return {{"call", call_of(call)}}; }
Summary part_of(const ToolResult& result) { return {{"result", result.content}}; }
Summary part_of(const ReasoningPart& part) {
  return {{"reasoning", part.text}, {"signature", part.signature}, {"redacted", part.redacted}};
}

Summary candidate_of(const Candidate& candidate) {
  Summary parts = Summary::array();
  for (const Part& part : candidate.parts) {
    parts.push_back(std::visit([](const auto& p) { return part_of(p); }, part));
  }
  return {{"parts", std::move(parts)},
          {"refusal", candidate.refusal},
          {"finish_reason", name(candidate.finish_reason)},
          {"raw_finish_reason", candidate.raw_finish_reason},
          {"logprobs", logprobs_of(candidate.logprobs)}};
}

Summary usage_of(const Usage& usage) {
  return {{"input_total", or_null(usage.input_total)},
          {"input_cached", or_null(usage.input_cached)},
          {"input_cache_write", or_null(usage.input_cache_write)},
          {"output_total", or_null(usage.output_total)},
          {"output_reasoning", or_null(usage.output_reasoning)},
          {"total", or_null(usage.total)},
          {"cost", or_null(usage.cost)},
          {"partial", usage.partial}};
}

Summary citation_of(const Citation& citation) {
  return {{"url", citation.url},
          {"title", citation.title},
          {"date", citation.date},
          {"text", citation.text}};
}

}  // namespace

Summary summary_of(const ChatResponse& response) {
  Summary candidates = Summary::array();
  for (const Candidate& candidate : response.candidates) {
    candidates.push_back(candidate_of(candidate));
  }
  Summary citations = Summary::array();
  for (const Citation& citation : response.citations) citations.push_back(citation_of(citation));
  return {{"id", response.id},
          {"model", response.model},
          {"request_id", response.request_id},
          {"candidates", std::move(candidates)},
          {"usage", usage_of(response.usage)},
          {"citations", std::move(citations)}};
}

Summary summary_of(const StreamEvent& event) {
  return {{"kind", static_cast<int>(event.kind)},
          {"candidate", event.candidate},
          {"text", event.text},
          {"call_index", event.call_index},
          {"call", call_of(*event.call)},
          {"logprobs", logprobs_of(event.logprobs)},
          {"citation", citation_of(*event.citation)},
          {"usage", usage_of(*event.usage)},
          {"finish_reason", name(event.finish_reason)}};
}

Summary summary_of(const ErrorDetails& details) {
  return {{"kind", name(details.kind)},         {"http_status", details.http_status},
          {"vendor_type", details.vendor_type}, {"vendor_code", details.vendor_code},
          {"message", details.message},         {"param", details.param},
          {"request_id", details.request_id},   {"retry_after", or_null(details.retry_after)}};
}

}  // namespace taut::ai::testing
