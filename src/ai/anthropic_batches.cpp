#include "src/ai/anthropic_batches.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/anthropic_errors.h"
#include "src/ai/batches.h"
#include "src/ai/refusal.h"
#include "src/ai/request_json.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

ErrorDetails unanswered(const ProviderConfig& config, ErrorKind kind, std::string word) {
  ErrorDetails details;
  details.provider = config.name;
  details.kind = kind;
  details.vendor_type = word;
  details.message = concat("batch: the item was not answered; got ", word);
  return details;
}

BatchResult result_of(const ProtocolHandler& handler, const ProviderConfig& config,
                      const Json& line) {
  const Json& result = member(line, "result");
  const std::string type = text_of(result, "type");
  const std::string id = text_of(line, "custom_id");
  if (type == "succeeded") {
    HttpAnswer answer;
    answer.status = 200;
    answer.body = to_text(member(result, "message"));
    return batch_result_of(handler, config, id, answer);
  }
  BatchResult failed;
  failed.id = id;
  if (type == "errored") {
    failed.error = anthropic_error(config, member(result, "error"), 0);
  } else if (type == "canceled") {
    failed.error = unanswered(config, ErrorKind::cancelled, type);
  } else {
    // "expired": the day was over before its turn came.
    failed.error = unanswered(config, ErrorKind::server_error, type);
  }
  return failed;
}

}  // namespace

HttpRequest anthropic_create_batch(const ProtocolHandler& handler, const ProviderConfig& config,
                                   const BatchRequest& request) {
  check_batch(config, request, true);
  // The bodies are JSON text already: the batch is put together around them.
  std::string body = "{\"requests\":[";
  for (const BatchRequest::Item& item : request.items) {
    const ChatRequest chat = batch_item_request(item);
    const BuiltRequest built =
        handler.chat(config, chat, handler.known_capabilities(config, chat.model), false);
    if (body.back() == '}') body += ",";
    body += concat("{\"custom_id\":", to_text(RequestJson(item.id)),
                   ",\"params\":", built.http.body, "}");
  }
  HttpRequest created;
  created.path = "/v1/messages/batches";
  created.body = body + "]}";
  return created;
}

BatchStatus parse_anthropic_batch(const ProviderConfig& config, const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_anthropic_error(json)) throw ProviderError(parse_anthropic_error(config, answer));
  BatchStatus status;
  status.id = text_of(json, "id");
  status.raw_state = text_of(json, "processing_status");
  if (status.id.empty() || status.raw_state.empty()) {
    refuse_answer(config, "batch: the answer has no id or no processing_status");
  }
  const bool is_over = status.raw_state == "ended";
  status.state = is_over ? BatchStatus::State::done : BatchStatus::State::running;
  const Json& counts = member(json, "request_counts");
  const auto count = [&](std::string_view key) { return get<int64_t>(counts, key).value_or(0); };
  if (counts.is_object()) {
    status.completed = count("succeeded");
    status.failed = count("errored") + count("canceled") + count("expired");
    status.total = *status.completed + *status.failed + count("processing");
  }
  status.output = status.id;
  return status;
}

std::vector<BatchResult> parse_anthropic_batch_results(const ProtocolHandler& handler,
                                                       const ProviderConfig& config,
                                                       const HttpAnswer& answer) {
  std::vector<BatchResult> results;
  for (const JsonDocument& line : answer_lines(config, answer)) {
    results.push_back(result_of(handler, config, line.root()));
  }
  return results;
}

}  // namespace taut::ai
