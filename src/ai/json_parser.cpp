#include "src/ai/json_parser.h"

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

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
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
bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

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

JsonParser::JsonParser(std::string_view text, int depth, std::vector<Json>& values,
                       std::vector<char>& unescaped)
    : at_(text.data()),
      end_(text.data() + text.size()),
      most_deep_(depth),
      values_(values),
      unescaped_(unescaped) {
  if (text.starts_with(kByteOrderMark)) at_ += kByteOrderMark.size();
}

// ---- Steps --------------------------------------------------------------------------------------

inline void JsonParser::skip_space() {
  while (at_ != end_ && is_space(*at_)) ++at_;
}

inline bool JsonParser::take(char expected) {
  if (at_ == end_ || *at_ != expected) return false;
  ++at_;
  return true;
}

inline Json& JsonParser::append(Json::Kind kind) {
  Json& json = values_.emplace_back();
  json.kind_ = kind;
  return json;
}

inline void JsonParser::end_value() {
  expected_ = inside_ == kNone ? Expected::end : Expected::separator;
}

// ---- Structure ----------------------------------------------------------------------------------

bool JsonParser::run() {
  for (;;) {
    skip_space();
    if (at_ == end_) return expected_ == Expected::end;
    if (!read_next()) return false;
  }
}

inline bool JsonParser::read_next() {
  switch (expected_) {
    case Expected::value: return read_value();
    case Expected::first_element: return *at_ == ']' ? close() : read_value();
    case Expected::name: return read_name();
    case Expected::first_name: return *at_ == '}' ? close() : read_name();
    case Expected::separator: return read_separator();
    case Expected::end: break;
  }
  return false;
}

bool JsonParser::read_value() {
  if (inside_ != kNone && values_[inside_].kind_ == Json::Kind::array) ++values_[inside_].size_;
  switch (*at_) {
    case '{': return open(Json::Kind::object);
    case '[': return open(Json::Kind::array);
    case 't': return read_word("true", Json::Kind::boolean, true);
    case 'f': return read_word("false", Json::Kind::boolean, false);
    case 'n': return read_word("null", Json::Kind::null, false);
    case '"':
      if (!read_string()) return false;
      break;
    default:
      if (!read_number()) return false;
  }
  end_value();
  return true;
}

bool JsonParser::read_word(std::string_view word, Json::Kind kind, bool value) {
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) return false;
  at_ += word.size();
  Json& json = append(kind);
  if (kind == Json::Kind::boolean) json.boolean_ = value;
  end_value();
  return true;
}

inline bool JsonParser::read_name() {
  ++values_[inside_].size_;
  if (*at_ != '"' || !read_string()) return false;
  skip_space();
  expected_ = Expected::value;
  return take(':');
}

inline bool JsonParser::read_separator() {
  const bool is_object = values_[inside_].kind_ == Json::Kind::object;
  if (*at_ == (is_object ? '}' : ']')) return close();
  expected_ = is_object ? Expected::name : Expected::value;
  return take(',');
}

bool JsonParser::open(Json::Kind kind) {
  if (++depth_ > most_deep_) return false;
  ++at_;
  append(kind).extent_ = inside_;
  inside_ = values_.size() - 1;
  expected_ = kind == Json::Kind::object ? Expected::first_name : Expected::first_element;
  return true;
}

bool JsonParser::close() {
  --depth_;
  ++at_;
  Json& container = values_[inside_];
  const size_t extent = values_.size() - 1 - inside_;
  inside_ = container.extent_;
  container.extent_ = extent;
  end_value();
  return true;
}

// ---- Numbers ------------------------------------------------------------------------------------

bool JsonParser::read_number() {
  const char* begin = at_;
  take('-');
  if (!take('0') && !skip_digits()) return false;
  const bool is_real = at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E');
  if (!is_real) return read_integer(begin);
  if (take('.') && !skip_digits()) return false;
  if (take('e') || take('E')) {
    if (!take('+')) take('-');
    if (!skip_digits()) return false;
  }
  return read_real(begin);
}

bool JsonParser::read_integer(const char* begin) {
  int64_t integer = 0;
  if (std::from_chars(begin, at_, integer).ec == std::errc()) {
    append(Json::Kind::integer).integer_ = integer;
    return true;
  }
  uint64_t large = 0;
  if (*begin != '-' && std::from_chars(begin, at_, large).ec == std::errc()) {
    append(Json::Kind::large_integer).large_integer_ = large;
    return true;
  }
  return read_real(begin);
}

bool JsonParser::read_real(const char* begin) {
  double real = 0;
  if (std::from_chars(begin, at_, real).ec != std::errc()) real = extreme_number(begin, at_);
  if (!std::isfinite(real)) return false;
  append(Json::Kind::real).real_ = real;
  return true;
}

/// One at least.
bool JsonParser::skip_digits() {
  const char* begin = at_;
  while (at_ != end_ && is_digit(*at_)) ++at_;
  return at_ != begin;
}

// ---- Strings ------------------------------------------------------------------------------------

/// Most strings hold no escape, and stay where they are.
bool JsonParser::read_string() {
  const char* begin = ++at_;
  at_ = skip_plain(at_);
  if (at_ == end_) return false;
  if (*at_ != '"') return *at_ == '\\' && unescape(begin);
  Json& json = append(Json::Kind::string);
  json.string_ = begin;
  json.size_ = static_cast<uint32_t>(at_ - begin);
  ++at_;
  return true;
}

/// The first byte that is no part of well-formed text, or is a quote, a backslash or a control.
inline const char* JsonParser::skip_plain(const char* at) const {
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
bool JsonParser::unescape(const char* begin) {
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
  Json& json = append(Json::Kind::string);
  json.string_ = unescaped_.data() + place;
  json.size_ = static_cast<uint32_t>(unescaped_.size() - place);
  return true;
}

bool JsonParser::read_escape() {
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
bool JsonParser::read_unit(uint32_t& unit) {
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
bool JsonParser::read_unicode() {
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
