#include "src/ai/openai_batches.h"

#include <algorithm>
#include <utility>

#include "src/ai/answer_json.h"
#include "src/ai/batches.h"
#include "src/ai/openai_errors.h"
#include "src/ai/path_segment.h"
#include "src/ai/refusal.h"
#include "src/ai/request_parts.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

using State = BatchStatus::State;

State state_of(std::string_view word) {
  if (word == "validating") return State::waiting;
  if (word == "completed") return State::done;
  if (word == "failed") return State::failed;
  if (word == "cancelled") return State::cancelled;
  if (word == "expired") return State::expired;
  return State::running;
}

/// A line between the parts of a form that none of them holds.
std::string boundary_of(std::string_view content) {
  std::string boundary = "taut-batch";
  for (int64_t number = 0; content.find(boundary) != std::string_view::npos; ++number) {
    boundary = concat("taut-batch-", number);
  }
  return boundary;
}

std::string form_field(std::string_view boundary, std::string_view disposition,
                       std::string_view type, std::string_view content) {
  std::string field = concat("--", boundary, "\r\nContent-Disposition: form-data; ", disposition);
  if (!type.empty()) field += concat("\r\nContent-Type: ", type);
  return concat(field, "\r\n\r\n", content, "\r\n");
}

}  // namespace

HttpRequest openai_batch_upload(const ProtocolHandler& handler, const ProviderConfig& config,
                                const BatchRequest& request, std::string_view endpoint) {
  check_batch(config, request, false);
  std::string lines;
  for (const BatchRequest::Item& item : request.items) {
    const ChatRequest chat = batch_item_request(item);
    const BuiltRequest built =
        handler.chat(config, chat, handler.known_capabilities(config, chat.model), false);
    // The body is JSON text already: the line is put together around it.
    lines +=
        concat("{\"custom_id\":", to_text(RequestJson(item.id)), ",\"method\":\"POST\",\"url\":\"",
               endpoint, "\",\"body\":", built.http.body, "}\n");
  }
  const std::string boundary = boundary_of(lines);
  HttpRequest upload;
  upload.path = "/files";
  upload.content_type = concat("multipart/form-data; boundary=", boundary);
  // xAI's files have no purpose.
  if (config.vendor != Vendor::xai) {
    upload.body = form_field(boundary, "name=\"purpose\"", {}, "batch");
  }
  upload.body += concat(
      form_field(boundary, "name=\"file\"; filename=\"batch.jsonl\"", "application/jsonl", lines),
      "--", boundary, "--\r\n");
  return upload;
}

HttpRequest openai_create_batch(const ProviderConfig& config, const HttpAnswer* upload,
                                std::string_view endpoint) {
  if (upload == nullptr) {
    refuse_request(config, {}, "batch", "batch: its file has not been uploaded");
  }
  const std::string file = text_of(answer_object(config, *upload).root(), "id");
  if (file.empty()) refuse_answer(config, "batch: the answer to the upload names no file");
  return json_request(
      "/batches", {{"input_file_id", file}, {"endpoint", endpoint}, {"completion_window", "24h"}});
}

BatchStatus parse_openai_batch(const ProviderConfig& config, const HttpAnswer& answer) {
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
  status.total = get<int64_t>(json, "request_counts", "total");
  status.completed = get<int64_t>(json, "request_counts", "completed");
  status.failed = get<int64_t>(json, "request_counts", "failed");
  // The names of both files, with a space between them.
  status.output = text_of(json, "output_file_id");
  const std::string errors = text_of(json, "error_file_id");
  if (!errors.empty()) status.output += status.output.empty() ? errors : " " + errors;
  return status;
}

std::vector<HttpRequest> openai_batch_results(const ProviderConfig& config,
                                              const BatchStatus& status) {
  check_batch_is_over(config, status);
  std::vector<HttpRequest> requests;
  const std::string_view files = status.output;
  for (size_t begin = 0; begin < files.size();) {
    const size_t end = std::min(files.find(' ', begin), files.size());
    const std::string_view file = files.substr(begin, end - begin);
    requests.push_back(
        get_request(concat("/files/", path_segment(config, "batch", file), "/content")));
    begin = end + 1;
  }
  return requests;
}

std::vector<BatchResult> parse_openai_batch_results(const ProtocolHandler& handler,
                                                    const ProviderConfig& config,
                                                    const HttpAnswer& answer) {
  std::vector<BatchResult> results;
  for (const JsonDocument& document : answer_lines(config, answer)) {
    const Json& line = document.root();
    const std::string id = text_of(line, "custom_id");
    const Json& response = member(line, "response");
    if (!response.is_object()) {
      BatchResult& result = results.emplace_back();
      result.id = id;
      result.error = openai_error(config, line, 0);
      continue;
    }
    HttpAnswer item;
    item.status = static_cast<int>(get<int64_t>(response, "status_code").value_or(200));
    item.body = to_text(member(response, "body"));
    results.push_back(batch_result_of(handler, config, id, item));
    std::string request_id = text_of(response, "request_id");
    BatchResult& result = results.back();
    if (result.response) result.response->request_id = request_id;
    if (result.error && result.error->request_id.empty()) result.error->request_id = request_id;
  }
  return results;
}

}  // namespace taut::ai
