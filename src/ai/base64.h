#pragma once
// Base64 as RFC 4648 defines it, section 4.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/base/macros.h"

namespace taut::ai {

TAUT_API std::string base64_encode(std::string_view bytes);

/// Nothing for a text that is none. The padding may be missing, and the letters may be those of
/// section 5 (- and _).
TAUT_API std::optional<std::vector<uint8_t>> base64_decode(std::string_view text);

}  // namespace taut::ai
