#pragma once
// Server-sent events as the WHATWG's standard defines them (HTML, "Server-sent events", 9.2.6),
// from bytes that arrive in any pieces.

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
  /// The stream ended before the empty line that ends an event: it may be a part of one.
  bool is_cut = false;
};

class TAUT_API SseParser {
 public:
  explicit SseParser(const SizeLimits& limits);

  /// Takes in bytes and appends the events that they complete. Throws ProviderError,
  /// malformed_response, where a limit is passed.
  void add(std::string_view bytes, std::vector<SseEvent>& events);
  /// The stream has ended: what lies there without an empty line behind it, as an event that is
  /// cut, for the assembler to look for an end or an error in it.
  void finish(std::vector<SseEvent>& events);
  bool has_pending() const;
  /// Comments and empty events so far: signs of life that carry nothing.
  int64_t keep_alives() const { return keep_alives_; }

 private:
  std::string_view skip_byte_order_mark(std::string_view bytes);
  void check_line(size_t size) const;
  void add_to_line(std::string_view piece);
  void end_line(std::vector<SseEvent>& events);
  void read_line(std::string_view line, std::vector<SseEvent>& events);
  void read_field(std::string_view name, std::string_view value);
  void dispatch(std::vector<SseEvent>& events);
  void collect_bare_json(std::string_view line, std::vector<SseEvent>& events);
  void emit(SseEvent event, std::vector<SseEvent>& events);

  const int64_t line_limit_;
  const int64_t event_limit_;
  const int64_t events_limit_;

  size_t mark_seen_ = 0;  // bytes of the byte order mark at the start
  bool is_started_ = false;
  bool skips_line_feed_ = false;  // the line ended with CR, and an LF may belong to it
  std::string line_;
  std::string type_;
  std::string data_;
  bool has_data_ = false;
  bool has_fields_ = false;

  // Bare JSON goes on until its brackets are balanced.
  std::string bare_;
  int bare_depth_ = 0;
  bool bare_in_string_ = false;
  bool bare_escapes_ = false;

  int64_t events_ = 0;
  int64_t keep_alives_ = 0;
};

}  // namespace taut::ai
