#pragma once
// What the protocols share when they write a request: JSON text of the caller's, pictures, the
// fields that win over all others.

#include <string>
#include <string_view>

#include "src/ai/http.h"
#include "src/ai/request_json.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

/// The schema of a tool's parameters; of no parameters where there is none.
RequestJson tool_parameters(const ProviderConfig& config, const std::string& model,
                            const Tool& tool);
/// The schema that an answer has to follow.
RequestJson answer_schema(const ProviderConfig& config, const std::string& model,
                          const ResponseFormat& format);
/// A call's arguments as an object. Throws where the model wrote no JSON: these protocols have no
/// way to send that back.
RequestJson call_arguments(const ProviderConfig& config, const std::string& model,
                           const ToolCall& call);

/// A picture as it goes out: either an address or bytes.
struct Picture {
  std::string url;         // https
  std::string media_type;  // of `base64`
  std::string base64;

  /// The address, or a data: URL of the bytes.
  std::string as_url() const;
};
/// Throws for a picture that is neither or both, of a kind that nobody takes, or at an odd address.
Picture picture_of(const ProviderConfig& config, const std::string& model, const ImagePart& image);

/// Merges the fields of the config and of the request into a body; null takes a field out (RFC
/// 7396).
void add_extra(const ProviderConfig& config, const std::string& model, std::string_view extra,
               RequestJson& body);

/// The request of a body.
HttpRequest json_request(std::string path, const RequestJson& body, bool is_stream = false);
HttpRequest get_request(std::string path);

/// Throws: the message of this role cannot hold such a part.
[[noreturn]] void refuse_part(const ProviderConfig& config, const std::string& model,
                              std::string_view role, std::string_view part);

}  // namespace taut::ai
