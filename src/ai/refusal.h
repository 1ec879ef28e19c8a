#pragma once
// How the protocols refuse a request before it is sent, and an answer that makes no sense.

#include <string>
#include <string_view>

#include "taut/ai/error.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// Throws: `param` is wrong.
[[noreturn]] void refuse_request(const ProviderConfig& config, const std::string& model,
                                 std::string param, std::string message,
                                 ErrorKind kind = ErrorKind::invalid_request);

/// Throws: the provider did not answer what its protocol promises.
[[noreturn]] void refuse_answer(const ProviderConfig& config, std::string message);

}  // namespace taut::ai
