#pragma once
// What a provider wants back unchanged is marked with the language it came in: a conversation that
// goes on with another provider leaves it out, and no provider is sent what it cannot read.

#include <optional>
#include <string>
#include <string_view>

namespace taut::ai {

/// Empty for an empty one.
std::string marked_signature(std::string_view language, std::string_view signature);
/// Without its mark; nothing where it is empty or another language's. One without any mark, which
/// the caller brought from elsewhere, passes.
std::optional<std::string> own_signature(std::string_view language, std::string_view marked);

}  // namespace taut::ai
