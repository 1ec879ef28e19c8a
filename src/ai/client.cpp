#include "taut/ai/client.h"

#include <utility>

#include "src/ai/client_parts.h"
#include "src/ai/client_state.h"
#include "src/ai/provider_state.h"

namespace taut::ai {

Client::Client(ClientOptions options) : Client(std::move(options), Parts()) {}

Client::Client(ClientOptions options, const Parts& parts)
    : implementation_(std::make_shared<Implementation>(std::move(options), parts)) {}

Client::~Client() { implementation_->close(); }

Provider Client::provider(ProviderConfig config) {
  return Provider(std::make_shared<Provider::State>(implementation_, std::move(config)));
}

ClientStatistics Client::statistics() const { return implementation_->statistics(); }

}  // namespace taut::ai
