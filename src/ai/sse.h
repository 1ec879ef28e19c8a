#pragma once
// Server-sent events as the WHATWG's standard defines them (HTML, "Server-sent events", 9.2.6), from
// bytes that arrive in any pieces.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/client.h"

namespace taut::ai {

struct SseEvent {
  std::string type;  // "message" where the stream names none
  std::string data;
  /// Not an event of the standard: bare JSON between events, as Gemini reports errors.
  bool is_bare_json = false;
};

class SseParser {
 public:
  explicit SseParser(const SizeLimits& limits);

  /// Takes in bytes and appends the events that they complete. Throws ProviderError,
  /// malformed_response, where a limit is passed.
  void add(std::string_view bytes, std::vector<SseEvent>& events);
  /// The stream has ended: what lies there without an empty line behind it, as an event, for the
  /// assembler to look for an end or an error in it.
  void finish(std::vector<SseEvent>& events);
  bool has_pending() const;
  /// Comments and empty events so far: signs of life that carry nothing.
  int64_t keep_alives() const;

 private:
  // (the implementer's)
};

}  // namespace taut::ai
