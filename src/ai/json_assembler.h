#pragma once
// What the assemblers of all protocols share: events of JSON, the mark [DONE], and streams that are
// cut.

#include <string>
#include <string_view>
#include <vector>

#include "src/ai/json.h"
#include "src/ai/protocol.h"
#include "src/ai/response_builder.h"

namespace taut::ai {

class JsonAssembler : public StreamAssembler {
 public:
  explicit JsonAssembler(const ProviderConfig& config);

  void add(const SseEvent& event, std::vector<StreamEvent>& events) final;
  bool is_complete() const final { return is_complete_; }
  bool ends_here() final;
  const ChatResponse& response() const final { return builder_.response(); }
  void fetch(int depth) const override;

 protected:
  /// One event, an object, that reports no error.
  virtual void add_json(const Json& json, std::vector<StreamEvent>& events) = 0;
  /// Data that is [DONE]. Nothing where the protocol has no such mark.
  virtual void add_done(std::vector<StreamEvent>& events);
  /// Whether an event reports an error.
  virtual bool is_error(const Json& json) const = 0;
  virtual ErrorDetails error_of(const Json& json) const = 0;
  /// Whether the answer is whole, should the connection end now.
  virtual bool may_end() const = 0;

  void complete();
  [[noreturn]] void refuse_truncated(std::string message) const;

  const ProviderConfig config_;
  ResponseBuilder builder_;

 private:
  void add_parsed(const Json& json, std::vector<StreamEvent>& events);

  bool is_complete_ = false;
  bool is_cut_ = false;
};

}  // namespace taut::ai
