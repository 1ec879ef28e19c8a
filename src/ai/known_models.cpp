#include "src/ai/known_models.h"

#include <initializer_list>
#include <limits>

namespace taut::ai {
namespace {

constexpr int kUnlimited = std::numeric_limits<int>::max();

bool begins_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

bool holds(std::string_view text, std::string_view piece) {
  return text.find(piece) != std::string_view::npos;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The name of what a fine-tuned model was made of: ft:gpt-4.1-mini:organization is gpt-4.1-mini.
std::string_view base_name(std::string_view model) {
  if (!begins_with(model, "ft:")) return model;
  model.remove_prefix(3);
  return model.substr(0, model.find(':'));
}

/// 51 for gpt-5.1-mini, 40 for gpt-4o, 0 for what is no gpt.
int gpt_version(std::string_view model) {
  if (!begins_with(model, "gpt-")) return 0;
  model.remove_prefix(4);
  int major = 0;
  while (!model.empty() && is_digit(model.front()) && major < 1000) {
    major = major * 10 + (model.front() - '0');
    model.remove_prefix(1);
  }
  const bool has_minor = model.size() > 1 && model[0] == '.' && is_digit(model[1]);
  return major * 10 + (has_minor ? model[1] - '0' : 0);
}

bool is_o_series(std::string_view model) {
  return model.size() > 1 && model[0] == 'o' && is_digit(model[1]);
}

void set(Capabilities& capabilities, Answer answer, std::initializer_list<Feature> features) {
  for (const Feature feature : features) capabilities[feature] = answer;
}

/// What all models that chat can do where OpenAI's language is spoken.
Capabilities chat_capabilities() {
  Capabilities capabilities;
  capabilities.max_stops = kUnlimited;
  capabilities.max_top_logprobs = kUnlimited;
  set(capabilities, Answer::yes, {Feature::system_prompt, Feature::streaming});
  return capabilities;
}

Capabilities embedding_capabilities() {
  Capabilities capabilities;
  for (Answer& answer : capabilities.answers) answer = Answer::no;
  set(capabilities, Answer::yes, {Feature::embeddings, Feature::model_list});
  capabilities[Feature::batches] = Answer::unknown;
  return capabilities;
}

Capabilities openai_capabilities(std::string_view model) {
  model = base_name(model);
  if (begins_with(model, "text-embedding-")) return embedding_capabilities();
  Capabilities capabilities = chat_capabilities();
  capabilities.max_stops = 4;
  capabilities.max_top_logprobs = 20;
  set(capabilities, Answer::yes, {Feature::batches, Feature::model_list});
  set(capabilities, Answer::no, {Feature::top_k});
  const bool is_reasoning = is_openai_reasoning(model);
  const int version = gpt_version(model);
  if (!is_reasoning && version == 0) return capabilities;
  set(capabilities, Answer::no, {Feature::embeddings});
  set(capabilities, Answer::yes, {Feature::candidates, Feature::seed, Feature::tools});
  if (!is_reasoning) {
    set(capabilities, Answer::yes,
        {Feature::temperature, Feature::top_p, Feature::penalties, Feature::stop, Feature::logprobs,
         Feature::json_object});
    set(capabilities, Answer::no, {Feature::reasoning_effort});
    return capabilities;
  }
  set(capabilities, Answer::yes,
      {Feature::reasoning_effort, Feature::json_object, Feature::json_schema});
  set(capabilities, Answer::no, {Feature::penalties, Feature::stop});
  set(capabilities, may_sample_without_reasoning(model) ? Answer::unknown : Answer::no,
      {Feature::temperature, Feature::top_p, Feature::logprobs});
  return capabilities;
}

Capabilities xai_capabilities(std::string_view model) {
  Capabilities capabilities = chat_capabilities();
  capabilities.max_top_logprobs = 8;
  set(capabilities, Answer::yes,
      {Feature::temperature, Feature::top_p, Feature::tools, Feature::json_schema,
       Feature::model_list, Feature::batches});
  set(capabilities, Answer::no, {Feature::top_k});
  if (is_grok_reasoning(model)) {
    set(capabilities, Answer::no, {Feature::penalties, Feature::stop});
  }
  if (begins_with(model, "grok-4.20") && holds(model, "reasoning")) {
    set(capabilities, Answer::no, {Feature::reasoning_effort});
  }
  return capabilities;
}

Capabilities perplexity_capabilities(std::string_view model) {
  Capabilities capabilities = chat_capabilities();
  set(capabilities, Answer::no,
      {Feature::seed, Feature::logprobs, Feature::json_object, Feature::model_list});
  if (begins_with(model, "sonar")) {
    set(capabilities, Answer::yes,
        {Feature::temperature, Feature::top_p, Feature::top_k, Feature::penalties,
         Feature::json_schema, Feature::batches});
    set(capabilities, Answer::no, {Feature::embeddings});
  }
  if (begins_with(model, "pplx-embed")) capabilities[Feature::embeddings] = Answer::yes;
  return capabilities;
}

/// vLLM and llama.cpp: servers of one's own, which take every sampling parameter.
Capabilities own_server_capabilities(Vendor vendor) {
  Capabilities capabilities = chat_capabilities();
  set(capabilities, Answer::yes,
      {Feature::temperature, Feature::top_p, Feature::top_k, Feature::penalties, Feature::seed,
       Feature::stop, Feature::logprobs, Feature::json_object, Feature::json_schema,
       Feature::model_list});
  if (vendor == Vendor::vllm) capabilities[Feature::candidates] = Answer::yes;
  capabilities[Feature::batches] = Answer::no;
  return capabilities;
}

Capabilities ollama_capabilities() {
  Capabilities capabilities = chat_capabilities();
  set(capabilities, Answer::yes,
      {Feature::temperature, Feature::top_p, Feature::penalties, Feature::seed, Feature::stop,
       Feature::logprobs, Feature::json_object, Feature::json_schema, Feature::model_list});
  set(capabilities, Answer::no,
      {Feature::top_k, Feature::candidates, Feature::parallel_tool_calls, Feature::batches});
  return capabilities;
}

Capabilities anthropic_capabilities(const ProviderConfig& config, std::string_view model) {
  Capabilities capabilities;
  capabilities.max_stops = kUnlimited;
  capabilities.max_top_logprobs = 0;
  set(capabilities, Answer::yes,
      {Feature::system_prompt, Feature::stop, Feature::tools, Feature::parallel_tool_calls,
       Feature::streaming});
  set(capabilities, Answer::no,
      {Feature::penalties, Feature::seed, Feature::candidates, Feature::json_object,
       Feature::logprobs, Feature::embeddings});
  const bool has_sampling = anthropic_version(config) < kAnthropicWithoutSampling;
  set(capabilities, has_sampling ? Answer::yes : Answer::no,
      {Feature::temperature, Feature::top_p, Feature::top_k});
  if (config.vendor == Vendor::anthropic) {
    set(capabilities, Answer::yes, {Feature::batches, Feature::model_list});
    if (begins_with(model, "claude-")) capabilities[Feature::images] = Answer::yes;
  }
  return capabilities;
}

Capabilities gemini_capabilities(std::string_view model) {
  if (begins_with(model, "models/")) model.remove_prefix(7);
  if (holds(model, "embedding")) {
    Capabilities capabilities = embedding_capabilities();
    capabilities[Feature::batches] = Answer::no;
    return capabilities;
  }
  Capabilities capabilities;
  capabilities.max_stops = 5;
  set(capabilities, Answer::yes,
      {Feature::temperature, Feature::top_p, Feature::top_k, Feature::streaming,
       Feature::model_list, Feature::stop, Feature::seed});
  set(capabilities, Answer::no, {Feature::parallel_tool_calls});
  if (begins_with(model, "gemini-")) {
    set(capabilities, Answer::yes,
        {Feature::system_prompt, Feature::json_object, Feature::json_schema, Feature::tools,
         Feature::images, Feature::batches});
    set(capabilities, Answer::no, {Feature::embeddings});
  }
  return capabilities;
}

/// What POST /responses has no words for.
void without_chat_parameters(Capabilities& capabilities) {
  set(capabilities, Answer::no,
      {Feature::top_k, Feature::penalties, Feature::seed, Feature::stop, Feature::candidates});
}

Capabilities openai_like_capabilities(const ProviderConfig& config, std::string_view model) {
  switch (config.vendor) {
    case Vendor::openai: return openai_capabilities(model);
    case Vendor::xai: return xai_capabilities(model);
    case Vendor::perplexity: return perplexity_capabilities(model);
    case Vendor::ollama: return ollama_capabilities();
    case Vendor::vllm:
    case Vendor::llama_cpp: return own_server_capabilities(config.vendor);
    default: return chat_capabilities();
  }
}

}  // namespace

bool is_openai_reasoning(std::string_view model) {
  model = base_name(model);
  return is_o_series(model) || (gpt_version(model) >= 50 && !holds(model, "-chat"));
}

bool may_sample_without_reasoning(std::string_view model) {
  return is_openai_reasoning(model) && gpt_version(base_name(model)) >= 51;
}

bool has_developer_role(std::string_view model) {
  model = base_name(model);
  return is_o_series(model) || gpt_version(model) >= 50;
}

bool is_grok_reasoning(std::string_view model) {
  if (holds(model, "non-reasoning")) return false;
  return holds(model, "reasoning") || begins_with(model, "grok-4") ||
         begins_with(model, "grok-3-mini");
}

std::string_view anthropic_version(const ProviderConfig& config) {
  return config.api_version.empty() ? kAnthropicWithoutSampling
                                    : std::string_view(config.api_version);
}

Capabilities known_capabilities_of(const ProviderConfig& config, const std::string& model) {
  switch (config.protocol) {
    case Protocol::anthropic: return anthropic_capabilities(config, model);
    case Protocol::gemini: return gemini_capabilities(model);
    case Protocol::openai_responses: {
      Capabilities capabilities = openai_like_capabilities(config, model);
      without_chat_parameters(capabilities);
      return capabilities;
    }
    default: return openai_like_capabilities(config, model);
  }
}

}  // namespace taut::ai
