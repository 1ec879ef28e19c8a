#include "src/ai/request_features.h"

#include <cmath>
#include <utility>

#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

// What a request may hold of each feature that can be left out, and how it is left out.
struct FeatureUse {
  Feature feature;
  std::string_view param;  // the field of ChatRequest
  bool (*is_used)(const ChatRequest&);
  void (*drop)(ChatRequest&);
};

bool is_system(const Message& message) { return message.role == Role::system; }
bool is_image(const Part& part) { return std::holds_alternative<ImagePart>(part); }

bool has_format(const ChatRequest& request, ResponseFormat::Kind kind) {
  return request.format && request.format->kind == kind;
}

bool has_images(const ChatRequest& request) {
  for (const Message& message : request.messages) {
    for (const Part& part : message.parts) {
      if (is_image(part)) return true;
    }
  }
  return false;
}

bool has_system(const ChatRequest& request) {
  for (const Message& message : request.messages) {
    if (is_system(message)) return true;
  }
  return false;
}

const FeatureUse kUses[] = {
    {Feature::system_prompt, "messages", has_system,
     [](ChatRequest& request) { std::erase_if(request.messages, is_system); }},
    {Feature::temperature, "temperature",
     [](const ChatRequest& request) { return request.temperature.has_value(); },
     [](ChatRequest& request) { request.temperature.reset(); }},
    {Feature::top_p, "top_p", [](const ChatRequest& request) { return request.top_p.has_value(); },
     [](ChatRequest& request) { request.top_p.reset(); }},
    {Feature::top_k, "top_k", [](const ChatRequest& request) { return request.top_k.has_value(); },
     [](ChatRequest& request) { request.top_k.reset(); }},
    {Feature::penalties, "presence_penalty and frequency_penalty",
     [](const ChatRequest& request) {
       return request.presence_penalty.has_value() || request.frequency_penalty.has_value();
     },
     [](ChatRequest& request) {
       request.presence_penalty.reset();
       request.frequency_penalty.reset();
     }},
    {Feature::seed, "seed", [](const ChatRequest& request) { return request.seed.has_value(); },
     [](ChatRequest& request) { request.seed.reset(); }},
    {Feature::stop, "stop", [](const ChatRequest& request) { return !request.stop.empty(); },
     [](ChatRequest& request) { request.stop.clear(); }},
    {Feature::candidates, "candidates",
     [](const ChatRequest& request) { return request.candidates.value_or(1) != 1; },
     [](ChatRequest& request) { request.candidates.reset(); }},
    {Feature::json_object, "format",
     [](const ChatRequest& request) {
       return has_format(request, ResponseFormat::Kind::json_object);
     },
     [](ChatRequest& request) { request.format.reset(); }},
    {Feature::json_schema, "format",
     [](const ChatRequest& request) {
       return has_format(request, ResponseFormat::Kind::json_schema);
     },
     [](ChatRequest& request) { request.format.reset(); }},
    {Feature::tools, "tools", [](const ChatRequest& request) { return !request.tools.empty(); },
     [](ChatRequest& request) {
       request.tools.clear();
       request.tool_choice.reset();
       request.parallel_tool_calls.reset();
     }},
    {Feature::parallel_tool_calls, "parallel_tool_calls",
     [](const ChatRequest& request) { return request.parallel_tool_calls.has_value(); },
     [](ChatRequest& request) { request.parallel_tool_calls.reset(); }},
    {Feature::logprobs, "logprobs",
     [](const ChatRequest& request) { return request.logprobs || request.top_logprobs != 0; },
     [](ChatRequest& request) {
       request.logprobs = false;
       request.top_logprobs = 0;
     }},
    {Feature::reasoning_effort, "reasoning_effort",
     [](const ChatRequest& request) { return request.reasoning_effort.has_value(); },
     [](ChatRequest& request) { request.reasoning_effort.reset(); }},
    {Feature::images, "messages", has_images,
     [](ChatRequest& request) {
       for (Message& message : request.messages) std::erase_if(message.parts, is_image);
     }},
};

struct Parameter {
  std::string_view name;
  Feature feature;
};

constexpr Parameter kParameters[] = {
    {"temperature", Feature::temperature},
    {"top_p", Feature::top_p},
    {"topP", Feature::top_p},
    {"top_k", Feature::top_k},
    {"topK", Feature::top_k},
    {"presence_penalty", Feature::penalties},
    {"frequency_penalty", Feature::penalties},
    {"presencePenalty", Feature::penalties},
    {"frequencyPenalty", Feature::penalties},
    {"seed", Feature::seed},
    {"stop", Feature::stop},
    {"stop_sequences", Feature::stop},
    {"stopSequences", Feature::stop},
    {"n", Feature::candidates},
    {"candidateCount", Feature::candidates},
    {"response_format", Feature::json_schema},
    {"text.format", Feature::json_schema},
    {"output_config.format", Feature::json_schema},
    {"tools", Feature::tools},
    {"parallel_tool_calls", Feature::parallel_tool_calls},
    {"logprobs", Feature::logprobs},
    {"top_logprobs", Feature::logprobs},
    {"reasoning_effort", Feature::reasoning_effort},
    {"reasoning.effort", Feature::reasoning_effort},
    {"output_config.effort", Feature::reasoning_effort},
};

