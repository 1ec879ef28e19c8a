#pragma once
// A provider of a client: its config, what is known of its models, and its place in line.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "src/ai/client_state.h"
#include "src/ai/gate.h"

namespace taut::ai {

class Provider::State : public std::enable_shared_from_this<Provider::State> {
 public:
  State(std::shared_ptr<Client::Implementation> client, ProviderConfig config);

  const std::shared_ptr<Client::Implementation>& client() const { return client_; }
  const ProviderConfig& config() const { return config_; }
  const ProtocolHandler& handler() const { return handler_; }
  const BaseUrl& base() const { return base_; }
  Gate& gate() { return gate_; }  // for the client's own thread

  Capabilities capabilities(const std::string& model) const;
  /// Whether the refusal names a feature that the model was not known to lack.
  bool learn(const std::string& model, const ErrorDetails& refusal);

  /// The key for a request, or null where the config has no source. Throws ProviderError, auth,
  /// where the source gives none or a wrong one.
  std::shared_ptr<const KeyText> key() const;
  /// Everything but the key: the config's headers, the protocol's and the request's own, of which
  /// the last of a name counts. Throws ValueError for what may not stand in a header.
  std::vector<Header> headers(const HttpRequest& request) const;

 private:
  const std::shared_ptr<Client::Implementation> client_;
  const ProviderConfig config_;
  const ProtocolHandler& handler_;
  const BaseUrl base_;
  Gate gate_;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Feature>> lacking_;  // what refusals taught, by model
};

}  // namespace taut::ai
