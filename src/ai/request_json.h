#pragma once
// JSON that is put together: bodies of requests, and pieces of answers that are changed or written
// again. Included by .cpp files of src/ai alone, and by private headers that only they include,
// because nlohmann/json.hpp is a costly header.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "src/ai/json.h"

namespace taut::ai {

/// Members stay in their order, which models follow in the answers that a schema asks for.
using RequestJson = nlohmann::ordered_json;
/// Members stand in the order of their names, so that equal values are equal texts.
using SortedJson = nlohmann::json;

/// JSON text of the caller's. Throws ValueError, which begins with `what`, for a text that is none.
TAUT_API RequestJson parse_user_json(std::string_view text, std::string_view what);
/// The same, which has to be an object. An empty text is an empty object.
TAUT_API RequestJson parse_user_object(std::string_view text, std::string_view what);

/// A value of a document as one that can be changed. The last of two members of a name counts.
TAUT_API SortedJson sorted(const Json& json);
TAUT_API RequestJson ordered(const Json& json);

/// JSON text; bytes that are not UTF-8 become U+FFFD.
TAUT_API std::string to_text(const RequestJson& json);
TAUT_API std::string to_text(const SortedJson& json);
TAUT_API std::string to_text(const Json& json);

}  // namespace taut::ai
