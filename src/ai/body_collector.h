#pragma once
// A body that is collected until it is complete, up to a limit of decoded bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "src/ai/transfer.h"
#include "taut/base/check.h"

namespace taut::ai {

class BodyCollector {
 public:
  explicit BodyCollector(int64_t limit) : limit_(limit) {}

  void clear() {
    body_.clear();
    reported_ = 0;
  }

  /// Throws malformed_response beyond the limit. A body makes progress by the kibibyte: one that
  /// trickles in byte by byte shows but signs of life.
  Flow add(std::string_view bytes) {
    if (static_cast<int64_t>(body_.size() + bytes.size()) > limit_) {
      body_.append(bytes.substr(0, static_cast<size_t>(limit_) - body_.size()));
      throw ProviderError(
          {.kind = ErrorKind::malformed_response,
           .message = concat("the answer is too large; got more than ", limit_, " decoded bytes")});
    }
    body_.append(bytes);
    constexpr size_t kStep = 1024;
    if (body_.size() < reported_ + kStep) return Flow::alive;
    reported_ = body_.size();
    return Flow::progress;
  }

  int64_t size() const { return static_cast<int64_t>(body_.size()); }
  const std::string& body() const { return body_; }
  std::string take() {
    reported_ = 0;
    return std::exchange(body_, {});
  }

 private:
  int64_t limit_;
  size_t reported_ = 0;
  std::string body_;
};

}  // namespace taut::ai
