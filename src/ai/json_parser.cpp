#include "src/ai/json_parser.h"

#include "src/ai/utf8.h"

namespace taut::ai {

JsonParser::JsonParser(std::string_view text, int depth, std::vector<Json>& values,
                       std::vector<char>& unescaped, std::vector<JsonPlace>* places)
    : scalars_(text.data(), text.data() + text.size(), unescaped),
      begin_(text.data()),
      most_deep_(depth),
      values_(values),
      places_(places) {
  if (text.starts_with(kByteOrderMark)) scalars_.move_to(begin_ + kByteOrderMark.size());
}

// ---- Steps --------------------------------------------------------------------------------------

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
    scalars_.skip_space();
    if (scalars_.is_at_end()) return expected_ == Expected::end;
    if (!read_next()) return false;
  }
}

inline bool JsonParser::read_next() {
  switch (expected_) {
    case Expected::value: return read_value();
    case Expected::first_element: return scalars_.take(']') ? close() : read_value();
    case Expected::name: return read_name();
    case Expected::first_name: return scalars_.take('}') ? close() : read_name();
    case Expected::separator: return read_separator();
    case Expected::end: break;
  }
  return false;
}

bool JsonParser::read_value() {
  if (inside_ != kNone && values_[inside_].is_array()) ++values_[inside_].size_;
  bool is_sound = false;
  switch (scalars_.next()) {
    case '{': return open(Json::Kind::object);
    case '[': return open(Json::Kind::array);
    case 't':
      is_sound = scalars_.take("true");
      append(Json::Kind::boolean).boolean_ = true;
      break;
    case 'f':
      is_sound = scalars_.take("false");
      append(Json::Kind::boolean).boolean_ = false;
      break;
    case 'n':
      is_sound = scalars_.take("null");
      append(Json::Kind::null);
      break;
    default: is_sound = read_scalar();
  }
  end_value();
  return is_sound;
}

inline bool JsonParser::read_scalar() {
  const char* begin = scalars_.at();
  Json& value = values_.emplace_back();
  const bool is_string = scalars_.next() == '"';
  if (!(is_string ? scalars_.read_string(value) : scalars_.read_number(value))) return false;
  if (places_ != nullptr) {
    places_->push_back({static_cast<uint32_t>(begin - begin_),
                        static_cast<uint32_t>(scalars_.at() - begin_),
                        static_cast<uint32_t>(values_.size() - 1)});
  }
  return true;
}

inline bool JsonParser::read_name() {
  Json& name = values_.emplace_back();
  if (!scalars_.read_string(name)) return false;
  Json& object = values_[inside_];
  ++object.size_;
  const uint32_t mark = Json::mark_of(name.string());
  object.may_repeat_ = object.may_repeat_ || (object.within_.marks & mark) != 0;
  object.within_.marks |= mark;
  scalars_.skip_space();
  expected_ = Expected::value;
  return scalars_.take(':');
}

inline bool JsonParser::read_separator() {
  const bool is_object = values_[inside_].is_object();
  if (scalars_.take(is_object ? '}' : ']')) return close();
  expected_ = is_object ? Expected::name : Expected::value;
  return scalars_.take(',');
}

bool JsonParser::open(Json::Kind kind) {
  if (++depth_ > most_deep_) return false;
  scalars_.move_to(scalars_.at() + 1);
  append(kind).within_ = {inside_, 0};
  inside_ = static_cast<uint32_t>(values_.size() - 1);
  expected_ = kind == Json::Kind::object ? Expected::first_name : Expected::first_element;
  return true;
}

bool JsonParser::close() {
  --depth_;
  Json& container = values_[inside_];
  const auto extent = static_cast<uint32_t>(values_.size() - 1 - inside_);
  inside_ = container.within_.extent;
  container.within_.extent = extent;
  end_value();
  return true;
}

}  // namespace taut::ai
