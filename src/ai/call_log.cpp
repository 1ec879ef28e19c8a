#include "taut/ai/call_log.h"

#include <chrono>
#include <cstdio>
#include <ctime>
#include <utility>

#include "src/ai/json_parts.h"
#include "src/ai/line_file.h"

namespace taut::ai {
namespace {

/// RFC 3339, in UTC, to the millisecond.
std::string now_as_text() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const auto seconds = static_cast<std::time_t>(milliseconds / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                static_cast<int>(milliseconds % 1000));
  return buffer;
}

form::Writer line_of(const std::string& provider, const std::string& model, const std::string& task,
                     const char* call, std::string status) {
  form::Writer line;
  line.put("time", now_as_text())
      .put("call", call)
      .put("provider", provider)
      .put("model", model)
      .set("task", task)
      .put("status", std::move(status));
  return line;
}

}  // namespace

std::shared_ptr<CallLog> CallLog::open(const std::string& path, bool include_texts) {
  auto file = std::make_unique<LineFile>(path, "call log");
  return std::shared_ptr<CallLog>(new CallLog(std::move(file), include_texts));
}

CallLog::CallLog(std::unique_ptr<LineFile> file, bool include_texts)
    : file_(std::move(file)), include_texts_(include_texts) {}

CallLog::~CallLog() = default;

void CallLog::add(const ChatRequest& request, const ChatResponse& response, bool is_stream) {
  form::Writer line =
      line_of(response.provider, request.model, request.task, is_stream ? "stream" : "chat", "ok");
  if (response.model != request.model) line.set("answered_as", response.model);
  line.put("usage", form::form_of(response.usage))
      .set("cost", response.cost)
      .set("seconds", response.seconds)
      .set("attempts", response.attempts, 1)
      .set("from_cache", response.from_cache)
      .set("request_id", response.request_id)
      .put("finish_reason", std::string(name(response.finish_reason())));
  if (include_texts_) {
    line.list("messages", request.messages,
              [](const Message& message) { return form::form_of(message); })
        .put("answer", response.text());
  }
  file_->add(form::dump(line.take()));
}

void CallLog::add(const EmbeddingRequest& request, const EmbeddingResponse& response) {
  form::Writer line = line_of(response.provider, request.model, request.task, "embed", "ok");
  line.put("usage", form::form_of(response.usage))
      .set("cost", response.cost)
      .set("seconds", response.seconds)
      .set("attempts", response.attempts, 1)
      .set("request_id", response.request_id);
  if (include_texts_) line.put("inputs", request.inputs);
  file_->add(form::dump(line.take()));
}

void CallLog::add_failure(const std::string& task, const ErrorDetails& details, double seconds,
                          bool is_stream) {
  form::Writer line = line_of(details.provider, details.model, task, is_stream ? "stream" : "chat",
                              std::string(name(details.kind)));
  line.set("http_status", details.http_status)
      .set("message", details.message)
      .set("seconds", seconds)
      .set("attempts", details.attempts, 1)
      .set("request_id", details.request_id);
  file_->add(form::dump(line.take()));
}

}  // namespace taut::ai
