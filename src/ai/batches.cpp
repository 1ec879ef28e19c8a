#include "src/ai/batches.h"

#include <set>
#include <utility>

#include "src/ai/refusal.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

bool is_plain_id(const std::string& id) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  return id.size() <= 64 && id.find_first_not_of(kLetters) == std::string::npos;
}

}  // namespace

void check_batch(const ProviderConfig& config, const BatchRequest& request, bool has_plain_ids) {
  if (request.items.empty()) refuse_request(config, {}, "items", "batch: it has no items");
  std::set<std::string_view> ids;
  for (const BatchRequest::Item& item : request.items) {
    if (item.id.empty() || !ids.insert(item.id).second) {
      refuse_request(config, item.request.model, "items",
                     concat("batch: an id is empty or used twice; got '", item.id, "'"));
    }
    if (has_plain_ids && !is_plain_id(item.id)) {
      refuse_request(config, item.request.model, "items",
                     concat("batch: an id is not one; got '", item.id,
                            "'; expected 1 to 64 letters, digits, _ and -"));
    }
  }
}

ChatRequest batch_item_request(const BatchRequest::Item& item) {
  ChatRequest request = item.request;
  request.features = FeaturePolicy::error;
  return request;
}

BatchResult batch_result_of(const ProtocolHandler& handler, const ProviderConfig& config,
                            std::string id, const HttpAnswer& answer) {
  BatchResult result;
  result.id = std::move(id);
  if (answer.status < 200 || answer.status >= 300) {
    result.error = handler.parse_error(config, answer);
    return result;
  }
  try {
    result.response = handler.parse_chat(config, answer);
  } catch (const ProviderError& error) {
    result.error = error.details();
  }
  return result;
}

void refuse_batches(const ProviderConfig& config) {
  refuse_request(config, {}, "batch",
                 concat("batch: ", config.name, " has no batches that Taut can speak to"),
                 ErrorKind::unsupported_parameter);
}

void check_batch_is_over(const ProviderConfig& config, const BatchStatus& status) {
  const bool is_over =
      status.state != BatchStatus::State::waiting && status.state != BatchStatus::State::running;
  if (is_over) return;
  refuse_request(
      config, {}, "batch",
      concat("batch: there are no results yet; got state '", status.raw_state, "' of ", status.id));
}

}  // namespace taut::ai
