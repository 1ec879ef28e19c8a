#pragma once
// What the protocols' readers of errors share.

#include <string>
#include <string_view>

#include "src/ai/http.h"
#include "taut/ai/error.h"
#include "taut/ai/provider_config.h"

namespace taut::ai {

/// What a status means where the body says no more.
ErrorKind kind_of_status(int status);

/// At most 4 KiB of a message, cut between characters. There is always one.
std::string capped_message(std::string_view text);

/// Whether a message speaks of more tokens than the model can see.
bool is_about_context(std::string_view message);

/// An answer whose body is not the JSON of an error: told by its status and what it begins with.
ErrorDetails error_without_json(const ProviderConfig& config, const HttpAnswer& answer);

}  // namespace taut::ai
