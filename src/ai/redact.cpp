#include "src/ai/redact.h"

#include <deque>
#include <mutex>

#include "src/ai/address.h"

namespace taut::ai {

namespace {

constexpr size_t kPiece = 8;        // the shortest piece of a key that is looked for
constexpr size_t kShortestKey = 4;  // shorter ones are words of ordinary text
constexpr size_t kMostKeys = 64;    // of a source whose keys change all the time, the latest

constexpr std::string_view kSensitiveHeaders[] = {
    "authorization", "x-api-key",           "x-goog-api-key", "api-key",
    "cookie",        "proxy-authorization", "set-cookie",
};
// What keys of known vendors begin with, and the fewest bytes behind it.
struct Prefix {
  std::string_view text;
  size_t fewest;
};
constexpr Prefix kKeyPrefixes[] = {{"sk-", 6}, {"AIza", 10}, {"xai-", 6}, {"pplx-", 6}};
// Behind these stands a key, whatever it looks like.
constexpr std::string_view kIntroductions[] = {
    "bearer ", "key=", "key%3d", "token=", "with user '"};  // which libcurl notes of proxies

bool is_key_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '*' || c == '.';
}

bool is_word_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool ends_value(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '"' || c == '\'' || c == '&' ||
         c == '<' || c == '>' || c == ',' || c == ';' || c == ')' || c == '}';
}

/// Which bytes of a text are not to be shown.
class Mask {
 public:
  explicit Mask(std::string_view text)
      : text_(text), lower_(lower_case(text)), hidden_(text.size(), false) {}

  void hide(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) hidden_[i] = true;
  }

  void hide_key(std::string_view key) {
    const size_t piece = key.size() < kPiece ? key.size() : kPiece;
    for (size_t i = 0; i + piece <= text_.size(); ++i) {
      if (key.find(text_.substr(i, piece)) != std::string_view::npos) hide(i, i + piece);
    }
  }

  void hide_prefixed_keys() {
    for (const Prefix& prefix : kKeyPrefixes) {
      for (size_t i = text_.find(prefix.text); i != std::string_view::npos;
           i = text_.find(prefix.text, i + 1)) {
        if (i > 0 && is_word_byte(text_[i - 1])) continue;
        size_t end = i + prefix.text.size();
        while (end < text_.size() && is_key_byte(text_[end])) ++end;
        if (end - i >= prefix.text.size() + prefix.fewest) hide(i, end);
      }
    }
  }

  void hide_introduced_keys() {
    for (const std::string_view word : kIntroductions) {
      for (size_t i = lower_.find(word); i != std::string::npos; i = lower_.find(word, i + 1)) {
        const size_t begin = i + word.size();
        size_t end = begin;
        while (end < text_.size() && !ends_value(text_[end])) ++end;
        hide(begin, end);
      }
    }
  }

  /// "name: value" and "name":"value", to the end of the line or of the string.
  void hide_headers() {
    for (const std::string_view name : kSensitiveHeaders) {
      for (size_t i = lower_.find(name); i != std::string::npos; i = lower_.find(name, i + 1)) {
        size_t begin = i + name.size();
        if (begin < text_.size() && text_[begin] == '"') ++begin;
        while (begin < text_.size() && text_[begin] == ' ') ++begin;
        if (begin >= text_.size() || text_[begin] != ':') continue;
        ++begin;
        while (begin < text_.size() && text_[begin] == ' ') ++begin;
        const bool is_quoted = begin < text_.size() && text_[begin] == '"';
        if (is_quoted) ++begin;
        size_t end = begin;
        while (end < text_.size() && text_[end] != '\n' && text_[end] != '\r' &&
               !(is_quoted && text_[end] == '"')) {
          ++end;
        }
        hide(begin, end);
      }
    }
  }

  /// scheme://user:password@host
  void hide_users() {
    for (size_t i = text_.find("://"); i != std::string_view::npos; i = text_.find("://", i + 1)) {
      const size_t begin = i + 3;
      size_t at = std::string_view::npos;
      for (size_t k = begin; k < text_.size() && text_[k] != '/' && !ends_value(text_[k]); ++k) {
        if (text_[k] == '@') at = k;
      }
      if (at != std::string_view::npos) hide(begin, at);
    }
  }

  std::string apply() const {
    std::string shown;
    shown.reserve(text_.size());
    for (size_t i = 0; i < text_.size(); ++i) {
      if (!hidden_[i]) {
        shown.push_back(text_[i]);
      } else if (i == 0 || !hidden_[i - 1]) {
        shown.append(kRedacted);
      }
    }
    return shown;
  }

 private:
  std::string_view text_;
  std::string lower_;
  std::vector<bool> hidden_;
};

/// Not within a character of UTF-8.
size_t cut_at(std::string_view text, size_t most) {
  if (text.size() <= most) return text.size();
  size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return end;
}

}  // namespace

bool is_sensitive_header(std::string_view name) {
  for (const std::string_view sensitive : kSensitiveHeaders) {
    if (name == sensitive) return true;
  }
  return false;
}

struct KeyRing::State {
  mutable std::mutex mutex;
  std::deque<KeyText> keys;
};

KeyRing::KeyRing() : state_(std::make_unique<State>()) {}
KeyRing::~KeyRing() = default;

void KeyRing::add(std::string_view key) {
  if (key.size() < kShortestKey) return;
  const std::lock_guard lock(state_->mutex);
  for (const KeyText& known : state_->keys) {
    if (known.view() == key) return;
  }
  if (state_->keys.size() == kMostKeys) state_->keys.pop_front();
  state_->keys.emplace_back(key);
}

std::string KeyRing::redact(std::string_view text) const {
  Mask mask(text);
  {
    const std::lock_guard lock(state_->mutex);
    for (const KeyText& key : state_->keys) mask.hide_key(key.view());
  }
  mask.hide_prefixed_keys();
  mask.hide_introduced_keys();
  mask.hide_headers();
  mask.hide_users();
  return mask.apply();
}

std::string KeyRing::excerpt(std::string_view text, size_t most) const {
  // Cut with room to spare first: a body may be large, and a key may lie across the cut.
  constexpr size_t kRoom = 4096;
  std::string shown = redact(text.substr(0, cut_at(text, most + kRoom)));
  shown.resize(cut_at(shown, most));
  return shown;
}

void KeyRing::redact(ErrorDetails& details) const {
  constexpr size_t kMostOfAName = 256;
  details.message = excerpt(details.message);
  for (std::string* field : {&details.vendor_type, &details.vendor_code, &details.param,
                             &details.request_id, &details.model}) {
    if (!field->empty()) *field = excerpt(*field, kMostOfAName);
  }
}

void KeyRing::redact(std::vector<Header>& headers) const {
  for (auto& [name, value] : headers) {
    value = is_sensitive_header(name) ? std::string(kRedacted) : redact(value);
  }
}

}  // namespace taut::ai
