#include "src/ai/anthropic_request.h"

#include <algorithm>
#include <utility>

#include "src/ai/anthropic_messages.h"
#include "src/ai/anthropic_schema.h"
#include "src/ai/known_models.h"
#include "src/ai/refusal.h"
#include "src/ai/request_features.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

// The protocol wants a limit where others have none. Every model of it may write as much.
constexpr int64_t kDefaultMaxTokens = 4096;

// An answer that is not streamed has to come within ten minutes; the vendor's own libraries reckon
// with 128,000 tokens an hour and refuse what is longer, as its servers may.
constexpr int64_t kMostTokensAtOnce = 600 * 128'000 / 3600;

int64_t max_tokens_of(const ProviderConfig& config, CheckedRequest& request,
                      const Capabilities& capabilities, bool is_stream) {
  if (!request->max_output_tokens) {
    const int64_t most =
        std::min(kDefaultMaxTokens, capabilities.max_output_tokens.value_or(kDefaultMaxTokens));
    request.warn(concat("max_output_tokens: it is not set, and the protocol wants a limit; ", most,
                        " was sent"));
    return most;
  }
  const int64_t most = *request->max_output_tokens;
  if (!is_stream && most > kMostTokensAtOnce) {
    refuse_request(config, request->model, "max_output_tokens",
                   concat("max_output_tokens: it is too many for an answer in one piece; got ",
                          most, "; expected at most ", kMostTokensAtOnce, ", or a stream"));
  }
  return most;
}

void put_sampling(const ChatRequest& request, RequestJson& body) {
  if (request.temperature) body["temperature"] = *request.temperature;
  if (request.top_p) body["top_p"] = *request.top_p;
  if (request.top_k) body["top_k"] = *request.top_k;
  if (!request.stop.empty()) body["stop_sequences"] = request.stop;
}

void put_output_config(const ProviderConfig& config, CheckedRequest& request, RequestJson& body) {
  RequestJson output = RequestJson::object();
  if (request->reasoning_effort) {
    if (*request->reasoning_effort == "none") {
      body["thinking"] = {{"type", "disabled"}};
    } else {
      output["effort"] = *request->reasoning_effort;
    }
  }
  if (request->format && request->format->kind == ResponseFormat::Kind::json_schema) {
    RequestJson schema = answer_schema(config, request->model, *request->format);
    if (request->format->strict) {
      for (std::string& change : fit_anthropic_schema(schema)) request.warn(std::move(change));
    }
    output["format"] = {{"type", "json_schema"}, {"schema", std::move(schema)}};
  }
  if (!output.empty()) body["output_config"] = std::move(output);
}

RequestJson tool_choice(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::none: return {{"type", "none"}};
    case ToolChoice::Kind::required: return {{"type", "any"}};
    case ToolChoice::Kind::named: return {{"type", "tool"}, {"name", choice.name}};
    default: return {{"type", "auto"}};
  }
}

void put_tools(const ProviderConfig& config, const ChatRequest& request, RequestJson& body) {
  if (request.tools.empty()) return;
  RequestJson tools = RequestJson::array();
  for (const Tool& tool : request.tools) {
    RequestJson written = {{"name", tool.name}};
    if (!tool.description.empty()) written["description"] = tool.description;
    written["input_schema"] = tool_parameters(config, request.model, tool);
    if (tool.strict) written["strict"] = true;
    tools.push_back(std::move(written));
  }
  body["tools"] = std::move(tools);
  if (!request.tool_choice && !request.parallel_tool_calls) return;
  RequestJson choice = tool_choice(request.tool_choice.value_or(ToolChoice{}));
  if (request.parallel_tool_calls && choice["type"] != "none") {
    choice["disable_parallel_tool_use"] = !*request.parallel_tool_calls;
  }
  body["tool_choice"] = std::move(choice);
}

}  // namespace

RequestJson anthropic_body(const ProviderConfig& config, const ChatRequest& original,
                           const Capabilities& capabilities, bool is_stream,
                           std::vector<std::string>& warnings) {
  const bool has_sampling = anthropic_version(config) < kAnthropicWithoutSampling;
  CheckedRequest request =
      has_sampling ? CheckedRequest(config, original, capabilities, is_stream,
                                    {Feature::penalties, Feature::seed, Feature::candidates,
                                     Feature::json_object, Feature::logprobs})
                   : CheckedRequest(config, original, capabilities, is_stream,
                                    {Feature::temperature, Feature::top_p, Feature::top_k,
                                     Feature::penalties, Feature::seed, Feature::candidates,
                                     Feature::json_object, Feature::logprobs});
  RequestJson body = {{"model", request->model},
                      {"max_tokens", max_tokens_of(config, request, capabilities, is_stream)}};
  AnthropicConversation conversation = anthropic_conversation(config, request);
  if (!conversation.system.is_null()) body["system"] = std::move(conversation.system);
  body["messages"] = std::move(conversation.messages);
  put_sampling(*request, body);
  put_output_config(config, request, body);
  put_tools(config, *request, body);
  if (request->user) body["metadata"] = {{"user_id", *request->user}};
  if (is_stream) body["stream"] = true;
  add_extra(config, request->model, request->extra, body);
  warnings = request.take_warnings();
  return body;
}

}  // namespace taut::ai
