#pragma once
// What the protocols with batches share.

#include "src/ai/protocol.h"

namespace taut::ai {

/// Throws invalid_request for a batch without items, and for items without an id or with one that
/// another has. `has_plain_ids`: whether they are letters, digits, _ and - alone, at most 64 of
/// them.
void check_batch(const ProviderConfig& config, const BatchRequest& request, bool has_plain_ids);

/// An item's request; what its model lacks is an error, for there is nobody to warn.
ChatRequest batch_item_request(const BatchRequest::Item& item);

/// The result of one item: what the answer is, or the error that it tells.
BatchResult batch_result_of(const ProtocolHandler& handler, const ProviderConfig& config,
                            std::string id, const HttpAnswer& answer);

/// Throws: this provider has no batches.
[[noreturn]] void refuse_batches(const ProviderConfig& config);
/// Throws where there are no results yet.
void check_batch_is_over(const ProviderConfig& config, const BatchStatus& status);

}  // namespace taut::ai
