#pragma once
// The stream of a chat completion.

#include <vector>

#include "src/ai/json_assembler.h"
#include "src/ai/openai_choices.h"

namespace taut::ai {

class OpenAiChatAssembler final : public JsonAssembler {
 public:
  explicit OpenAiChatAssembler(const ProviderConfig& config)
      : JsonAssembler(config), choices_(config_, builder_) {}

  void fetch(int depth) const override {
    JsonAssembler::fetch(depth);
    choices_.fetch(depth);
  }

 protected:
  void add_json(const Json& json, std::vector<StreamEvent>& events) override;
  void add_done(std::vector<StreamEvent>& events) override;
  bool is_error(const Json& json) const override;
  ErrorDetails error_of(const Json& json) const override;
  bool may_end() const override { return builder_.all_finished(); }

 private:
  ChoiceReader choices_;
};

}  // namespace taut::ai
