#include "src/ai/sse.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "src/ai/utf8.h"
#include "taut/ai/error.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr size_t kMostKept = 65536;  // bytes: the memory of a larger event is let go of

[[noreturn]] void refuse(std::string message) {
  ErrorDetails details;
  details.kind = ErrorKind::malformed_response;
  details.message = std::move(message);
  throw ProviderError(std::move(details));
}

/// Finds the end of one line after the other. Each kind of end is looked for once, and again only
/// when it has been passed.
class LineEnds {
 public:
  explicit LineEnds(std::string_view bytes)
      : end_(bytes.data() + bytes.size()), feed_(bytes.data()), return_(bytes.data()) {}

  /// Where the first CR or LF stands in what is left.
  size_t next(std::string_view left) {
    const char* begin = left.data();
    find(feed_, begin, '\n');
    find(return_, begin, '\r');
    const char* first = std::min(feed_, return_);
    return first == end_ ? std::string_view::npos : static_cast<size_t>(first - begin);
  }

 private:
  void find(const char*& place, const char* begin, char kind) const {
    if (place == end_ || (place >= begin && *place == kind)) return;
    const char* from = std::max(place, begin);
    const void* found = std::memchr(from, kind, static_cast<size_t>(end_ - from));
    place = found == nullptr ? end_ : static_cast<const char*>(found);
  }

  const char* const end_;
  const char* feed_;
  const char* return_;
};

}  // namespace

// ---- Values -------------------------------------------------------------------------------------

void SseValue::add_line(std::string_view line) {
  keep();
  kept_ += '\n';
  kept_ += line;
  text_ = kept_;
}

void SseValue::clear() {
  text_ = {};
  if (kept_.capacity() > kMostKept) std::string().swap(kept_);
}

void SseValue::keep() {
  if (text_.data() != kept_.data()) kept_ = text_;
  text_ = kept_;
}

// ---- The parser ---------------------------------------------------------------------------------

SseParser::SseParser(const SizeLimits& limits)
    : line_limit_(limits.line), event_limit_(limits.event), events_limit_(limits.events) {}

void SseParser::add(std::string_view bytes, SseListener& listener) {
  read_lines(skip_byte_order_mark(bytes), listener);
  keep_fields();
}

void SseParser::read_lines(std::string_view bytes, SseListener& listener) {
  LineEnds ends(bytes);
  while (!bytes.empty()) {
    if (skips_line_feed_) {
      skips_line_feed_ = false;
      if (bytes.front() == '\n') {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const size_t end = ends.next(bytes);
    if (end == std::string_view::npos) {
      add_to_line(bytes);
      return;
    }
    const std::string_view piece = bytes.substr(0, end);
    skips_line_feed_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      check_line(piece.size());
      read_line(piece, listener);
    } else {
      add_to_line(piece);
      end_line(listener);
    }
  }
}

void SseParser::finish(SseListener& listener) {
  has_ended_ = true;
  if (!is_started_ && mark_seen_ > 0) line_ = kByteOrderMark.substr(0, mark_seen_);
  if (!line_.empty()) end_line(listener);
  if (bare_depth_ > 0) {
    bare_depth_ = 0;
    tell_bare_json(listener);
  }
  dispatch(listener);
}

bool SseParser::has_pending() const {
  return !line_.empty() || has_fields_ || bare_depth_ > 0 || (!is_started_ && mark_seen_ > 0);
}

/// One byte order mark at the very start is not a part of the stream. It may come in pieces.
std::string_view SseParser::skip_byte_order_mark(std::string_view bytes) {
  if (is_started_) return bytes;
  while (!bytes.empty() && mark_seen_ < kByteOrderMark.size() &&
         bytes.front() == kByteOrderMark[mark_seen_]) {
    bytes.remove_prefix(1);
    ++mark_seen_;
  }
  if (bytes.empty() && mark_seen_ < kByteOrderMark.size()) return bytes;
  is_started_ = true;
  // What began like a mark and is none belongs to the first line.
  if (mark_seen_ < kByteOrderMark.size()) line_ = kByteOrderMark.substr(0, mark_seen_);
  return bytes;
}

void SseParser::check_line(size_t size) const {
  if (static_cast<int64_t>(size) > line_limit_) {
    refuse(concat("stream: a line is too long; expected at most ", line_limit_, " bytes"));
  }
}

void SseParser::add_to_line(std::string_view piece) {
  check_line(line_.size() + piece.size());
  line_.append(piece);
}

void SseParser::end_line(SseListener& listener) {
  read_line(line_, listener);
  keep_fields();
  line_.clear();
}

void SseParser::keep_fields() {
  if (!has_fields_) return;
  type_.keep();
  data_.keep();
}

void SseParser::read_line(std::string_view line, SseListener& listener) {
  if (bare_depth_ > 0) {
    collect_bare_json(line, listener);
  } else if (line.empty()) {
    dispatch(listener);
  } else if (line.front() == ':') {
    ++keep_alives_;
  } else if (line.front() == '{' || line.front() == '[') {
    collect_bare_json(line, listener);
  } else {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      read_field(line, {});
      return;
    }
    std::string_view value = line.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    read_field(line.substr(0, colon), value);
  }
}

/// The fields id and retry are for readers that connect again, which nobody here does.
void SseParser::read_field(std::string_view name, std::string_view value) {
  has_fields_ = true;
  if (name == "event") {
    type_.set(value);
  } else if (name == "data") {
    if (static_cast<int64_t>(data_.text().size() + value.size()) + 1 > event_limit_) {
      refuse(concat("stream: an event is too long; expected at most ", event_limit_, " bytes"));
    }
    has_data_ ? data_.add_line(value) : data_.set(value);
    has_data_ = true;
  }
}

void SseParser::dispatch(SseListener& listener) {
  if (!std::exchange(has_fields_, false)) return;
  const std::string_view type = type_.text(), data = data_.text();
  if (data.empty()) ++keep_alives_;
  if (std::exchange(has_data_, false)) tell({type.empty() ? "message" : type, data}, listener);
  type_.clear();
  data_.clear();
}

void SseParser::collect_bare_json(std::string_view line, SseListener& listener) {
  for (const char c : line) {
    if (bare_depth_ == 0 && c != '{' && c != '[') continue;
    bare_.push_back(c);
    if (bare_escapes_) {
      bare_escapes_ = false;
    } else if (bare_in_string_) {
      bare_escapes_ = c == '\\';
      bare_in_string_ = c != '"';
    } else if (c == '"') {
      bare_in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++bare_depth_;
    } else if ((c == '}' || c == ']') && --bare_depth_ == 0) {
      tell_bare_json(listener);
    }
  }
  if (bare_depth_ > 0) bare_.push_back('\n');
  if (static_cast<int64_t>(bare_.size()) > event_limit_) {
    refuse(concat("stream: bare JSON is too long; expected at most ", event_limit_, " bytes"));
  }
}

void SseParser::tell_bare_json(SseListener& listener) {
  tell({"message", bare_, true}, listener);
  std::string().swap(bare_);
}

void SseParser::tell(const SseEvent& event, SseListener& listener) {
  if (++events_ > events_limit_) {
    refuse(concat("stream: there are too many events; expected at most ", events_limit_));
  }
  SseEvent told = event;
  told.is_cut = has_ended_;
  listener.on_event(told);
}

}  // namespace taut::ai
