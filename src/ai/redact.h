#pragma once
// Takes keys out of everything that leaves the library: messages of errors, excerpts of bodies,
// headers.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/ai/key_text.h"
#include "taut/ai/error.h"
#include "taut/ai/response.h"

namespace taut::ai {

constexpr std::string_view kRedacted = "<redacted>";

/// The keys that a client has used. Safe from many threads.
class TAUT_API KeyRing {
 public:
  KeyRing();
  ~KeyRing();
  void add(std::string_view key);

  /// Without any piece of a known key that is eight bytes or longer, without what looks like a key
  /// of some vendor, and without the values of headers that hold one.
  std::string redact(std::string_view text) const;
  /// The same, cut to 4 KiB.
  std::string excerpt(std::string_view text, size_t most = 4096) const;
  void redact(ErrorDetails& details) const;
  void redact(std::vector<Header>& headers) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether a header holds a key or a cookie; the name is in lower case.
TAUT_API bool is_sensitive_header(std::string_view name);

}  // namespace taut::ai
