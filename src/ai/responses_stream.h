#pragma once
// The stream of an answer of POST /responses.

#include <vector>

#include "src/ai/json_assembler.h"
#include "src/ai/responses_output.h"

namespace taut::ai {

class ResponsesAssembler final : public JsonAssembler {
 public:
  explicit ResponsesAssembler(const ProviderConfig& config)
      : JsonAssembler(config), output_(builder_) {}

 protected:
  void add_json(const Json& json, std::vector<StreamEvent>& events) override;
  bool is_error(const Json& json) const override;
  ErrorDetails error_of(const Json& json) const override;
  /// Only an event that says so ends such a stream.
  bool may_end() const override { return false; }

 private:
  ResponsesOutput output_;
};

/// Whether a response says that it failed, and why.
bool is_failed_response(const Json& response);
ErrorDetails failed_response_error(const ProviderConfig& config, const Json& response, int status);

}  // namespace taut::ai
