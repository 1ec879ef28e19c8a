#include "src/ai/json_scalars.h"

#include <locale.h>
#include <stdlib.h>

#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string>

#include "src/ai/utf8.h"

namespace taut::ai {

namespace {

constexpr uint32_t kReplacement = 0xFFFD;

/// Bytes that a string holds as they are: ASCII but for controls, the quote and the backslash.
constexpr std::array<bool, 256> kIsPlain = [] {
  std::array<bool, 256> is_plain = {};
  for (size_t byte = 0x20; byte < 0x80; ++byte) is_plain[byte] = byte != '"' && byte != '\\';
  return is_plain;
}();

/// How many of the eight bytes at `at` are plain before the first that is not. Each test marks the
/// first byte that it is meant for, and never one before it (Mycroft, 1987).
size_t plain_among_eight(const char* at) {
  constexpr uint64_t kOnes = 0x0101010101010101, kHighs = 0x80 * kOnes;
  uint64_t bytes = 0;
  std::memcpy(&bytes, at, sizeof(bytes));
  const auto zeros = [](uint64_t value) { return (value - kOnes) & ~value; };
  const uint64_t controls = (bytes - 0x20 * kOnes) & ~bytes;
  const uint64_t marks =
      (bytes | controls | zeros(bytes ^ ('"' * kOnes)) | zeros(bytes ^ ('\\' * kOnes))) & kHighs;
  return static_cast<size_t>(std::countr_zero(marks)) / 8;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

int hexadecimal(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_high_surrogate(uint32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool is_low_surrogate(uint32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

/// What from_chars calls out of range: too large, which becomes infinite, or too small.
double extreme_number(const char* begin, const char* end) {
  static const locale_t plain = newlocale(LC_ALL_MASK, "C", nullptr);
  return strtod_l(std::string(begin, end).c_str(), nullptr, plain);
}

}  // namespace

// ---- Numbers ------------------------------------------------------------------------------------

bool JsonScalars::read_number(Json& into) {
  const char* begin = at_;
  take('-');
  if (!take('0') && !skip_digits()) return false;
  const bool is_real = at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E');
  if (!is_real) return read_integer(begin, into);
  if (take('.') && !skip_digits()) return false;
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    if (!skip_digits()) return false;
  }
  return read_real(begin, into);
}

bool JsonScalars::read_integer(const char* begin, Json& into) const {
  int64_t integer = 0;
  if (std::from_chars(begin, at_, integer).ec == std::errc()) {
    into.kind_ = Json::Kind::integer;
    into.integer_ = integer;
    return true;
  }
  uint64_t large = 0;
  if (*begin != '-' && std::from_chars(begin, at_, large).ec == std::errc()) {
    into.kind_ = Json::Kind::large_integer;
    into.large_integer_ = large;
    return true;
  }
  return read_real(begin, into);
}

bool JsonScalars::read_real(const char* begin, Json& into) const {
  double real = 0;
  if (std::from_chars(begin, at_, real).ec != std::errc()) real = extreme_number(begin, at_);
  if (!std::isfinite(real)) return false;
  into.kind_ = Json::Kind::real;
  into.real_ = real;
  return true;
}

/// One at least.
bool JsonScalars::skip_digits() {
  const char* begin = at_;
  while (at_ != end_ && is_digit(*at_)) ++at_;
  return at_ != begin;
}

// ---- Strings ------------------------------------------------------------------------------------

/// Most strings hold no escape, and stay where they are.
bool JsonScalars::read_string(Json& into) {
  if (!take('"')) return false;
  const char* begin = at_;
  at_ = skip_plain(at_);
  if (at_ == end_) return false;
  if (*at_ != '"') return *at_ == '\\' && unescape(begin, into);
  set_string(into, begin, static_cast<size_t>(at_ - begin));
  ++at_;
  return true;
}

void JsonScalars::set_string(Json& json, const char* begin, size_t size) {
  json.kind_ = Json::Kind::string;
  json.string_ = begin;
  json.size_ = static_cast<uint32_t>(size);
}

/// The first byte that is no part of well-formed text, or is a quote, a backslash or a control.
inline const char* JsonScalars::skip_plain(const char* at) const {
  for (;;) {
    if constexpr (std::endian::native == std::endian::little) {
      while (end_ - at >= 8) {
        const size_t plain = plain_among_eight(at);
        at += plain;
        if (plain < 8) break;
      }
    }
    while (at != end_ && kIsPlain[static_cast<unsigned char>(*at)]) ++at;
    if (at == end_ || static_cast<unsigned char>(*at) < 0x80) return at;
    const size_t length = utf8_length(at, end_);
    if (length == 0) return at;
    at += length;
  }
}

/// From the first escape of a string that began at `begin`. No string grows by this: once there is
/// room for the whole text, what has been written stays in its place.
bool JsonScalars::unescape(const char* begin, Json& into) {
  if (unescaped_.empty()) unescaped_.reserve(static_cast<size_t>(end_ - begin));
  const size_t place = unescaped_.size();
  unescaped_.insert(unescaped_.end(), begin, at_);
  while (at_ != end_ && *at_ != '"') {
    if (*at_ == '\\') {
      if (!read_escape()) return false;
      continue;
    }
    const char* plain = at_;
    at_ = skip_plain(at_);
    if (at_ == plain) return false;
    unescaped_.insert(unescaped_.end(), plain, at_);
  }
  if (!take('"')) return false;
  set_string(into, unescaped_.data() + place, unescaped_.size() - place);
  return true;
}

bool JsonScalars::read_escape() {
  ++at_;
  if (at_ == end_) return false;
  const char c = *at_++;
  switch (c) {
    case '"':
    case '\\':
    case '/': unescaped_.push_back(c); return true;
    case 'b': unescaped_.push_back('\b'); return true;
    case 'f': unescaped_.push_back('\f'); return true;
    case 'n': unescaped_.push_back('\n'); return true;
    case 'r': unescaped_.push_back('\r'); return true;
    case 't': unescaped_.push_back('\t'); return true;
    case 'u': return read_unicode();
    default: return false;
  }
}

/// The four digits of \uXXXX.
bool JsonScalars::read_unit(uint32_t& unit) {
  if (end_ - at_ < 4) return false;
  unit = 0;
  for (int i = 0; i < 4; ++i) {
    const int digit = hexadecimal(*at_++);
    if (digit < 0) return false;
    unit = unit * 16 + static_cast<uint32_t>(digit);
  }
  return true;
}

/// One unit, or two that are one character.
bool JsonScalars::read_unicode() {
  uint32_t unit = 0;
  if (!read_unit(unit)) return false;
  uint32_t character = is_high_surrogate(unit) || is_low_surrogate(unit) ? kReplacement : unit;
  const char* behind = at_;
  if (is_high_surrogate(unit) && take('\\') && take('u')) {
    uint32_t second = 0;
    if (!read_unit(second)) return false;
    if (is_low_surrogate(second)) {
      character = 0x10000 + ((unit - 0xD800) << 10) + (second - 0xDC00);
      behind = at_;
    }
  }
  at_ = behind;  // what is no second half is read by itself
  append_utf8(character, unescaped_);
  return true;
}

}  // namespace taut::ai
