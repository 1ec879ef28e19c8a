#pragma once
// Base64 as RFC 4648 has it, with padding.

#include <optional>
#include <string>
#include <string_view>

namespace taut::ai {

std::string base64_encode(std::string_view bytes);
/// Nothing for text that is no base64.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace taut::ai
