#include "src/ai/refusal.h"

#include <utility>

namespace taut::ai {

void refuse_request(const ProviderConfig& config, const std::string& model, std::string param,
                    std::string message, ErrorKind kind) {
  ErrorDetails details;
  details.kind = kind;
  details.provider = config.name;
  details.model = model;
  details.param = std::move(param);
  details.message = std::move(message);
  throw ProviderError(std::move(details));
}

void refuse_answer(const ProviderConfig& config, std::string message) {
  ErrorDetails details;
  details.kind = ErrorKind::malformed_response;
  details.provider = config.name;
  details.message = std::move(message);
  throw ProviderError(std::move(details));
}

}  // namespace taut::ai
