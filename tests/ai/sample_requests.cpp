#include "tests/ai/sample_requests.h"

#include "tests/ai/golden.h"

namespace taut::ai::testing {
namespace {

struct Sample {
  std::string_view folder;
  std::string model;
  std::string embedding_model;  // empty where there are none
};

const Sample kSamples[] = {
    {"openai", "gpt-4.1-nano", "text-embedding-3-small"},
    {"openai_responses", "gpt-5-mini", ""},
    {"anthropic", "claude-sonnet-5", ""},
    {"gemini", "gemini-3-pro-preview", "gemini-embedding-001"},
    {"xai", "grok-3", ""},
    {"perplexity", "sonar-pro", "pplx-embed-v1-0.6b"},
    {"vllm", "Qwen/Qwen3-8B", "intfloat/e5"},
    {"ollama", "llama3.2", "nomic-embed-text"},
    {"llama_cpp", "gemma-3", "gemma-embed"},
    {"other", "some-model", "some-embedder"},
};

constexpr std::string_view kWeatherParameters =
    R"({"type":"object","properties":{"city":{"type":"string"},"at":{"type":"string"}},)"
    R"("required":["city","at"],"additionalProperties":false})";

ChatRequest plain_call(const std::string& model) {
  ChatRequest request{.model = model, .messages = {Message::user("Hello, wörld")}};
  request.max_output_tokens = 64;
  return request;
}

/// Everything that a request can hold; what a model lacks is dropped with a warning.
ChatRequest full_call(const std::string& model) {
  ChatRequest request{.model = model,
                      .messages = {Message::system("Answer briefly."), Message::user("Weather?")}};
  request.features = FeaturePolicy::drop_with_warning;
  request.max_output_tokens = 200;
  request.temperature = 0.1;
  request.top_p = 0.9;
  request.top_k = 40;
  request.presence_penalty = 0.5;
  request.frequency_penalty = -0.5;
  request.seed = 7;
  request.stop = {"END", "STOP"};
  request.reasoning_effort = "low";
  request.candidates = 2;
  request.format = ResponseFormat{
      .kind = ResponseFormat::Kind::json_schema,
      .name = "weather",
      .schema = R"({"type":"object","properties":{"sky":{"type":"string","minLength":1},)"
                R"("degrees":{"oneOf":[{"type":"number"},{"type":"null"}]}},)"
                R"("required":["sky","degrees"],"additionalProperties":false})"};
  request.tools = {Tool{.name = "get_weather",
                        .description = "The weather of a city.",
                        .parameters = std::string(kWeatherParameters),
                        .strict = true},
                   Tool{.name = "get_time"}};
  request.tool_choice = ToolChoice{.kind = ToolChoice::Kind::named, .name = "get_weather"};
  request.parallel_tool_calls = false;
  request.logprobs = true;
  request.top_logprobs = 3;
  request.user = "user-1";
  return request;
}

ChatRequest conversation_call(const std::string& model) {
  ChatRequest request{.model = model, .messages = sample_conversation()};
  request.max_output_tokens = 64;
  request.features = FeaturePolicy::drop_with_warning;
  request.tools = {
      Tool{.name = "get_weather", .parameters = std::string(kWeatherParameters), .strict = false}};
  return request;
}

EmbeddingRequest embedding_call(const Sample& sample) {
  EmbeddingRequest request{.model = sample.embedding_model, .inputs = {"one", "two"}};
  if (sample.folder == "gemini") request.task_type = "RETRIEVAL_QUERY";
  request.dimensions = 8;
  return request;
}

void add_samples(const Sample& sample, std::vector<SampleRequest>& samples) {
  const ProviderConfig config = config_of(sample.folder);
  const std::string prefix = std::string(sample.folder) + ".";
  samples.push_back({prefix + "plain", config, false, plain_call(sample.model), {}});
  samples.push_back({prefix + "full", config, true, full_call(sample.model), {}});
  samples.push_back({prefix + "conversation", config, false, conversation_call(sample.model), {}});
  if (sample.embedding_model.empty()) return;
  samples.push_back({prefix + "embedding", config, false, {}, embedding_call(sample)});
}

/// What only one vendor has.
void add_special_samples(std::vector<SampleRequest>& samples) {
  ChatRequest reasoning = plain_call("gpt-5.1");
  reasoning.messages.insert(reasoning.messages.begin(), Message::system("Think."));
  reasoning.reasoning_effort = "high";
  samples.push_back({"openai.reasoning", config_of("openai"), false, reasoning, {}});

  SampleRequest old{
      "anthropic.2023-06-01", config_of("anthropic"), false, full_call("claude-sonnet-4-5"), {}};
  old.config.api_version = "2023-06-01";
  old.config.beta = {"one-2026-01-01", "two-2026-01-01"};
  samples.push_back(old);

  ChatRequest whole_vocabulary = plain_call("Qwen/Qwen3-8B");
  whole_vocabulary.top_logprobs = -1;
  whole_vocabulary.extra = R"({"return_tokens_as_token_ids":true,"max_tokens":null})";
  SampleRequest distilling{"vllm.distilling", config_of("vllm"), false, whole_vocabulary, {}};
  distilling.config.extra_body = R"({"chat_template_kwargs":{"enable_thinking":false}})";
  samples.push_back(distilling);

  ChatRequest budget = plain_call("gemini-2.5-flash");
  budget.reasoning_effort = "none";
  budget.format = ResponseFormat{.kind = ResponseFormat::Kind::json_object};
  budget.extra = R"({"safetySettings":[{"category":"HARM_CATEGORY_HATE_SPEECH",)"
                 R"("threshold":"BLOCK_NONE"}],"generationConfig":{"temperature":0}})";
  SampleRequest beta{"gemini.v1beta", config_of("gemini"), false, budget, {}};
  beta.config.api_version = "v1beta";
  samples.push_back(beta);
}

}  // namespace

std::vector<Message> sample_conversation() {
  Message question{Role::user, {TextPart{"What is this?"}}};
  ImagePart picture;
  picture.media_type = "image/png";
  picture.bytes = std::string("\x89PNG\r\n\x1a\n", 8);
  question.parts.push_back(picture);
  ImagePart linked;
  linked.url = "https://example.org/cat.jpg";
  question.parts.push_back(linked);

  Message answer{Role::assistant, {}};
  answer.parts = {
      ReasoningPart{"Two pictures.", "anthropic:EqQB", ""},
      ReasoningPart{"Two pictures.", "gemini:EqsF", ""},
      ReasoningPart{"Two pictures.",
                    R"(responses:{"id":"rs_1","type":"reasoning","summary":[],)"
                    R"("encrypted_content":"gAAA"})",
                    ""},
      ReasoningPart{"", "", "anthropic:RGF0YQ=="},
      TextPart{"Let me see."},
      ToolCall{"call_a", "get_weather", R"({"city":"Oslo","at":"noon"})", "gemini:EqsG"},
      ToolCall{"call_b", "get_weather", R"({"city":"Rome","at":"noon"})", ""}};

  Message failed = Message::tool({"call_b", "get_weather", "There is no Rome.", true});
  return {Message::system("Answer briefly."),
          std::move(question),
          std::move(answer),
          Message::tool({"call_a", "", R"({"sky":"grey"})", false}),
          std::move(failed),
          Message::user("And now?")};
}

std::vector<SampleRequest> sample_requests() {
  std::vector<SampleRequest> samples;
  for (const Sample& sample : kSamples) add_samples(sample, samples);
  add_special_samples(samples);
  return samples;
}

BuiltRequest build(const SampleRequest& sample) {
  const ProtocolHandler& handler = handler_for(sample.config);
  if (sample.embedding) {
    const Capabilities capabilities =
        handler.known_capabilities(sample.config, sample.embedding->model);
    return handler.embed(sample.config, *sample.embedding, capabilities);
  }
  return handler.chat(sample.config, sample.chat,
                      handler.known_capabilities(sample.config, sample.chat.model),
                      sample.is_stream);
}

nlohmann::ordered_json sent_for(const SampleRequest& sample) {
  const ProtocolHandler& handler = handler_for(sample.config);
  const BuiltRequest built = build(sample);
  const KeyHeader key = handler.key_header(sample.config);
  nlohmann::ordered_json headers = {{key.name, key.prefix + "KEY"}};
  for (const auto& [name, value] : handler.headers(sample.config)) headers[name] = value;
  return {{"name", sample.name},
          {"provider", sample.config.name},
          {"method", built.http.method},
          {"path", built.http.path},
          {"headers", headers},
          {"stream", sample.is_stream},
          {"body", nlohmann::ordered_json::parse(built.http.body)},
          {"warnings", built.warnings}};
}

}  // namespace taut::ai::testing
