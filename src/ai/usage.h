#pragma once
// What the providers say of the tokens that a call took, in the words of taut::ai::Usage. They
// differ in what they count twice, and in what they leave out.

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "src/ai/json.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/response.h"

namespace taut::ai {

/// The numbers of a usage object and of the objects in it.
class TAUT_API UsageNumbers {
 public:
  UsageNumbers() = default;
  UsageNumbers(const Json& usage) { add(usage); }

  /// Streams tell the usage several times: the last word on each member counts.
  void add(const Json& usage);
  /// What stands at "member" or at "object/member"; null where that is no number.
  const Json& at(std::string_view path) const;

 private:
  void add(std::string path, const Json& value);

  std::map<std::string, Json, std::less<>> numbers_;  // by path
};

/// The usage objects of POST /chat/completions, /responses, /v1/messages and of usageMetadata.
TAUT_API Usage usage_of_chat(const UsageNumbers& usage, Vendor vendor);
TAUT_API Usage usage_of_responses(const UsageNumbers& usage);
TAUT_API Usage usage_of_anthropic(const UsageNumbers& usage);
TAUT_API Usage usage_of_gemini(const UsageNumbers& usage);

}  // namespace taut::ai
