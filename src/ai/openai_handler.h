#pragma once
// What POST /chat/completions and POST /responses have in common: all but the chat.

#include "src/ai/protocol.h"

namespace taut::ai {

class OpenAiHandler : public ProtocolHandler {
 public:
  KeyHeader key_header(const ProviderConfig& config) const override;
  std::vector<Header> headers(const ProviderConfig& config) const override;
  Capabilities known_capabilities(const ProviderConfig& config,
                                  const std::string& model) const override;

  BuiltRequest embed(const ProviderConfig& config, const EmbeddingRequest& request,
                     const Capabilities& capabilities) const override;
  EmbeddingResponse parse_embeddings(const ProviderConfig& config, const EmbeddingRequest& request,
                                     const HttpAnswer& answer) const override;

  HttpRequest models(const ProviderConfig& config) const override;
  ModelPage parse_models(const ProviderConfig& config, const HttpAnswer& answer) const override;

  std::optional<HttpRequest> batch_upload(const ProviderConfig& config,
                                          const BatchRequest& request) const override;
  HttpRequest create_batch(const ProviderConfig& config, const BatchRequest& request,
                           const HttpAnswer* upload) const override;
  HttpRequest batch(const ProviderConfig& config, const std::string& id) const override;
  HttpRequest cancel_batch(const ProviderConfig& config, const std::string& id) const override;
  BatchStatus parse_batch(const ProviderConfig& config, const HttpAnswer& answer) const override;
  std::vector<HttpRequest> batch_results(const ProviderConfig& config,
                                         const BatchStatus& status) const override;
  std::optional<HttpRequest> batch_results_after(const ProviderConfig& config,
                                                 const HttpRequest& page,
                                                 const HttpAnswer& answer) const override;
  std::vector<BatchResult> parse_batch_results(const ProviderConfig& config,
                                               const HttpAnswer& answer) const override;

  ErrorDetails parse_error(const ProviderConfig& config, const HttpAnswer& answer) const override;
  std::string_view request_id_header() const override { return "x-request-id"; }

 protected:
  /// Where the requests of a batch go.
  virtual std::string_view batch_endpoint() const = 0;
};

}  // namespace taut::ai
