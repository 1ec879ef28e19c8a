#include "src/ai/gemini_embeddings.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/embeddings.h"
#include "src/ai/gemini_errors.h"
#include "src/ai/gemini_request.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/usage.h"
#include "taut/base/check.h"

namespace taut::ai {

BuiltRequest gemini_embedding_request(const ProviderConfig& config,
                                      const EmbeddingRequest& request) {
  check_embedding_request(config, request);
  // What is the same for all inputs stands in each of them.
  RequestJson common = {{"model", gemini_model_name(request.model)}};
  if (!request.task_type.empty()) common["taskType"] = request.task_type;
  if (request.dimensions) common["outputDimensionality"] = *request.dimensions;
  RequestJson requests = RequestJson::array();
  for (const std::string& input : request.inputs) {
    RequestJson one = common;
    one["content"] = {{"role", "user"}, {"parts", RequestJson::array({{{"text", input}}})}};
    add_extra(config, request.model, request.extra, one);
    requests.push_back(std::move(one));
  }
  return {json_request(gemini_model_path(config, request.model, "batchEmbedContents"),
                       {{"requests", std::move(requests)}}),
          {}};
}

EmbeddingResponse parse_gemini_embeddings(const ProviderConfig& config,
                                          const EmbeddingRequest& request,
                                          const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_gemini_error(json)) throw ProviderError(parse_gemini_error(config, answer));
  const Json& embeddings = elements(json, "embeddings");
  if (embeddings.size() != request.inputs.size()) {
    refuse_answer(config, concat("embeddings: their number is wrong; got ", embeddings.size(),
                                 "; expected ", request.inputs.size()));
  }
  EmbeddingResponse response;
  response.provider = config.name;
  response.model = request.model;
  for (const Json& item : embeddings) {
    response.embeddings.push_back(
        embedding_of(config, elements(item, "values"), PackedNumbers::float32));
  }
  response.usage = usage_of_gemini(member(json, "usageMetadata"));
  return response;
}

}  // namespace taut::ai
