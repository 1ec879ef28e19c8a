#include "src/ai/openai_chat_request.h"

#include <utility>

#include "src/ai/openai_dialect.h"
#include "src/ai/openai_messages.h"
#include "src/ai/request_features.h"
#include "src/ai/request_parts.h"

namespace taut::ai {
namespace {

std::string_view max_tokens_field(Vendor vendor) {
  return vendor == Vendor::openai || vendor == Vendor::xai ? "max_completion_tokens" : "max_tokens";
}

template <class T>
void put(RequestJson& body, const char* field, const std::optional<T>& value) {
  if (value) body[field] = *value;
}

void put_sampling(const ProviderConfig& config, const ChatRequest& request, RequestJson& body) {
  put(body, std::string(max_tokens_field(config.vendor)).c_str(), request.max_output_tokens);
  put(body, "temperature", request.temperature);
  put(body, "top_p", request.top_p);
  put(body, "top_k", request.top_k);
  put(body, "presence_penalty", request.presence_penalty);
  put(body, "frequency_penalty", request.frequency_penalty);
  put(body, "seed", request.seed);
  if (!request.stop.empty()) body["stop"] = request.stop;
  if (request.candidates.value_or(1) != 1) body["n"] = *request.candidates;
  put(body, "reasoning_effort", request.reasoning_effort);
  if (!request.logprobs && request.top_logprobs == 0) return;
  body["logprobs"] = true;
  if (request.top_logprobs != 0) body["top_logprobs"] = request.top_logprobs;
}

RequestJson response_format(const ProviderConfig& config, const std::string& model,
                            const ResponseFormat& format) {
  switch (format.kind) {
    case ResponseFormat::Kind::json_object: return {{"type", "json_object"}};
    case ResponseFormat::Kind::json_schema:
      return {{"type", "json_schema"},
              {"json_schema",
               {{"name", format.name},
                {"schema", answer_schema(config, model, format)},
                {"strict", format.strict}}}};
    default: return {{"type", "text"}};
  }
}

RequestJson tool_choice(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::none: return "none";
    case ToolChoice::Kind::required: return "required";
    case ToolChoice::Kind::named:
      return {{"type", "function"}, {"function", {{"name", choice.name}}}};
    default: return "auto";
  }
}

/// Ollama leaves the choice to the model, and Perplexity has no names in it.
void put_tool_choice(const ProviderConfig& config, CheckedRequest& request, RequestJson& body) {
  if (!request->tool_choice) return;
  const ToolChoice& choice = *request->tool_choice;
  const bool is_named = choice.kind == ToolChoice::Kind::named;
  if (config.vendor == Vendor::ollama && choice.kind == ToolChoice::Kind::automatic) return;
  if (config.vendor == Vendor::ollama || (config.vendor == Vendor::perplexity && is_named)) {
    request.lacks("tool_choice", "the provider does not know this choice of tools");
    return;
  }
  body["tool_choice"] = tool_choice(choice);
}

void put_tools(const ProviderConfig& config, CheckedRequest& request, RequestJson& body) {
  if (request->tools.empty()) return;
  RequestJson tools = RequestJson::array();
  for (const Tool& tool : request->tools) {
    RequestJson function = {{"name", tool.name}};
    // Perplexity wants one, be it empty.
    const bool is_wanted = config.vendor == Vendor::perplexity;
    if (is_wanted || !tool.description.empty()) function["description"] = tool.description;
    function["parameters"] = tool_parameters(config, request->model, tool);
    if (tool.strict) function["strict"] = true;
    tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  body["tools"] = std::move(tools);
  put_tool_choice(config, request, body);
  put(body, "parallel_tool_calls", request->parallel_tool_calls);
}

void put_stream(const ProviderConfig& config, RequestJson& body) {
  body["stream"] = true;
  // Perplexity tells the usage unasked.
  if (config.vendor == Vendor::perplexity) return;
  body["stream_options"] = {{"include_usage", true}};
  if (config.vendor == Vendor::openai) body["stream_options"]["include_obfuscation"] = false;
}

}  // namespace

RequestJson openai_chat_body(const ProviderConfig& config, const ChatRequest& original,
                             const Capabilities& capabilities, bool is_stream,
                             std::vector<std::string>& warnings) {
  CheckedRequest request(config, original, capabilities_for_request(config, original, capabilities),
                         is_stream);
  RequestJson body = {{"model", request->model}, {"messages", openai_messages(config, *request)}};
  put_sampling(config, *request, body);
  if (request->format && request->format->kind != ResponseFormat::Kind::text) {
    body["response_format"] = response_format(config, request->model, *request->format);
  }
  put_tools(config, request, body);
  put_openai_user(config, request, body);
  if (is_stream) put_stream(config, body);
  add_extra(config, request->model, request->extra, body);
  warnings = request.take_warnings();
  return body;
}

}  // namespace taut::ai
