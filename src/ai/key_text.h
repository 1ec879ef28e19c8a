#pragma once
// The text of a key while a request is under way. It is wiped when it goes.

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "taut/ai/secret.h"
#include "taut/base/macros.h"

namespace taut::ai {

/// Overwrites memory in a way that the compiler does not leave out.
TAUT_API void wipe(void* memory, size_t bytes) noexcept;
TAUT_API void wipe(std::string& text) noexcept;

class TAUT_API KeyText {
 public:
  KeyText() = default;
  explicit KeyText(std::string_view text) : text_(text) {}
  KeyText(KeyText&& other) noexcept { swap(other); }
  KeyText& operator=(KeyText&& other) noexcept {
    swap(other);
    return *this;
  }
  ~KeyText() { wipe(text_); }

  bool empty() const { return text_.empty(); }
  std::string_view view() const { return text_; }

 private:
  void swap(KeyText& other) noexcept { text_.swap(other.text_); }

  std::string text_;
};

/// Where a Secret gets its text from.
class TAUT_API Secret::Source {
 public:
  virtual ~Source() = default;
  /// Empty where there is none.
  virtual KeyText read() const = 0;
  /// Whether read() would give one.
  virtual bool is_there() const { return !read().empty(); }
  /// What is missing where read() is empty, for an error: "OPENAI_API_KEY is not set".
  virtual std::string what_is_missing() const = 0;
};

}  // namespace taut::ai
