#include "src/ai/json_series.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

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
  is_known_ = JsonParser(text_, depth, values_, unescaped_, &places_).run();
  return is_known_;
}

void JsonSeries::Pattern::forget() {
  is_known_ = false;
  text_.clear();
  values_.clear();
  places_.clear();
  unescaped_.clear();
  changes_.clear();
}

/// See Note [Texts like one before].
bool JsonSeries::Pattern::match(std::string_view text) {
  if (!is_known_) return false;
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
  if (static_cast<int64_t>(text.size()) > limits_.json) return null;
  if (text.size() > kMostKept) return parse_large(text);
  let_go_of_large();
  ++calls_;
  if (const Json* known = match(text)) return *known;
  const auto met = [](const Pattern& a, const Pattern& b) { return a.met < b.met; };
  const auto oldest = std::min_element(patterns_.begin(), patterns_.end(), met);
  oldest->met = calls_;
  newest_ = static_cast<size_t>(oldest - patterns_.begin());
  return oldest->learn(text, limits_.depth) ? oldest->root() : null;
}

/// The newest first, then those behind it in the array, around its end.
const Json* JsonSeries::match(std::string_view text) {
  for (size_t i = 0; i < patterns_.size(); ++i) {
    const size_t place = (newest_ + i) % patterns_.size();
    if (!patterns_[place].match(text)) continue;
    patterns_[place].met = calls_;
    newest_ = place;
    return &patterns_[place].root();
  }
  return nullptr;
}

const Json& JsonSeries::parse_large(std::string_view text) {
  has_large_ = true;
  large_.parse(text, limits_);
  return large_.root();
}

/// The memory of a large text is not kept for longer than until the next text.
void JsonSeries::let_go_of_large() {
  if (std::exchange(has_large_, false)) large_ = {};
}

}  // namespace taut::ai
