#include <limits>
#include <utility>

#include "src/ai/json_parts.h"
#include "taut/ai/json_text.h"

namespace taut::ai {
namespace form {
namespace {

constexpr std::string_view kEvents[] = {"text",     "reasoning", "refusal", "tool_call",
                                        "citation", "usage",     "finish",  "restart"};
constexpr std::string_view kBatchStates[] = {"waiting", "running",   "done",
                                             "failed",  "cancelled", "expired"};
constexpr std::string_view kAnswers[] = {"no", "yes", "unknown"};

template <class E, size_t N>
std::string word(const std::string_view (&names)[N], E value) {
  return std::string(names[static_cast<size_t>(value)]);
}

}  // namespace

Json form_of(const Usage& usage) {
  return Writer()
      .set("input_total", usage.input_total)
      .set("input_cached", usage.input_cached)
      .set("input_cache_write", usage.input_cache_write)
      .set("output_total", usage.output_total)
      .set("output_reasoning", usage.output_reasoning)
      .set("total", usage.total)
      .set("cost", usage.cost)
      .set("partial", usage.partial)
      .take();
}

namespace {

Usage usage_of(const Json& value) {
  Usage usage;
  Reader(value, "usage")
      .get("input_total", usage.input_total)
      .get("input_cached", usage.input_cached)
      .get("input_cache_write", usage.input_cache_write)
      .get("output_total", usage.output_total)
      .get("output_reasoning", usage.output_reasoning)
      .get("total", usage.total)
      .get("cost", usage.cost)
      .get("partial", usage.partial)
      .finish();
  return usage;
}

template <class Token>
Writer token_form(const Token& token) {
  Writer writer;
  writer.put("token", token.token);
  if (std::isfinite(token.logprob)) writer.put("logprob", token.logprob);
  if (token.bytes) writer.put("bytes", *token.bytes);
  writer.set("token_id", token.token_id);
  return writer;
}

}  // namespace

Json form_of(const TokenLogprob& token) {
  return token_form(token)
      .list("top", token.top,
            [](const TokenLogprob::Other& other) { return token_form(other).take(); })
      .take();
}

namespace {

uint8_t byte_of(const Json& value) {
  TAUT_CHECK(value.is_number_unsigned() && value.get<uint64_t>() <= 255, ValueError,
             "logprob: bytes: expected numbers from 0 to 255; got ", dump(value));
  return value.get<uint8_t>();
}

template <class Token>
void read_token(Reader& reader, Token& token) {
  reader.get("token", token.token).get("logprob", token.logprob).get("token_id", token.token_id);
  reader.one("bytes", token.bytes, [](const Json& value) {
    std::vector<uint8_t> bytes;
    TAUT_CHECK(value.is_array(), ValueError, "logprob: bytes: expected a list");
    for (const Json& item : value) bytes.push_back(byte_of(item));
    return bytes;
  });
}

TokenLogprob::Other other_of(const Json& value) {
  TokenLogprob::Other token;
  Reader reader(value, "logprob");
  read_token(reader, token);
  reader.finish();
  return token;
}

TokenLogprob token_of(const Json& value) {
  TokenLogprob token;
  Reader reader(value, "logprob");
  read_token(reader, token);
  reader.list("top", token.top, other_of).finish();
  return token;
}

}  // namespace

Json form_of(const Citation& citation) {
  return Writer()
      .set("url", citation.url)
      .set("title", citation.title)
      .set("date", citation.date)
      .set("text", citation.text)
      .take();
}

namespace {

Citation citation_of(const Json& value) {
  Citation citation;
  Reader(value, "citation")
      .get("url", citation.url)
      .get("title", citation.title)
      .get("date", citation.date)
      .get("text", citation.text)
      .finish();
  return citation;
}

Json candidate_form(const Candidate& candidate) {
  return Writer()
      .list("parts", candidate.parts, [](const Part& part) { return form_of(part); })
      .set("refusal", candidate.refusal)
      .put("finish_reason", std::string(name(candidate.finish_reason)))
      .set("raw_finish_reason", candidate.raw_finish_reason)
      .list("logprobs", candidate.logprobs,
            [](const TokenLogprob& token) { return form_of(token); })
      .take();
}

Candidate candidate_of(const Json& value) {
  Candidate candidate;
  Reader reader(value, "candidate");
  reader.list("parts", candidate.parts, part_of).get("refusal", candidate.refusal);
  named(reader, "finish_reason", candidate.finish_reason, FinishReason::unknown);
  reader.get("raw_finish_reason", candidate.raw_finish_reason)
      .list("logprobs", candidate.logprobs, token_of)
      .finish();
  return candidate;
}

Json header_form(const Header& header) { return Json::array({header.first, header.second}); }

Header header_of(const Json& value) {
  TAUT_CHECK(value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string(),
             ValueError, "headers: expected pairs of a name and a value");
  return {value[0].get<std::string>(), value[1].get<std::string>()};
}

}  // namespace

Json form_of(const ChatResponse& response) {
  return Writer()
      .set("id", response.id)
      .put("model", response.model)
      .put("provider", response.provider)
      .list("candidates", response.candidates,
            [](const Candidate& candidate) { return candidate_form(candidate); })
      .put("usage", form_of(response.usage))
      .list("citations", response.citations,
            [](const Citation& citation) { return form_of(citation); })
      .set("cost", response.cost)
      .set("request_id", response.request_id)
      .set("warnings", response.warnings)
      .set("attempts", response.attempts, 1)
      .set("seconds", response.seconds)
      .set("seconds_to_first", response.seconds_to_first)
      .set("from_cache", response.from_cache)
      .list("headers", response.headers, header_form)
      .set("raw", response.raw)
      .take();
}

namespace {

ChatResponse chat_response_of(const Json& value) {
  ChatResponse response;
  Reader(value, "response")
      .get("id", response.id)
      .get("model", response.model)
      .get("provider", response.provider)
      .list("candidates", response.candidates, candidate_of)
      .one("usage", response.usage, usage_of)
      .list("citations", response.citations, citation_of)
      .get("cost", response.cost)
      .get("request_id", response.request_id)
      .get("warnings", response.warnings)
      .get("attempts", response.attempts)
      .get("seconds", response.seconds)
      .get("seconds_to_first", response.seconds_to_first)
      .get("from_cache", response.from_cache)
      .list("headers", response.headers, header_of)
      .get("raw", response.raw)
      .finish();
  return response;
}

}  // namespace

Json form_of(const ErrorDetails& details) {
  return Writer()
      .put("kind", std::string(name(details.kind)))
      .set("provider", details.provider)
      .set("model", details.model)
      .set("http_status", details.http_status)
      .set("vendor_type", details.vendor_type)
      .set("vendor_code", details.vendor_code)
      .put("message", details.message)
      .set("param", details.param)
      .set("request_id", details.request_id)
      .set("retry_after", details.retry_after)
      .set("attempts", details.attempts, 1)
      .set("bytes_received", details.bytes_received)
      .set("partial_output", details.partial_output)
      .take();
}

}  // namespace form

std::string to_json(const Usage& usage) { return form::dump(form::form_of(usage)); }

std::string to_json(const ChatResponse& response) { return form::dump(form::form_of(response)); }

std::string to_json(const EmbeddingResponse& response) {
  return form::dump(form::Writer()
                        .put("model", response.model)
                        .put("provider", response.provider)
                        .put("embeddings", response.embeddings)
                        .put("usage", form::form_of(response.usage))
                        .set("cost", response.cost)
                        .set("request_id", response.request_id)
                        .set("attempts", response.attempts, 1)
                        .set("seconds", response.seconds)
                        .list("headers", response.headers, form::header_form)
                        .take());
}

std::string to_json(const StreamEvent& event) {
  form::Writer writer;
  writer.put("kind", form::word(form::kEvents, event.kind))
      .set("candidate", event.candidate)
      .set("text", event.text);
  switch (event.kind) {
    case StreamEvent::Kind::tool_call:
      writer.put("call_index", event.call_index).put("call", form::form_of(*event.call));
      break;
    case StreamEvent::Kind::citation: writer.put("citation", form::form_of(*event.citation)); break;
    case StreamEvent::Kind::usage: writer.put("usage", form::form_of(*event.usage)); break;
    case StreamEvent::Kind::finish:
      writer.put("finish_reason", std::string(name(event.finish_reason)));
      break;
    default: break;
  }
  writer.list("logprobs", event.logprobs,
              [](const TokenLogprob& token) { return form::form_of(token); });
  return form::dump(writer.take());
}

std::string to_json(const ErrorDetails& details) { return form::dump(form::form_of(details)); }

std::string to_json(const ModelInfo& model) {
  return form::dump(form::Writer()
                        .put("id", model.id)
                        .set("owner", model.owner)
                        .set("created", model.created)
                        .set("context_length", model.context_length)
                        .set("max_output_tokens", model.max_output_tokens)
                        .set("raw", model.raw)
                        .take());
}

std::string to_json(const BatchStatus& status) {
  return form::dump(form::Writer()
                        .put("id", status.id)
                        .put("state", form::word(form::kBatchStates, status.state))
                        .set("raw_state", status.raw_state)
                        .set("total", status.total)
                        .set("completed", status.completed)
                        .set("failed", status.failed)
                        .set("output", status.output)
                        .take());
}

std::string to_json(const BatchResult& result) {
  form::Writer writer;
  writer.put("id", result.id);
  if (result.response) writer.put("response", form::form_of(*result.response));
  if (result.error) writer.put("error", form::form_of(*result.error));
  return form::dump(writer.take());
}

std::string to_json(const Capabilities& capabilities) {
  form::Writer writer;
  for (int i = 0; i < kFeatures; ++i) {
    const Feature feature = static_cast<Feature>(i);
    writer.put(std::string(name(feature)).c_str(),
               form::word(form::kAnswers, capabilities[feature]));
  }
  return form::dump(writer.set("context_length", capabilities.context_length)
                        .set("max_output_tokens", capabilities.max_output_tokens)
                        .put("max_top_logprobs", capabilities.max_top_logprobs)
                        .put("max_stops", capabilities.max_stops)
                        .take());
}

Usage usage_from_json(std::string_view text) { return form::usage_of(form::parse(text, "usage")); }

ChatResponse chat_response_from_json(std::string_view text) {
  return form::chat_response_of(form::parse(text, "response"));
}

EmbeddingResponse embedding_response_from_json(std::string_view text) {
  EmbeddingResponse response;
  const form::Json value = form::parse(text, "response");
  form::Reader(value, "response")
      .get("model", response.model)
      .get("provider", response.provider)
      .list("embeddings", response.embeddings,
            [](const form::Json& row) {
              std::vector<float> numbers;
              TAUT_CHECK(row.is_array(), ValueError, "response: embeddings: expected lists");
              for (const form::Json& item : row) {
                TAUT_CHECK(item.is_number() || item.is_null(), ValueError,
                           "response: embeddings: expected numbers; got ", form::dump(item));
                numbers.push_back(item.is_null() ? std::numeric_limits<float>::quiet_NaN()
                                                 : item.get<float>());
              }
              return numbers;
            })
      .one("usage", response.usage, form::usage_of)
      .get("cost", response.cost)
      .get("request_id", response.request_id)
      .get("attempts", response.attempts)
      .get("seconds", response.seconds)
      .list("headers", response.headers, form::header_of)
      .finish();
  return response;
}

StreamEvent stream_event_from_json(std::string_view text) {
  StreamEvent event;
  const form::Json value = form::parse(text, "event");
  form::Reader reader(value, "event");
  reader.choice("kind", event.kind, form::kEvents)
      .get("candidate", event.candidate)
      .get("text", event.text)
      .get("call_index", event.call_index)
      .one("call", event.call, form::tool_call_of)
      .one("citation", event.citation, form::citation_of)
      .one("usage", event.usage, form::usage_of);
  form::named(reader, "finish_reason", event.finish_reason, FinishReason::unknown);
  reader.list("logprobs", event.logprobs, form::token_of).finish();
  return event;
}

ErrorDetails error_details_from_json(std::string_view text) {
  ErrorDetails details;
  const form::Json value = form::parse(text, "error");
  form::Reader reader(value, "error");
  form::named(reader, "kind", details.kind, ErrorKind::no_healthy_provider);
  reader.get("provider", details.provider)
      .get("model", details.model)
      .get("http_status", details.http_status)
      .get("vendor_type", details.vendor_type)
      .get("vendor_code", details.vendor_code)
      .get("message", details.message)
      .get("param", details.param)
      .get("request_id", details.request_id)
      .get("retry_after", details.retry_after)
      .get("attempts", details.attempts)
      .get("bytes_received", details.bytes_received)
      .get("partial_output", details.partial_output)
      .finish();
  return details;
}

BatchStatus batch_status_from_json(std::string_view text) {
  BatchStatus status;
  const form::Json value = form::parse(text, "batch");
  form::Reader(value, "batch")
      .get("id", status.id)
      .choice("state", status.state, form::kBatchStates)
      .get("raw_state", status.raw_state)
      .get("total", status.total)
      .get("completed", status.completed)
      .get("failed", status.failed)
      .get("output", status.output)
      .finish();
  return status;
}

Capabilities capabilities_from_json(std::string_view text) {
  Capabilities capabilities;
  const form::Json value = form::parse(text, "capabilities");
  // The names of features live as long as the reader that remembers them.
  std::vector<std::string> names;
  for (int i = 0; i < kFeatures; ++i) names.emplace_back(name(static_cast<Feature>(i)));
  form::Reader reader(value, "capabilities");
  for (int i = 0; i < kFeatures; ++i) {
    reader.choice(names[static_cast<size_t>(i)].c_str(), capabilities.answers[i], form::kAnswers);
  }
  reader.get("context_length", capabilities.context_length)
      .get("max_output_tokens", capabilities.max_output_tokens)
      .get("max_top_logprobs", capabilities.max_top_logprobs)
      .get("max_stops", capabilities.max_stops)
      .finish();
  return capabilities;
}

}  // namespace taut::ai
