#pragma once
// GET /v1/models of Anthropic, page by page.

#include "src/ai/protocol.h"

namespace taut::ai {

HttpRequest anthropic_models_request(std::string_view after_id = {});
ModelPage parse_anthropic_models(const ProviderConfig& config, const HttpAnswer& answer);

/// Seconds since 1970 of a time as RFC 3339 writes it, in UTC; nothing for other texts.
TAUT_API std::optional<int64_t> seconds_of_timestamp(std::string_view text);

}  // namespace taut::ai
