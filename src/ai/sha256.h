#pragma once
// SHA-256 (FIPS 180-4).

#include <string>
#include <string_view>

#include "taut/base/macros.h"

namespace taut::ai {

/// 64 hexadecimal digits.
TAUT_API std::string sha256(std::string_view bytes);

}  // namespace taut::ai
