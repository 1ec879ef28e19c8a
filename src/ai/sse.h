#pragma once
// Server-sent events as the WHATWG's standard defines them (HTML, "Server-sent events", 9.2.6),
// from bytes that arrive in any pieces.

#include <cstdint>
#include <string>
#include <string_view>

#include "taut/ai/client.h"

namespace taut::ai {

/// What it refers to is there while the listener is told of it.
struct SseEvent {
  std::string_view type;  // "message" where the stream names none
  std::string_view data;
  /// Not an event of the standard: bare JSON between events, as Gemini reports errors.
  bool is_bare_json = false;
  /// The stream ended before the empty line that ends an event: it may be a part of one.
  bool is_cut = false;
};

class SseListener {
 public:
  virtual void on_event(const SseEvent& event) = 0;

 protected:
  ~SseListener() = default;
};

/// The value of a field of an event that comes: where the bytes are that it was read from, as long
/// as they are there.
class SseValue {
 public:
  std::string_view text() const { return text_; }
  void set(std::string_view text) { text_ = text; }
  void add_line(std::string_view line);
  void clear();
  /// The bytes that it was read from go.
  void keep();

 private:
  std::string_view text_;
  std::string kept_;
};

class TAUT_API SseParser {
 public:
  explicit SseParser(const SizeLimits& limits);

  /// Takes in bytes and tells of the events that they complete. Throws ProviderError,
  /// malformed_response, where a limit is passed, and what the listener throws: nothing more can be
  /// added then.
  void add(std::string_view bytes, SseListener& listener);
  /// The stream has ended: what lies there without an empty line behind it, as an event that is
  /// cut, for the assembler to look for an end or an error in it.
  void finish(SseListener& listener);
  bool has_pending() const;
  /// Comments and empty events so far: signs of life that carry nothing.
  int64_t keep_alives() const { return keep_alives_; }

 private:
  std::string_view skip_byte_order_mark(std::string_view bytes);
  void check_line(size_t size) const;
  void add_to_line(std::string_view piece);
  void read_lines(std::string_view bytes, SseListener& listener);
  void end_line(SseListener& listener);
  void read_line(std::string_view line, SseListener& listener);
  void read_field(std::string_view name, std::string_view value);
  void keep_fields();
  void dispatch(SseListener& listener);
  void collect_bare_json(std::string_view line, SseListener& listener);
  void tell_bare_json(SseListener& listener);
  void tell(const SseEvent& event, SseListener& listener);

  const int64_t line_limit_;
  const int64_t event_limit_;
  const int64_t events_limit_;

  size_t mark_seen_ = 0;  // bytes of the byte order mark at the start
  bool is_started_ = false;
  bool skips_line_feed_ = false;  // the line ended with CR, and an LF may belong to it
  bool has_ended_ = false;
  std::string line_;
  SseValue type_;
  SseValue data_;
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
