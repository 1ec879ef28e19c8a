#include "src/ai/gemini_request.h"

#include <utility>

#include "src/ai/gemini_contents.h"
#include "src/ai/path_segment.h"
#include "src/ai/request_features.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr std::string_view kDefaultVersion = "v1";

std::string upper_case(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

template <class T>
void put(RequestJson& json, const char* field, const std::optional<T>& value) {
  if (value) json[field] = *value;
}

/// Models before Gemini 3 take a number of tokens to think with instead of a level.
void put_reasoning(CheckedRequest& request, RequestJson& config) {
  if (!request->reasoning_effort) return;
  const std::string& effort = *request->reasoning_effort;
  const bool has_budget = request->model.find("gemini-2") != std::string::npos;
  if (has_budget && effort == "none") {
    config["thinkingConfig"] = {{"thinkingBudget", 0}};
  } else if (has_budget) {
    request.lacks("reasoning_effort",
                  "it takes generationConfig.thinkingConfig.thinkingBudget, to be set in extra");
  } else if (effort == "none") {
    request.lacks("reasoning_effort", "it always thinks, minimal at least");
  } else {
    config["thinkingConfig"] = {{"thinkingLevel", upper_case(effort)}};
  }
}

void put_format(const ProviderConfig& config, const ChatRequest& request, RequestJson& generation) {
  if (!request.format || request.format->kind == ResponseFormat::Kind::text) return;
  generation["responseMimeType"] = "application/json";
  if (request.format->kind == ResponseFormat::Kind::json_schema) {
    generation["responseJsonSchema"] = answer_schema(config, request.model, *request.format);
  }
}

RequestJson generation_config(const ProviderConfig& config, CheckedRequest& request) {
  RequestJson generation = RequestJson::object();
  put(generation, "temperature", request->temperature);
  put(generation, "topP", request->top_p);
  put(generation, "topK", request->top_k);
  put(generation, "maxOutputTokens", request->max_output_tokens);
  put(generation, "presencePenalty", request->presence_penalty);
  put(generation, "frequencyPenalty", request->frequency_penalty);
  put(generation, "seed", request->seed);
  if (!request->stop.empty()) generation["stopSequences"] = request->stop;
  if (request->candidates.value_or(1) != 1) generation["candidateCount"] = *request->candidates;
  if (request->logprobs || request->top_logprobs != 0) {
    generation["responseLogprobs"] = true;
    if (request->top_logprobs != 0) generation["logprobs"] = request->top_logprobs;
  }
  put_format(config, *request, generation);
  put_reasoning(request, generation);
  return generation;
}

RequestJson calling_config(const ToolChoice& choice) {
  switch (choice.kind) {
    case ToolChoice::Kind::none: return {{"mode", "NONE"}};
    case ToolChoice::Kind::required: return {{"mode", "ANY"}};
    case ToolChoice::Kind::named:
      return {{"mode", "ANY"}, {"allowedFunctionNames", RequestJson::array({choice.name})}};
    default: return {{"mode", "AUTO"}};
  }
}

void put_tools(const ProviderConfig& config, CheckedRequest& request, RequestJson& body) {
  if (request->tools.empty()) return;
  RequestJson functions = RequestJson::array();
  for (const Tool& tool : request->tools) {
    if (tool.strict) request.lacks("tools", "arguments need not follow the schema");
    RequestJson function = {{"name", tool.name}};
    if (!tool.description.empty()) function["description"] = tool.description;
    function["parametersJsonSchema"] = tool_parameters(config, request->model, tool);
    functions.push_back(std::move(function));
  }
  body["tools"] = RequestJson::array({{{"functionDeclarations", std::move(functions)}}});
  if (request->tool_choice) {
    body["toolConfig"] = {{"functionCallingConfig", calling_config(*request->tool_choice)}};
  }
}

}  // namespace

RequestJson gemini_body(const ProviderConfig& config, const ChatRequest& original,
                        const Capabilities& capabilities, bool is_stream,
                        std::vector<std::string>& warnings) {
  CheckedRequest request(config, original, capabilities, is_stream, {Feature::parallel_tool_calls});
  GeminiConversation conversation = gemini_conversation(config, request);
  RequestJson body = {{"contents", std::move(conversation.contents)}};
  if (!conversation.system.is_null()) body["systemInstruction"] = std::move(conversation.system);
  put_tools(config, request, body);
  RequestJson generation = generation_config(config, request);
  if (!generation.empty()) body["generationConfig"] = std::move(generation);
  if (request->user) request.lacks("user", "the provider has no field for who is asking");
  add_extra(config, request->model, request->extra, body);
  warnings = request.take_warnings();
  return body;
}

std::string gemini_root(const ProviderConfig& config) {
  const std::string_view version =
      config.api_version.empty() ? kDefaultVersion : std::string_view(config.api_version);
  return concat("/", path_segment(config, "api_version", version));
}

std::string gemini_model_name(std::string_view model) {
  return model.find('/') == std::string_view::npos ? concat("models/", model) : std::string(model);
}

std::string gemini_model_path(const ProviderConfig& config, std::string_view model,
                              std::string_view method) {
  // A name that is not sound is shown as the caller wrote it.
  if (model.empty()) path_segment(config, "model", model);
  return concat(gemini_root(config), "/",
                path_segment(config, "model", gemini_model_name(model), true), ":", method);
}

}  // namespace taut::ai
