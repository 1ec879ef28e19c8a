#include "src/ai/openai_handler.h"

#include "src/ai/batches.h"
#include "src/ai/embeddings.h"
#include "src/ai/known_models.h"
#include "src/ai/openai_batches.h"
#include "src/ai/openai_embeddings.h"
#include "src/ai/openai_errors.h"
#include "src/ai/openai_models.h"
#include "src/ai/path_segment.h"
#include "src/ai/perplexity_jobs.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "src/ai/xai_batches.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

/// Servers that are like OpenAI in all may have its batches, too; these are known not to.
void check_batches(const ProviderConfig& config) {
  const bool has_none = config.vendor == Vendor::vllm || config.vendor == Vendor::ollama ||
                        config.vendor == Vendor::llama_cpp;
  if (has_none) refuse_batches(config);
}

bool is_xai(const ProviderConfig& config) { return config.vendor == Vendor::xai; }
bool is_perplexity(const ProviderConfig& config) { return config.vendor == Vendor::perplexity; }

}  // namespace

KeyHeader OpenAiHandler::key_header(const ProviderConfig&) const {
  return {"authorization", "Bearer "};
}

std::vector<Header> OpenAiHandler::headers(const ProviderConfig& config) const {
  std::vector<Header> headers;
  if (!config.organization.empty())
    headers.emplace_back("openai-organization", config.organization);
  if (!config.project.empty()) headers.emplace_back("openai-project", config.project);
  return headers;
}

Capabilities OpenAiHandler::known_capabilities(const ProviderConfig& config,
                                               const std::string& model) const {
  return known_capabilities_of(config, model);
}

BuiltRequest OpenAiHandler::embed(const ProviderConfig& config, const EmbeddingRequest& request,
                                  const Capabilities& capabilities) const {
  check_embeddings(config, request.model, capabilities);
  return openai_embedding_request(config, request);
}

EmbeddingResponse OpenAiHandler::parse_embeddings(const ProviderConfig& config,
                                                  const EmbeddingRequest& request,
                                                  const HttpAnswer& answer) const {
  return parse_openai_embeddings(config, request, answer);
}

HttpRequest OpenAiHandler::models(const ProviderConfig& config) const {
  if (config.vendor == Vendor::perplexity) {
    refuse_request(config, {}, "models",
                   concat("models: ", config.name, " does not list its models"),
                   ErrorKind::unsupported_parameter);
  }
  return get_request("/models");
}

ModelPage OpenAiHandler::parse_models(const ProviderConfig& config,
                                      const HttpAnswer& answer) const {
  return parse_openai_models(config, answer);
}

std::optional<HttpRequest> OpenAiHandler::batch_upload(const ProviderConfig& config,
                                                       const BatchRequest& request) const {
  check_batches(config);
  if (is_perplexity(config)) return std::nullopt;
  return openai_batch_upload(*this, config, request, batch_endpoint());
}

HttpRequest OpenAiHandler::create_batch(const ProviderConfig& config, const BatchRequest& request,
                                        const HttpAnswer* upload) const {
  check_batches(config);
  if (is_perplexity(config)) return perplexity_create_job(*this, config, request);
  if (is_xai(config)) return xai_create_batch(config, upload);
  return openai_create_batch(config, upload, batch_endpoint());
}

HttpRequest OpenAiHandler::batch(const ProviderConfig& config, const std::string& id) const {
  check_batches(config);
  if (is_perplexity(config)) return perplexity_job(config, id);
  return get_request(concat("/batches/", path_segment(config, "batch", id)));
}

HttpRequest OpenAiHandler::cancel_batch(const ProviderConfig& config, const std::string& id) const {
  check_batches(config);
  if (is_xai(config)) return xai_cancel_batch(config, id);
  if (is_perplexity(config)) {
    refuse_request(config, {}, "batch", concat("batch: ", config.name, " cannot cancel a job"),
                   ErrorKind::unsupported_parameter);
  }
  HttpRequest request;
  request.path = concat("/batches/", path_segment(config, "batch", id), "/cancel");
  return request;
}

BatchStatus OpenAiHandler::parse_batch(const ProviderConfig& config,
                                       const HttpAnswer& answer) const {
  if (is_xai(config)) return parse_xai_batch(config, answer);
  if (is_perplexity(config)) return parse_perplexity_job(config, answer);
  return parse_openai_batch(config, answer);
}

std::vector<HttpRequest> OpenAiHandler::batch_results(const ProviderConfig& config,
                                                      const BatchStatus& status) const {
  check_batches(config);
  if (is_xai(config)) return {xai_batch_results(config, status)};
  if (is_perplexity(config)) {
    check_batch_is_over(config, status);
    return {perplexity_job(config, status.output)};
  }
  return openai_batch_results(config, status);
}

std::optional<HttpRequest> OpenAiHandler::batch_results_after(const ProviderConfig& config,
                                                              const HttpRequest& page,
                                                              const HttpAnswer& answer) const {
  if (!is_xai(config)) return std::nullopt;
  return xai_batch_results_after(config, page, answer);
}

std::vector<BatchResult> OpenAiHandler::parse_batch_results(const ProviderConfig& config,
                                                            const HttpAnswer& answer) const {
  if (is_xai(config)) return parse_xai_batch_results(*this, config, answer);
  if (is_perplexity(config)) return parse_perplexity_job_result(*this, config, answer);
  return parse_openai_batch_results(*this, config, answer);
}

ErrorDetails OpenAiHandler::parse_error(const ProviderConfig& config,
                                        const HttpAnswer& answer) const {
  return parse_openai_error(config, answer);
}

}  // namespace taut::ai
