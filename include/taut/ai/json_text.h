#pragma once
// Requests and answers as JSON text: for files, and for other languages.
//   std::string text = to_json(request);
//   ChatRequest same = chat_request_from_json(text);
// A field that is not set is left out, a number that is not finite is null, bytes are base64. Equal
// values give equal text, so it may be hashed. Reading throws ValueError for what is not of this
// form, unknown members included.

#include <string>
#include <string_view>

#include "taut/ai/capability.h"
#include "taut/ai/event.h"
#include "taut/ai/request.h"
#include "taut/ai/response.h"

namespace taut::ai {

TAUT_API std::string to_json(const Message& message);
TAUT_API std::string to_json(const ChatRequest& request);
TAUT_API std::string to_json(const EmbeddingRequest& request);
TAUT_API std::string to_json(const BatchRequest& request);
TAUT_API std::string to_json(const Usage& usage);
TAUT_API std::string to_json(const ChatResponse& response);
TAUT_API std::string to_json(const EmbeddingResponse& response);
TAUT_API std::string to_json(const StreamEvent& event);
TAUT_API std::string to_json(const ErrorDetails& details);
TAUT_API std::string to_json(const ModelInfo& model);
TAUT_API std::string to_json(const BatchStatus& status);
TAUT_API std::string to_json(const BatchResult& result);
TAUT_API std::string to_json(const Capabilities& capabilities);

TAUT_API Usage usage_from_json(std::string_view text);
TAUT_API ChatRequest chat_request_from_json(std::string_view text);
TAUT_API EmbeddingRequest embedding_request_from_json(std::string_view text);
TAUT_API BatchRequest batch_request_from_json(std::string_view text);
TAUT_API ChatResponse chat_response_from_json(std::string_view text);
TAUT_API EmbeddingResponse embedding_response_from_json(std::string_view text);
TAUT_API StreamEvent stream_event_from_json(std::string_view text);
TAUT_API ErrorDetails error_details_from_json(std::string_view text);
TAUT_API BatchStatus batch_status_from_json(std::string_view text);
TAUT_API Capabilities capabilities_from_json(std::string_view text);

}  // namespace taut::ai
