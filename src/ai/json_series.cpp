#include "src/ai/json_series.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace taut::ai {

namespace {

constexpr size_t kMostKept = 4096;  // bytes of a text

/// How many bytes are the same from the start.
size_t common_prefix(const char* a, const char* b, size_t size) {
  size_t same = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; same + 8 <= size; same += 8) {
      uint64_t of_a = 0, of_b = 0;
      std::memcpy(&of_a, a + same, 8);
      std::memcpy(&of_b, b + same, 8);
      if (of_a != of_b) return same + static_cast<size_t>(std::countr_zero(of_a ^ of_b)) / 8;
    }
  }
  while (same < size && a[same] == b[same]) ++same;
  return same;
}

}  // namespace

// ---- A pattern ----------------------------------------------------------------------------------

bool JsonSeries::Pattern::learn(std::string_view text, int depth) {
  forget();
  text_ = text;
  const bool is_sound = JsonParser(text_, depth, values_, unescaped_, &places_).run();
  if (!is_sound) forget();
  return is_sound;
}

void JsonSeries::Pattern::forget() {
  text_.clear();
  values_.clear();
  places_.clear();
  unescaped_.clear();
  changes_.clear();
}

/// See Note [Texts like one before].
bool JsonSeries::Pattern::match(std::string_view text) {
  if (values_.empty()) return false;
  undo_changes();
  JsonScalars scalars(text.data(), text.data() + text.size(), changed_unescaped_);
  size_t known = 0;  // bytes of the text that is kept, up to where both have been compared
  auto place = places_.begin();
  for (;;) {
    const size_t read = static_cast<size_t>(scalars.at() - text.data());
    const size_t same = common_prefix(text_.data() + known, scalars.at(),
                                      std::min(text_.size() - known, text.size() - read));
    known += same;
    if (known == text_.size() && read + same == text.size()) return true;
    // A number may go on where the one that is kept has ended.
    const auto is_settled = [&](const JsonPlace& at) {
      return at.end < known || (at.end == known && values_[at.value].is_string());
    };
    while (place != places_.end() && is_settled(*place)) ++place;
    if (place == places_.end() || known < place->begin) return false;
    scalars.move_to(scalars.at() + same - (known - place->begin));
    if (!read_changed(*place, scalars)) return false;
    known = place->end;
    ++place;
  }
}

bool JsonSeries::Pattern::read_changed(const JsonPlace& place, JsonScalars& scalars) {
  if (scalars.is_at_end()) return false;
  Json& value = values_[place.value];
  changes_.push_back({place.value, value});
  return value.is_string() ? scalars.read_string(value) : scalars.read_number(value);
}

void JsonSeries::Pattern::undo_changes() {
  for (const Change& change : changes_) values_[change.value] = change.before;
  changes_.clear();
  changed_unescaped_.clear();
}

// ---- The series ---------------------------------------------------------------------------------

const Json& JsonSeries::parse(std::string_view text) {
  static constexpr Json null;
  if (text.size() > kMostKept) {
    large_.parse(text, limits_);
    return large_.root();
  }
  if (static_cast<int64_t>(text.size()) > limits_.json) return null;
  ++calls_;
  if (match(patterns_[newest_], text)) return patterns_[newest_].root();
  Pattern* oldest = &patterns_[0];
  for (Pattern& pattern : patterns_) {
    if (match(pattern, text)) return pattern.root();
    if (pattern.met < oldest->met) oldest = &pattern;
  }
  oldest->met = calls_;
  newest_ = static_cast<size_t>(oldest - patterns_.data());
  return oldest->learn(text, limits_.depth) ? oldest->root() : null;
}

bool JsonSeries::match(Pattern& pattern, std::string_view text) {
  if (!pattern.match(text)) return false;
  pattern.met = calls_;
  newest_ = static_cast<size_t>(&pattern - patterns_.data());
  return true;
}

}  // namespace taut::ai
