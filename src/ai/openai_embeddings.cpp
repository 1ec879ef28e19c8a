#include "src/ai/openai_embeddings.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/embeddings.h"
#include "src/ai/openai_errors.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/usage.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

// OpenAI's limit on the inputs of one request.
constexpr size_t kMostInputs = 2048;

bool is_perplexity(const ProviderConfig& config) { return config.vendor == Vendor::perplexity; }

/// How the vectors come that this request asked for.
PackedNumbers packing_of(const ProviderConfig& config, const EmbeddingRequest& request) {
  if (!is_perplexity(config)) return PackedNumbers::float32;
  const std::optional<JsonDocument> extra = parse_json(request.extra);
  const bool is_binary = extra && text_of(extra->root(), "encoding_format") == "base64_binary";
  return is_binary ? PackedNumbers::signs : PackedNumbers::int8;
}

}  // namespace

BuiltRequest openai_embedding_request(const ProviderConfig& config,
                                      const EmbeddingRequest& request) {
  check_embedding_request(config, request);
  if (!request.task_type.empty()) {
    refuse_request(config, request.model, "task_type",
                   "task_type: the provider does not ask what embeddings are for",
                   ErrorKind::unsupported_parameter);
  }
  if (config.vendor == Vendor::openai && request.inputs.size() > kMostInputs) {
    refuse_request(config, request.model, "inputs",
                   concat("inputs: there are too many; got ", request.inputs.size(),
                          "; expected at most ", kMostInputs));
  }
  RequestJson body = {{"model", request.model}, {"input", request.inputs}};
  // A quarter of the bytes of decimal numbers; servers that do not know it answer with those.
  body["encoding_format"] = is_perplexity(config) ? "base64_int8" : "base64";
  if (request.dimensions) body["dimensions"] = *request.dimensions;
  add_extra(config, request.model, request.extra, body);
  return {json_request(is_perplexity(config) ? "/v1/embeddings" : "/embeddings", body), {}};
}

EmbeddingResponse parse_openai_embeddings(const ProviderConfig& config,
                                          const EmbeddingRequest& request,
                                          const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_openai_error(json)) throw ProviderError(parse_openai_error(config, answer));
  const Json& data = elements(json, "data");
  const size_t count = request.inputs.size();
  if (data.size() != count) {
    refuse_answer(config, concat("embeddings: their number is wrong; got ", data.size(),
                                 "; expected ", count));
  }
  EmbeddingResponse response;
  response.provider = config.name;
  response.model = text_of(json, "model");
  response.embeddings.resize(count);
  const PackedNumbers packing = packing_of(config, request);
  int64_t place = 0;
  for (const Json& item : data) {
    const int64_t index = get<int64_t>(item, "index").value_or(place++);
    const bool is_inside = index >= 0 && index < static_cast<int64_t>(count);
    if (!is_inside || !response.embeddings[static_cast<size_t>(index)].empty()) {
      refuse_answer(config,
                    concat("embeddings: an index is out of range or used twice; got ", index));
    }
    response.embeddings[static_cast<size_t>(index)] =
        embedding_of(config, member(item, "embedding"), packing);
  }
  response.usage = usage_of_chat(member(json, "usage"), config.vendor);
  response.cost = response.usage.cost;
  return response;
}

}  // namespace taut::ai
