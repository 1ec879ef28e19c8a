#include "src/ai/gemini_stream.h"

#include "src/ai/gemini_errors.h"

namespace taut::ai {

void GeminiAssembler::add_json(const Json& json, std::vector<StreamEvent>& events) {
  reader_.add(json, events);
}

bool GeminiAssembler::is_error(const Json& json) const { return is_gemini_error(json); }

ErrorDetails GeminiAssembler::error_of(const Json& json) const {
  return gemini_error(config_, json, 0);
}

}  // namespace taut::ai
