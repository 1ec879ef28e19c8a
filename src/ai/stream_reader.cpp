#include "src/ai/stream_reader.h"

#include <mutex>
#include <utility>

#include "taut/base/check.h"
#include "taut/base/fetch_memory.h"

namespace taut::ai {

namespace {

constexpr size_t kExcerpt = 512;  // bytes of a body that is not what was asked for

[[noreturn]] void raise(ErrorKind kind, std::string message) {
  throw ProviderError({.kind = kind, .message = std::move(message)});
}

/// Word on usage is no part of the answer: what comes later replaces it.
bool has_output(const std::vector<StreamEvent>& events) {
  for (const StreamEvent& event : events) {
    if (event.kind != StreamEvent::Kind::usage) return true;
  }
  return false;
}

/// "text/event-stream; charset=utf-8" without its parameters.
std::string media_type(std::string_view content_type) {
  std::string_view type = content_type.substr(0, content_type.find(';'));
  while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
  return lower_case(type);
}

}  // namespace

// ---- What has arrived ---------------------------------------------------------------------------

StreamReader::SoFar::SoFar(std::string provider, std::string model)
    : provider_(std::move(provider)), model_(std::move(model)) {}

void StreamReader::SoFar::restart(std::unique_ptr<StreamAssembler> assembler) {
  const std::lock_guard lock(mutex_);
  assembler_ = std::move(assembler);
  is_whole_ = false;
}

bool StreamReader::SoFar::add(const SseEvent& event, std::vector<StreamEvent>& events) {
  assembler_->add(event, events);
  return assembler_->is_complete();
}

bool StreamReader::SoFar::ends_here() {
  const std::lock_guard lock(mutex_);
  return assembler_->ends_here();
}

void StreamReader::SoFar::set(ChatResponse response) {
  const std::lock_guard lock(mutex_);
  whole_ = std::move(response);
  is_whole_ = true;
}

ChatResponse StreamReader::SoFar::response() const {
  const std::lock_guard lock(mutex_);
  ChatResponse response;
  if (is_whole_) {
    response = *whole_;
  } else if (assembler_ != nullptr) {
    response = assembler_->response();
  } else {
    response.usage.partial = true;
  }
  response.provider = provider_;
  if (response.model.empty()) response.model = model_;
  return response;
}

void StreamReader::SoFar::fetch(int depth) const {
  if (depth == 0) {
    fetch_memory(this, &provider_);
  } else if (assembler_ != nullptr) {
    assembler_->fetch(depth - 1);
  }
}

// ---- The reader ---------------------------------------------------------------------------------

StreamReader::StreamReader(Settings settings, std::shared_ptr<StreamQueue> queue)
    : most_bytes_(settings.limits.stream),
      queue_(std::move(queue)),
      so_far_(std::make_shared<SoFar>(settings.config.name, settings.model)),
      settings_(std::move(settings)),
      body_(settings_.limits.json) {}

void StreamReader::begin() {
  so_far_->restart(settings_.handler.assembler(settings_.config));
  parser_.emplace(settings_.limits);
  body_.clear();
  bytes_ = 0;
  is_complete_ = false;
}

void StreamReader::on_head(const HttpAnswer& head) {
  content_type_ = std::string(head.header("content-type"));
  const std::string type = media_type(content_type_);
  form_ = type == "text/event-stream"  ? Form::events
          : type == "application/json" ? Form::json
                                       : Form::other;
}

Flow StreamReader::on_bytes(std::string_view bytes) {
  if (form_ == Form::json) return body_.add(bytes);
  if (form_ == Form::events) return read_events(bytes);
  const Flow flow = body_.add(bytes);
  if (body_.size() >= static_cast<int64_t>(kExcerpt)) refuse_type();
  return flow;
}

void StreamReader::refuse_type() const {
  raise(ErrorKind::malformed_response,
        concat("the answer is not a stream; got ",
               content_type_.empty() ? std::string("no content type") : content_type_, ", \"",
               settings_.excerpt(std::string_view(body_.body()).substr(0, kExcerpt)),
               "\"; expected text/event-stream"));
}

Flow StreamReader::read_events(std::string_view bytes) {
  if (queue_->is_full()) return Flow::pause;
  bytes_ += static_cast<int64_t>(bytes.size());
  if (bytes_ > most_bytes_) {
    raise(ErrorKind::malformed_response,
          concat("the stream is too large; got more than ", most_bytes_, " bytes"));
  }
  // One for all streams of a thread: its memory stays in the cache.
  thread_local std::vector<StreamEvent> spare;
  understood_.swap(spare);
  const Flow flow = understand(bytes);
  understood_.swap(spare);
  return flow;
}

Flow StreamReader::understand(std::string_view bytes) {
  std::exception_ptr error;
  try {
    const auto lock = so_far_->lock();
    parser_->add(bytes, *this);
  } catch (...) {
    error = std::current_exception();  // what came before the wrong line still counts
  }
  const bool carried = pass_on();
  if (is_complete_) return Flow::enough;
  if (error) std::rethrow_exception(error);
  return carried ? Flow::progress : Flow::alive;
}

void StreamReader::on_event(const SseEvent& event) {
  if (!is_complete_) is_complete_ = so_far_->add(event, understood_);
}

/// Whether anything came for the caller.
bool StreamReader::pass_on() {
  if (understood_.empty()) return false;
  has_delivered_ = has_delivered_ || has_output(understood_);
  queue_->push(std::move(understood_));
  understood_.clear();
  return true;
}

void StreamReader::finish(HttpAnswer& answer) {
  if (form_ == Form::other) refuse_type();
  if (form_ == Form::json) {
    answer.body = body_.take();
    ChatResponse response = settings_.handler.parse_chat(settings_.config, answer);
    std::vector<StreamEvent> events = events_of(response);
    has_delivered_ = has_output(events);
    so_far_->set(std::move(response));
    queue_->push(std::move(events));
    return;
  }
  if (is_complete_) return;
  std::exception_ptr error;
  try {
    const auto lock = so_far_->lock();
    parser_->finish(*this);
  } catch (...) {
    error = std::current_exception();
  }
  pass_on();
  if (is_complete_) return;
  if (error) std::rethrow_exception(error);
  if (so_far_->ends_here()) return;
  raise(ErrorKind::truncated_stream, "the stream ended before its protocol's end");
}

std::optional<double> StreamReader::tokens_used() const {
  const std::optional<int64_t> total = so_far_->response().usage.total;
  return total ? std::optional<double>(static_cast<double>(*total)) : std::nullopt;
}

void StreamReader::fetch(int depth) const {
  if (depth == 0) {
    fetch_memory(this, &settings_);
  } else {
    queue_->fetch(depth - 1);
    so_far_->fetch(depth - 1);
  }
}

void StreamReader::deliver(CallReport report) {
  ChatResponse response = so_far_->response();
  response.attempts = report.attempts;
  response.seconds = report.seconds;
  response.seconds_to_first = report.seconds_to_first;
  if (!report.request_id.empty()) response.request_id = std::move(report.request_id);
  response.headers = std::move(report.headers);
  for (std::string& warning : settings_.warnings()) response.warnings.push_back(std::move(warning));
  queue_->close(std::move(response), nullptr);
}

void StreamReader::fail(std::exception_ptr error) {
  ChatResponse response = so_far_->response();
  response.usage.partial = true;
  queue_->close(std::move(response), std::move(error));
}

}  // namespace taut::ai
