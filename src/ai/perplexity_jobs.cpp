#include "src/ai/perplexity_jobs.h"

#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/batches.h"
#include "src/ai/error_kinds.h"
#include "src/ai/openai_errors.h"
#include "src/ai/path_segment.h"
#include "src/ai/refusal.h"
#include "src/ai/request_json.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

using State = BatchStatus::State;

constexpr std::string_view kJobs = "/async/chat/completions";

State state_of(std::string_view word) {
  if (word == "CREATED") return State::waiting;
  if (word == "COMPLETED") return State::done;
  if (word == "FAILED") return State::failed;
  return State::running;
}

}  // namespace

HttpRequest perplexity_create_job(const ProtocolHandler& handler, const ProviderConfig& config,
                                  const BatchRequest& request) {
  check_batch(config, request, false);
  if (request.items.size() > 1) {
    refuse_request(config, {}, "items",
                   concat("batch: ", config.name, " takes one request as a job of its own; got ",
                          request.items.size(), " items; expected 1"));
  }
  const ChatRequest chat = batch_item_request(request.items.front());
  const BuiltRequest built =
      handler.chat(config, chat, handler.known_capabilities(config, chat.model), false);
  HttpRequest created;
  created.path = std::string(kJobs);
  // The body is JSON text already: the job is put together around it.
  created.body = concat("{\"request\":", built.http.body, "}");
  return created;
}

HttpRequest perplexity_job(const ProviderConfig& config, const std::string& id) {
  return get_request(concat(kJobs, "/", path_segment(config, "batch", id)));
}

BatchStatus parse_perplexity_job(const ProviderConfig& config, const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_openai_error(json)) throw ProviderError(parse_openai_error(config, answer));
  BatchStatus status;
  status.id = text_of(json, "id");
  status.raw_state = text_of(json, "status");
  if (status.id.empty() || status.raw_state.empty()) {
    refuse_answer(config, "batch: the answer has no id or no status");
  }
  status.state = state_of(status.raw_state);
  status.total = 1;
  status.completed = status.state == State::done ? 1 : 0;
  status.failed = status.state == State::failed ? 1 : 0;
  status.output = status.id;
  return status;
}

std::vector<BatchResult> parse_perplexity_job_result(const ProtocolHandler& handler,
                                                     const ProviderConfig& config,
                                                     const HttpAnswer& answer) {
  const BatchStatus status = parse_perplexity_job(config, answer);
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (status.state == State::done) {
    HttpAnswer one;
    one.status = 200;
    one.body = to_text(member(json, "response"));
    return {batch_result_of(handler, config, status.id, one)};
  }
  BatchResult failed;
  failed.id = status.id;
  failed.error.emplace();
  failed.error->provider = config.name;
  failed.error->kind = ErrorKind::server_error;
  failed.error->vendor_type = status.raw_state;
  failed.error->message = capped_message(text_of(json, "error_message"));
  return {std::move(failed)};
}

}  // namespace taut::ai
