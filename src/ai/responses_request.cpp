#include "src/ai/responses_request.h"

#include <utility>

#include "src/ai/known_models.h"
#include "src/ai/openai_dialect.h"
#include "src/ai/request_features.h"
#include "src/ai/request_parts.h"
#include "src/ai/responses_input.h"

namespace taut::ai {
namespace {

/// Whether the model's thoughts come sealed, to be sent back.
bool seals_reasoning(const ProviderConfig& config, const std::string& model) {
  return (config.vendor == Vendor::openai && is_openai_reasoning(model)) ||
         (config.vendor == Vendor::xai && is_grok_reasoning(model));
}

void put_text_format(const ProviderConfig& config, const ChatRequest& request, RequestJson& body) {
  if (!request.format || request.format->kind == ResponseFormat::Kind::text) return;
  RequestJson format = {{"type", "json_object"}};
  if (request.format->kind == ResponseFormat::Kind::json_schema) {
    format = {{"type", "json_schema"},
              {"name", request.format->name},
              {"schema", answer_schema(config, request.model, *request.format)},
              {"strict", request.format->strict}};
  }
  body["text"] = {{"format", std::move(format)}};
}

RequestJson tool_choice(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::none: return "none";
    case ToolChoice::Kind::required: return "required";
    case ToolChoice::Kind::named: return {{"type", "function"}, {"name", choice.name}};
    default: return "auto";
  }
}

void put_tools(const ProviderConfig& config, const ChatRequest& request, RequestJson& body) {
  if (request.tools.empty()) return;
  RequestJson tools = RequestJson::array();
  for (const Tool& tool : request.tools) {
    RequestJson written = {{"type", "function"}, {"name", tool.name}};
    if (!tool.description.empty()) written["description"] = tool.description;
    written["parameters"] = tool_parameters(config, request.model, tool);
    written["strict"] = tool.strict;
    tools.push_back(std::move(written));
  }
  body["tools"] = std::move(tools);
  if (request.tool_choice) body["tool_choice"] = tool_choice(*request.tool_choice);
  if (request.parallel_tool_calls) body["parallel_tool_calls"] = *request.parallel_tool_calls;
}

void put_includes(const ProviderConfig& config, const ChatRequest& request, RequestJson& body) {
  RequestJson include = RequestJson::array();
  if (request.logprobs || request.top_logprobs != 0) {
    include.push_back("message.output_text.logprobs");
    if (request.top_logprobs != 0) body["top_logprobs"] = request.top_logprobs;
  }
  if (seals_reasoning(config, request.model)) include.push_back("reasoning.encrypted_content");
  if (!include.empty()) body["include"] = std::move(include);
}

}  // namespace

RequestJson responses_body(const ProviderConfig& config, const ChatRequest& original,
                           const Capabilities& capabilities, bool is_stream,
                           std::vector<std::string>& warnings) {
  CheckedRequest request(
      config, original, capabilities_for_request(config, original, capabilities), is_stream,
      {Feature::top_k, Feature::penalties, Feature::seed, Feature::stop, Feature::candidates});
  ResponsesConversation conversation = responses_conversation(config, *request);
  RequestJson body = {{"model", request->model}, {"input", std::move(conversation.input)}};
  if (!conversation.instructions.empty()) body["instructions"] = conversation.instructions;
  if (request->max_output_tokens) body["max_output_tokens"] = *request->max_output_tokens;
  if (request->temperature) body["temperature"] = *request->temperature;
  if (request->top_p) body["top_p"] = *request->top_p;
  if (request->reasoning_effort) body["reasoning"] = {{"effort", *request->reasoning_effort}};
  put_text_format(config, *request, body);
  put_tools(config, *request, body);
  put_includes(config, *request, body);
  put_openai_user(config, request, body);
  // The conversation is the caller's alone, unless the caller says otherwise.
  if (config.vendor != Vendor::perplexity) body["store"] = false;
  if (is_stream) body["stream"] = true;
  add_extra(config, request->model, request->extra, body);
  warnings = request.take_warnings();
  return body;
}

}  // namespace taut::ai
