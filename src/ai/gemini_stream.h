#pragma once
// The stream of Gemini's streamGenerateContent, which has no mark at its end.

#include <vector>

#include "src/ai/gemini_candidates.h"
#include "src/ai/json_assembler.h"

namespace taut::ai {

class GeminiAssembler final : public JsonAssembler {
 public:
  explicit GeminiAssembler(const ProviderConfig& config)
      : JsonAssembler(config), reader_(builder_) {}

 protected:
  void add_json(const Json& json, std::vector<StreamEvent>& events) override;
  bool is_error(const Json& json) const override;
  ErrorDetails error_of(const Json& json) const override;
  bool may_end() const override { return builder_.all_finished(); }

 private:
  GeminiReader reader_;
};

}  // namespace taut::ai