void check_finite(const ProviderConfig& config, const ChatRequest& request) {
  const std::pair<std::string_view, const std::optional<double>*> numbers[] = {
      {"temperature", &request.temperature},
      {"top_p", &request.top_p},
      {"presence_penalty", &request.presence_penalty},
      {"frequency_penalty", &request.frequency_penalty},
  };
  for (const auto& [param, number] : numbers) {
    if (!*number || std::isfinite(**number)) continue;
    refuse_request(config, request.model, std::string(param),
                   concat(param, ": it is not finite; got ", **number, "; expected a number"));
  }
}

void check_at_least(const ProviderConfig& config, const ChatRequest& request,
                    std::string_view param, std::optional<int64_t> value, int64_t least) {
  if (!value || *value >= least) return;
  refuse_request(config, request.model, std::string(param),
                 concat(param, ": it is too small; got ", *value, "; expected at least ", least));
}

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name) {
    const bool is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                          (c >= '0' && c <= '9') || c == '_' || c == '-';
    if (!is_plain) return false;
  }
  return true;
}

void check_name(const ProviderConfig& config, const ChatRequest& request, std::string_view param,
                const std::string& name) {
  if (is_plain_name(name)) return;
  refuse_request(config, request.model, std::string(param),
                 concat(param, ": the name is not one; got '", name,
                        "'; expected 1 to 64 letters, digits, _ and -"));
}

void check_tools(const ProviderConfig& config, const ChatRequest& request) {
  for (const Tool& tool : request.tools) check_name(config, request, "tools", tool.name);
  if (!request.tool_choice) return;
  const ToolChoice& choice = *request.tool_choice;
  const bool needs_tools =
      choice.kind == ToolChoice::Kind::required || choice.kind == ToolChoice::Kind::named;
  if (needs_tools && request.tools.empty()) {
    refuse_request(config, request.model, "tool_choice",
                   "tool_choice: there are no tools to choose from");
  }
  if (choice.kind == ToolChoice::Kind::named) {
    for (const Tool& tool : request.tools) {
      if (tool.name == choice.name) return;
    }
    refuse_request(config, request.model, "tool_choice",
                   concat("tool_choice: no tool has that name; got '", choice.name, "'"));
  }
}

void check_sense(const ProviderConfig& config, const ChatRequest& request) {
  if (request.model.empty()) refuse_request(config, {}, "model", "model: it is empty");
  if (request.messages.empty()) {
    refuse_request(config, request.model, "messages", "messages: there are none");
  }
  check_finite(config, request);
  check_at_least(config, request, "max_output_tokens", request.max_output_tokens, 0);
  check_at_least(config, request, "top_k", request.top_k, 0);
  check_at_least(config, request, "candidates", request.candidates, 1);
  check_at_least(config, request, "top_logprobs", request.top_logprobs, -1);
  check_tools(config, request);
  if (request.format && request.format->kind == ResponseFormat::Kind::json_schema) {
    check_name(config, request, "format", request.format->name);
  }
}

}  // namespace

CheckedRequest::CheckedRequest(const ProviderConfig& config, const ChatRequest& request,
                               const Capabilities& capabilities, bool is_stream,
                               std::initializer_list<Feature> lacks)
    : config_(config), original_(request) {
  check_sense(config, request);
  if (is_stream && capabilities[Feature::streaming] == Answer::no) {
    refuse_request(config, request.model, "stream", "stream: the model does not stream",
                   ErrorKind::unsupported_parameter);
  }
  for (const FeatureUse& use : kUses) {
    if (capabilities[use.feature] == Answer::no) apply(use.feature);
  }
  for (const Feature feature : lacks) apply(feature);
  limit_stops(capabilities.max_stops);
  limit_top_logprobs(capabilities.max_top_logprobs);
}

void CheckedRequest::apply(Feature feature) {
  for (const FeatureUse& use : kUses) {
    if (use.feature != feature || !use.is_used(**this)) continue;
    lacks(use.param, name(feature));
    use.drop(copy());
    if ((*this)->messages.empty()) {
      refuse_request(config_, original_.model, "messages",
                     "messages: nothing is left of them without what the model lacks",
                     ErrorKind::unsupported_parameter);
    }
  }
}

void CheckedRequest::lacks(std::string_view param, std::string_view what) {
  if (original_.features == FeaturePolicy::error) {
    refuse_request(config_, original_.model, std::string(param),
                   concat(param, ": ", original_.model, " does not take it (", what,
                          "); expected a request without it, or one that may drop it"),
                   ErrorKind::unsupported_parameter);
  }
  warnings_.push_back(concat(param, ": it was not sent, because ", original_.model,
                             " does not take it (", what, ")"));
}

void CheckedRequest::limit_stops(int most) {
  if ((*this)->stop.size() <= static_cast<size_t>(most)) return;
  lacks("stop", concat("more than ", most, " stop strings"));
  copy().stop.resize(static_cast<size_t>(most));
}

void CheckedRequest::limit_top_logprobs(int most) {
  const int wanted = (*this)->top_logprobs;
  if (wanted <= most && !(wanted == -1 && config_.vendor != Vendor::vllm)) return;
  lacks("top_logprobs", concat("more than ", most, " at each place"));
  copy().logprobs = true;
  copy().top_logprobs = most;
}

ChatRequest& CheckedRequest::copy() {
  if (!copy_) copy_ = original_;
  return *copy_;
}

std::optional<Feature> feature_of_parameter(std::string_view param) {
  for (const Parameter& known : kParameters) {
    if (known.name == param) return known.feature;
  }
  return std::nullopt;
}

}  // namespace taut::ai
