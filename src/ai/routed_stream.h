#pragma once
// A router's stream: it begins with whoever answers first, and may begin anew with another one.

#include "src/ai/route_call.h"
#include "taut/ai/backend.h"

namespace taut::ai {

ChatStream routed_stream(std::shared_ptr<RouteRecord> record, const ChatRequest& request);

/// An answer that was kept; a cache that cannot be read is as if it were empty, for the call has an
/// error of its own.
std::optional<ChatResponse> kept_answer(const RouterOptions& options, const ChatRequest& request);
/// Keeps the answer for worse times; what goes wrong there is a warning of the response.
void keep_answer(const RouterOptions& options, const ChatRequest& request, ChatResponse& response);
/// The request as it is put to one of the targets.
ChatRequest request_for(const ChatRequest& request, const std::string& model,
                        std::optional<double> seconds_left);
/// What a reader should know of an answer that no target gave.
void warn_of_degradation(const RouteReport& report, ChatResponse& response);

}  // namespace taut::ai
