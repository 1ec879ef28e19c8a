#pragma once
// What a request needs of a model, held against what the model has.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/capability.h"
#include "taut/ai/provider_config.h"
#include "taut/ai/request.h"

namespace taut::ai {

/// Either the caller's request or a copy of it without what the model lacks.
class CheckedRequest {
 public:
  /// Throws ProviderError: invalid_request for what makes no sense for any model (no model, no
  /// messages, numbers that are not finite ...), and unsupported_parameter for what this one lacks,
  /// unless the request wants that dropped. `lacks`: what the protocol has no words for, whatever
  /// the capabilities say.
  CheckedRequest(const ProviderConfig& config, const ChatRequest& request,
                 const Capabilities& capabilities, bool is_stream,
                 std::initializer_list<Feature> lacks = {});

  const ChatRequest& operator*() const { return copy_ ? *copy_ : original_; }
  const ChatRequest* operator->() const { return &**this; }

  /// What is asked for and cannot be had, for what has no Feature of its own. Throws, or leaves a
  /// warning where the request wants it dropped.
  void lacks(std::string_view param, std::string_view what);
  void warn(std::string warning) { warnings_.push_back(std::move(warning)); }
  std::vector<std::string> take_warnings() { return std::move(warnings_); }

 private:
  void apply(Feature feature);
  void limit_stops(int most);
  void limit_top_logprobs(int most);
  ChatRequest& copy();

  const ProviderConfig& config_;
  const ChatRequest& original_;
  std::optional<ChatRequest> copy_;
  std::vector<std::string> warnings_;
};

/// The feature that a parameter of a provider's own body stands for, by which a refusal teaches.
TAUT_API std::optional<Feature> feature_of_parameter(std::string_view param);

}  // namespace taut::ai
