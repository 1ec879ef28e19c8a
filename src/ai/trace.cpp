#include "src/ai/trace.h"

#include "src/ai/key_text.h"
#include "taut/base/check.h"

namespace taut::ai {

namespace {

constexpr size_t kLongestLine = size_t{64} << 10;  // bytes; what is longer is cut

}  // namespace

Trace::~Trace() {
  for (Line* line : {&note_, &sent_, &received_}) {
    try {
      if (!line->text.empty()) end(*line);
    } catch (...) {
      // A trace is no reason for a call to fail.
    }
    wipe(line->text);
  }
}

void Trace::add(Kind kind, std::string_view bytes) noexcept {
  try {
    switch (kind) {
      case Kind::note: add(note_, bytes); break;
      case Kind::head_sent: add(sent_, bytes); break;
      case Kind::head_received: add(received_, bytes); break;
      case Kind::body_sent: tell_(concat(prefix_, "> ", bytes.size(), " bytes of a body")); break;
      case Kind::body_received:
        tell_(concat(prefix_, "< ", bytes.size(), " bytes of a body"));
        break;
    }
  } catch (...) {
    // As above.
  }
}

void Trace::add(Line& line, std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t feed = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, feed);
    const size_t room = kLongestLine - line.text.size();
    line.text.append(piece.substr(0, room));
    line.is_cut = line.is_cut || piece.size() > room;
    if (feed == std::string_view::npos) return;
    end(line);
    bytes.remove_prefix(feed + 1);
  }
}

void Trace::end(Line& line) {
  if (line.text.ends_with('\r')) line.text.pop_back();
  std::string whole = concat(prefix_, line.mark, line.text, line.is_cut ? " ..." : "");
  wipe(line.text);
  line.is_cut = false;
  try {
    tell_(whole);
  } catch (...) {
    wipe(whole);
    throw;
  }
  wipe(whole);
}

}  // namespace taut::ai
