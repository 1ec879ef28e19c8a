#pragma once
// A key of a provider. It is never printed, copied into an error or written to a file.
//   Secret key = Secret::from_environment("OPENAI_API_KEY");

#include <memory>
#include <string>
#include <string_view>

#include "taut/base/callback.h"
#include "taut/base/macros.h"

namespace taut::ai {

/// Where a key comes from; it is asked for when a request is made, and wiped when nobody needs it.
/// There is no way to print one. Copies share what they hold.
class TAUT_API Secret {
 public:
  /// No key: requests carry none.
  Secret() = default;
  static Secret of(std::string_view text);
  /// The first of these variables that is set and not empty; empty when none is.
  static Secret from_environment(std::string_view name, std::string_view other_name = {});
  /// The first line of a file that only its owner may read.
  /// Throws IoError where it cannot be read, and ValueError where others may read it.
  static Secret from_file(const std::string& path);
  /// Asked each time a request is made, on the thread that makes it.
  static Secret from_callback(Callback<std::string()> callback);

  explicit operator bool() const;  // whether there is a source, not whether it gives a key
  /// Whether it would give a key now. A callback is trusted, and not asked.
  bool is_there() const;

  class Source;  // what lies behind it: for the library alone
  const std::shared_ptr<Source>& source() const { return source_; }

 private:
  std::shared_ptr<Source> source_;
};

}  // namespace taut::ai
