#include "src/ai/utf8.h"

namespace taut::ai {

namespace {

bool is_between(unsigned char byte, unsigned char first, unsigned char last) {
  return byte >= first && byte <= last;
}

}  // namespace

size_t utf8_length(const char* at, const char* end) {
  const auto byte = [at](size_t place) { return static_cast<unsigned char>(at[place]); };
  const auto left = static_cast<size_t>(end - at);
  if (left == 0) return 0;
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = is_between(lead, 0xC2, 0xDF)   ? 2
                        : is_between(lead, 0xE0, 0xEF) ? 3
                        : is_between(lead, 0xF0, 0xF4) ? 4
                                                       : 0;
  if (length == 0 || left < length) return 0;
  // The second byte tells forms that are too long, surrogates, and what lies behind U+10FFFF.
  const unsigned char first = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char last = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!is_between(byte(1), first, last)) return 0;
  for (size_t place = 2; place < length; ++place) {
    if (!is_between(byte(place), 0x80, 0xBF)) return 0;
  }
  return length;
}

void append_utf8(uint32_t character, std::vector<char>& text) {
  const auto add = [&text](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  const auto rest = [&](int shift) { add(0x80 | (character >> shift & 0x3F)); };
  if (character < 0x80) {
    add(character);
  } else if (character < 0x800) {
    add(0xC0 | character >> 6);
    rest(0);
  } else if (character < 0x10000) {
    add(0xE0 | character >> 12);
    rest(6);
    rest(0);
  } else {
    add(0xF0 | character >> 18);
    rest(12);
    rest(6);
    rest(0);
  }
}

}  // namespace taut::ai
