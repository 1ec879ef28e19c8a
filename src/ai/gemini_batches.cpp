#include "src/ai/gemini_batches.h"

#include <charconv>
#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/batches.h"
#include "src/ai/gemini_errors.h"
#include "src/ai/gemini_request.h"
#include "src/ai/path_segment.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

using State = BatchStatus::State;

/// JOB_STATE_RUNNING or BATCH_STATE_RUNNING.
State state_of(std::string_view word) {
  const size_t mark = word.find("_STATE_");
  if (mark != std::string_view::npos) word.remove_prefix(mark + 7);
  if (word == "RUNNING" || word == "CANCELLING") return State::running;
  if (word == "SUCCEEDED") return State::done;
  if (word == "FAILED") return State::failed;
  if (word == "CANCELLED") return State::cancelled;
  if (word == "EXPIRED") return State::expired;
  return State::waiting;
}

/// Google's JSON has long integers as strings.
std::optional<int64_t> count_of(const Json& json, std::string_view key) {
  const Json& value = member(json, key);
  if (!value.is_string()) return as<int64_t>(value);
  const std::string text = *as<std::string>(value);
  int64_t count = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool is_whole = result.ec == std::errc() && result.ptr == text.data() + text.size();
  return is_whole ? std::optional(count) : std::nullopt;
}

std::string batch_path(const ProviderConfig& config, std::string_view id) {
  const bool is_named = id.substr(0, 8) == "batches/";
  const std::string name = is_named ? std::string(id) : concat("batches/", id);
  return concat(gemini_root(config), "/", path_segment(config, "batch", name, true));
}

const std::string& model_of(const ProviderConfig& config, const BatchRequest& request) {
  const std::string& model = request.items.front().request.model;
  for (const BatchRequest::Item& item : request.items) {
    if (item.request.model == model) continue;
    refuse_request(config, item.request.model, "items",
                   concat("batch: its items want more than one model; got ", model, " and ",
                          item.request.model));
  }
  return model;
}

/// Where the results stand: in the operation's metadata or in its response.
const Json& output_of(const Json& batch) {
  const Json& output = member(member(batch, "metadata"), "output");
  return output.is_object() ? output : member(batch, "response");
}

/// The results of a batch that was made of a file are a file, too.
bool is_file(std::string_view output) { return output.substr(0, 6) == "files/"; }

/// One answer or error; `id` is its key.
BatchResult result_of(const ProtocolHandler& handler, const ProviderConfig& config, std::string id,
                      const Json& item) {
  if (is_gemini_error(item)) {
    BatchResult failed;
    failed.id = std::move(id);
    failed.error = gemini_error(config, item, 0);
    return failed;
  }
  HttpAnswer one;
  one.status = 200;
  one.body = to_text(member(item, "response"));
  return batch_result_of(handler, config, std::move(id), one);
}

}  // namespace

HttpRequest gemini_create_batch(const ProtocolHandler& handler, const ProviderConfig& config,
                                const BatchRequest& request) {
  check_batch(config, request, false);
  HttpRequest created;
  created.path = gemini_model_path(config, model_of(config, request), "batchGenerateContent");
  // The bodies are JSON text already: the batch is put together around them.
  created.body = R"({"batch":{"displayName":"taut","inputConfig":{"requests":{"requests":[)";
  bool is_first = true;
  for (const BatchRequest::Item& item : request.items) {
    const ChatRequest chat = batch_item_request(item);
    const BuiltRequest built =
        handler.chat(config, chat, handler.known_capabilities(config, chat.model), false);
    created.body +=
        concat(std::exchange(is_first, false) ? "" : ",", "{\"request\":", built.http.body,
               ",\"metadata\":{\"key\":", to_text(RequestJson(item.id)), "}}");
  }
  created.body += "]}}}}";
  return created;
}

HttpRequest gemini_batch(const ProviderConfig& config, std::string_view id) {
  HttpRequest request;
  request.method = "GET";
  request.path = batch_path(config, id);
  request.content_type.clear();
  return request;
}

HttpRequest gemini_batch_results(const ProviderConfig& config, std::string_view output) {
  if (!is_file(output)) return gemini_batch(config, output);
  return get_request(concat(gemini_root(config), "/", path_segment(config, "batch", output, true),
                            ":download?alt=media"));
}

HttpRequest gemini_cancel_batch(const ProviderConfig& config, std::string_view id) {
  HttpRequest request;
  request.path = batch_path(config, id) + ":cancel";
  return request;
}

BatchStatus parse_gemini_batch(const ProviderConfig& config, const HttpAnswer& answer) {
  const JsonDocument document = answer_object(config, answer);
  const Json& json = document.root();
  const Json& metadata = member(json, "metadata");
  const std::string state = text_of(metadata, "state");
  // A batch that failed has an error beside its state.
  if (state.empty() && is_gemini_error(json)) {
    throw ProviderError(parse_gemini_error(config, answer));
  }
  BatchStatus status;
  status.id = text_of(json, "name");
  if (status.id.empty()) refuse_answer(config, "batch: the answer has no name");
  status.raw_state = state;
  status.state = state_of(state);
  const Json& counts = member(metadata, "batchStats");
  status.total = count_of(counts, "requestCount");
  status.completed = count_of(counts, "successfulRequestCount");
  status.failed = count_of(counts, "failedRequestCount");
  const std::string file = text_of(output_of(json), "responsesFile");
  status.output = is_file(file) ? file : status.id;
  return status;
}

std::vector<BatchResult> parse_gemini_batch_results(const ProtocolHandler& handler,
                                                    const ProviderConfig& config,
                                                    const HttpAnswer& answer) {
  std::vector<BatchResult> results;
  const std::optional<JsonDocument> whole = parse_json(answer.body);
  // A file has a line for each item, with its key in it.
  if (!whole || !member(whole->root(), "key").is_null()) {
    for (const JsonDocument& line : answer_lines(config, answer)) {
      results.push_back(result_of(handler, config, text_of(line.root(), "key"), line.root()));
    }
    return results;
  }
  const JsonDocument document = answer_object(config, answer);
  const Json& inlined = member(output_of(document.root()), "inlinedResponses");
  for (const Json& item : elements(inlined, "inlinedResponses")) {
    results.push_back(result_of(handler, config, text_of(item, "metadata", "key"), item));
  }
  return results;
}

}  // namespace taut::ai
