#pragma once
// What libcurl tells of one transfer, as whole lines. A key may lie across two of its calls, and
// only a line that is whole can be searched for one.

#include <cstdint>
#include <string>
#include <string_view>

#include "taut/base/callback.h"
#include "taut/base/macros.h"

namespace taut::ai {

class TAUT_API Trace {
 public:
  using Tell = Callback<void(std::string_view)>;

  /// What libcurl calls its notes and the halves of HTTP.
  enum class Kind : uint8_t { note, head_sent, head_received, body_sent, body_received };

  /// Every line begins with the transfer's number: those of many transfers are mixed.
  Trace(uint64_t id, Tell tell)
      : prefix_("[" + std::to_string(id) + "] "), tell_(std::move(tell)) {}
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;
  ~Trace();

  /// Of bodies only the length is told: they are what users and models say.
  void add(Kind kind, std::string_view bytes) noexcept;

 private:
  /// A line of which the end has not come.
  struct Line {
    std::string_view mark;
    std::string text = {};
    bool is_cut = false;
  };

  void add(Line& line, std::string_view bytes);
  void end(Line& line);

  const std::string prefix_;
  const Tell tell_;
  Line note_{"* "}, sent_{"> "}, received_{"< "};
};

}  // namespace taut::ai
