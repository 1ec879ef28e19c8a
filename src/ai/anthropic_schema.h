#pragma once
// The part of JSON Schema that Anthropic's structured answers know.

#include <string>
#include <vector>

#include "src/ai/request_json.h"

namespace taut::ai {

/// Rewrites a schema so that it is accepted: oneOf becomes anyOf, objects take no other properties,
/// and keywords that are not known move into the description, where the model reads them. Tells
/// each change that makes the schema ask for less.
TAUT_API std::vector<std::string> fit_anthropic_schema(RequestJson& schema);

}  // namespace taut::ai
