#include "src/ai/xai_batches.h"

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

struct Counts {
  int64_t requests, pending, cancelled;
};

/// There is no word for it: the counts tell, and two texts beside them. All counts are zero before
/// the file was read, and stay so where it was refused.
State state_of(const Json& batch, const Counts& counts) {
  if (!text_of(batch, "cancel_by_xai_message").empty()) return State::failed;
  if (counts.pending > 0) return State::running;
  const bool is_cancelled = !text_of(batch, "cancel_time").empty();
  if (counts.requests == 0) return is_cancelled ? State::cancelled : State::waiting;
  return counts.cancelled == counts.requests ? State::cancelled : State::done;
}

/// What the numbers mean by which gRPC, which is behind this, calls an error.
ErrorKind kind_of_code(int64_t code) {
  switch (code) {
    case 1: return ErrorKind::cancelled;
    case 3:
    case 9:
    case 11: return ErrorKind::invalid_request;
    case 5: return ErrorKind::not_found;
    case 7: return ErrorKind::permission;
    case 8: return ErrorKind::rate_limited;
    case 14: return ErrorKind::overloaded;
    case 16: return ErrorKind::auth;
    default: return ErrorKind::server_error;
  }
}

/// An object with a code and a message, or a text.
ErrorDetails error_of_item(const ProviderConfig& config, const Json& error) {
  ErrorDetails details;
  details.provider = config.name;
  const std::optional<int64_t> code = get<int64_t>(error, "code");
  details.kind = code ? kind_of_code(*code) : ErrorKind::server_error;
  if (code) details.vendor_code = concat(*code);
  const std::optional<std::string> text = as<std::string>(error);
  details.message = capped_message(text ? *text : text_of(error, "message"));
  return details;
}

const Json& error_in(const Json& item) {
  const Json& inner = member(member(item, "batch_result"), "error");
  if (!inner.is_null()) return inner;
  const Json& outer = member(item, "error");
  return outer.is_null() ? member(item, "error_message") : outer;
}

/// The answer stands in an object, below the name of what was called.
const Json& answer_in(const Json& item) {
  const Json& response = member(member(item, "batch_result"), "response");
  if (!response.is_object() || response.empty()) return response;
  return (*response.members().begin()).value;
}

}  // namespace

HttpRequest xai_create_batch(const ProviderConfig& config, const HttpAnswer* upload) {
  if (upload == nullptr) {
    refuse_request(config, {}, "batch", "batch: its file has not been uploaded");
  }
  const std::string file = text_of(answer_object(config, *upload).root(), "id");
  if (file.empty()) refuse_answer(config, "batch: the answer to the upload names no file");
  return json_request("/batches", {{"name", "taut"}, {"input_file_id", file}});
}

HttpRequest xai_cancel_batch(const ProviderConfig& config, const std::string& id) {
  HttpRequest request;
  request.path = concat("/batches/", path_segment(config, "batch", id), ":cancel");
  return request;
}

BatchStatus parse_xai_batch(const ProviderConfig& config, const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_openai_error(json)) throw ProviderError(parse_openai_error(config, answer));
  BatchStatus status;
  status.id = text_of(json, "batch_id");
  if (status.id.empty()) refuse_answer(config, "batch: the answer has no batch_id");
  const Json& state = member(json, "state");
  const auto count = [&state](std::string_view key) {
    return get<int64_t>(state, key).value_or(0);
  };
  const Counts counts = {count("num_requests"), count("num_pending"), count("num_cancelled")};
  status.state = state_of(json, counts);
  status.raw_state = status.state == State::failed ? text_of(json, "cancel_by_xai_message")
                                                   : concat(counts.pending, " pending");
  status.total = counts.requests;
  status.completed = count("num_success");
  status.failed = count("num_error") + counts.cancelled;
  status.output = status.id;
  return status;
}

HttpRequest xai_batch_results(const ProviderConfig& config, const BatchStatus& status) {
  check_batch_is_over(config, status);
  return get_request(
      concat("/batches/", path_segment(config, "batch", status.output), "/results?page_size=100"));
}

std::optional<HttpRequest> xai_batch_results_after(const ProviderConfig& config,
                                                   const HttpRequest& page,
                                                   const HttpAnswer& answer) {
  const std::string token = text_of(answer_object(config, answer).root(), "pagination_token");
  if (token.empty()) return std::nullopt;
  const std::string first = page.path.substr(0, page.path.find('&'));
  return get_request(
      concat(first, "&pagination_token=", path_segment(config, "pagination_token", token)));
}

std::vector<BatchResult> parse_xai_batch_results(const ProtocolHandler& handler,
                                                 const ProviderConfig& config,
                                                 const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  if (is_openai_error(json)) throw ProviderError(parse_openai_error(config, answer));
  std::vector<BatchResult> results;
  for (const Json& item : elements(json, "results")) {
    std::string id = text_of(item, "batch_request_id");
    const Json& response = answer_in(item);
    if (response.is_object()) {
      HttpAnswer one;
      one.status = 200;
      one.body = to_text(response);
      results.push_back(batch_result_of(handler, config, std::move(id), one));
    } else {
      BatchResult& result = results.emplace_back();
      result.id = std::move(id);
      result.error = error_of_item(config, error_in(item));
    }
  }
  return results;
}

}  // namespace taut::ai
