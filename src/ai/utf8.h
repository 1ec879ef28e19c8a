#pragma once
// UTF-8 as the Unicode Standard defines it (table 3-7).

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace taut::ai {

/// What may stand before a text, and is no part of it.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

/// How many bytes the character at a place takes; 0 where there is none that is well formed.
size_t utf8_length(const char* at, const char* end);

/// A character up to U+10FFFF.
void append_utf8(uint32_t character, std::vector<char>& text);

}  // namespace taut::ai
