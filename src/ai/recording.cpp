#include "taut/ai/recording.h"

#include <deque>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>

#include "src/ai/follow.h"
#include "src/ai/json_parts.h"
#include "src/ai/line_file.h"
#include "src/ai/redact.h"
#include "src/ai/stream_relay.h"
#include "taut/ai/cache.h"
#include "taut/ai/json_text.h"

namespace taut::ai {
namespace {

constexpr int kFormat = 1;
constexpr std::string_view kWhat = "recording";

/// Takes what looks like a key out of every string of a value.
void redact(const KeyRing& keys, form::Json& value) {
  // Values nest no deeper than the forms of requests and answers do.
  if (value.is_string()) {
    value = keys.redact(value.get_ref<const std::string&>());
  } else if (value.is_structured()) {
    for (auto& item : value) redact(keys, item);
  }
}

/// Lines of one file. What calls the same request the same does not look at the provider, so that a
/// recording may stand in for another one.
class Recorder {
 public:
  Recorder(const std::string& path, std::string provider)
      : file_(path, std::string(kWhat)), provider_(std::move(provider)) {}

  template <class Request>
  void add(const char* call, const Request& request, const form::Json& stripped_request,
           form::Json members) const {
    form::Json request_form = stripped_request;
    redact(keys_, request_form);
    redact(keys_, members);
    members["format"] = kFormat;
    members["call"] = call;
    members["provider"] = provider_;
    members["key"] = request_key({}, request);
    members["request"] = std::move(request_form);
    file_.add(form::dump(members));
  }

  void add_chat(const char* call, const ChatRequest& request, form::Json members) const {
    ChatRequest stripped = request;
    stripped.headers.clear();
    add(call, request, form::form_of(stripped), std::move(members));
  }

  form::Json response_form(const ChatResponse& response) const {
    ChatResponse stripped = response;
    keys_.redact(stripped.headers);
    return form::form_of(stripped);
  }

 private:
  LineFile file_;
  std::string provider_;
  KeyRing keys_;
};

form::Json error_form(const std::exception_ptr& error) { return form::form_of(details_of(error)); }

class RecordedBackend final : public Backend {
 public:
  RecordedBackend(std::shared_ptr<Backend> backend, const std::string& path)
      : backend_(std::move(backend)),
        recorder_(std::make_shared<Recorder>(path, backend_->name())) {}

  const std::string& name() const override { return backend_->name(); }
  bool is_ready() const override { return backend_->is_ready(); }
  Capabilities capabilities(const std::string& model) const override {
    return backend_->capabilities(model);
  }

  Pending<ChatResponse> chat(const ChatRequest& request) const override {
    return followed<ChatResponse>(
        backend_->chat(request), [recorder = recorder_, request](Outcome<ChatResponse>& outcome) {
          form::Json members = form::Json::object();
          if (outcome.has_value()) {
            members["response"] = recorder->response_form(outcome.value());
          } else {
            members["error"] = error_form(outcome.error());
          }
          const std::string trouble =
              written([&] { recorder->add_chat("chat", request, std::move(members)); });
          if (!trouble.empty() && outcome.has_value()) {
            outcome.value().warnings.push_back(trouble);
          }
        });
  }

  ChatStream stream(const ChatRequest& request) const override {
    auto events = std::make_shared<form::Json>(form::Json::array());
    return tapped(
        backend_->stream(request),
        [events](StreamEvent& event) { events->push_back(form::parse(to_json(event), kWhat)); },
        [recorder = recorder_, events, request](ChatResponse& response, std::exception_ptr error) {
          form::Json members = form::Json::object();
          members["response"] = recorder->response_form(response);
          members["events"] = std::move(*events);
          if (error) members["error"] = error_form(error);
          const std::string trouble =
              written([&] { recorder->add_chat("stream", request, std::move(members)); });
          if (!trouble.empty()) response.warnings.push_back(trouble);
        });
  }

  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override {
    return followed<EmbeddingResponse>(
        backend_->embed(request),
        [recorder = recorder_, request](Outcome<EmbeddingResponse>& outcome) {
          form::Json members = form::Json::object();
          if (outcome.has_value()) {
            EmbeddingResponse stripped = outcome.value();
            stripped.headers.clear();
            members["response"] = form::parse(to_json(stripped), kWhat);
          } else {
            members["error"] = error_form(outcome.error());
          }
          written([&] {
            recorder->add("embed", request, form::parse(to_json(request), kWhat),
                          std::move(members));
          });
        });
  }

 private:
  /// What kept a line from being written, or an empty text.
  template <class Write>
  static std::string written(Write write) {
    try {
      write();
      return {};
    } catch (const IoError& error) {
      return error.what();
    }
  }

  std::shared_ptr<Backend> backend_;
  std::shared_ptr<Recorder> recorder_;
};

/// One recorded call.
struct Entry {
  std::optional<ChatResponse> response;
  std::optional<EmbeddingResponse> embeddings;
  std::optional<std::vector<StreamEvent>> events;
  std::optional<ErrorDetails> error;

  std::exception_ptr error_or_null() const {
    return error ? std::make_exception_ptr(ProviderError(*error)) : nullptr;
  }
};

class ReplayedBackend final : public Backend {
 public:
  ReplayedBackend(const std::string& path, ReplayOptions options)
      : path_(path), options_(std::move(options)), name_(options_.name) {
    std::ifstream file(path, std::ios::binary);
    TAUT_CHECK(file.good(), IoError, kWhat, ": cannot open ", path);
    std::string line;
    for (int64_t number = 1; std::getline(file, line); ++number) {
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      try {
        read(line);
      } catch (const ValueError& error) {
        throw FormatError(concat(kWhat, ": ", path, ":", number, ": ", error.what()));
      }
    }
    TAUT_CHECK(!file.bad(), IoError, kWhat, ": cannot read ", path);
    if (name_.empty()) name_ = "replay";
  }

  const std::string& name() const override { return name_; }
  Capabilities capabilities(const std::string&) const override { return {}; }

  Pending<ChatResponse> chat(const ChatRequest& request) const override {
    const std::optional<Entry> entry = next(request_key({}, request));
    if (!entry) return failed_call<ChatResponse>(not_recorded(request.model));
    if (entry->error) return failed_call<ChatResponse>(entry->error_or_null());
    return finished_call(*entry->response);
  }

  ChatStream stream(const ChatRequest& request) const override {
    std::optional<Entry> entry = next(request_key({}, request));
    if (!entry) return failed_stream(not_recorded(request.model));
    if (!entry->events && entry->error) return failed_stream(entry->error_or_null());
    if (!entry->events) return stream_of(std::move(*entry->response));
    auto queue = std::make_shared<StreamQueue>(static_cast<int64_t>(entry->events->size()) + 1);
    queue->push(std::move(*entry->events));
    queue->close(entry->response.value_or(ChatResponse()), entry->error_or_null());
    return StreamQueue::stream(std::move(queue));
  }

  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override {
    const std::optional<Entry> entry = next(request_key({}, request));
    if (!entry) return failed_call<EmbeddingResponse>(not_recorded(request.model));
    if (entry->error) return failed_call<EmbeddingResponse>(entry->error_or_null());
    return finished_call(*entry->embeddings);
  }

 private:
  void read(const std::string& line) {
    const form::Json value = form::parse(line, kWhat);
    int format = 0;
    std::string call, provider, key;
    form::Json request;
    Entry entry;
    const auto whole = [](const form::Json& member) { return member; };
    form::Reader reader(value, std::string(kWhat));
    reader.get("format", format).get("call", call).get("provider", provider).get("key", key);
    TAUT_CHECK(format == kFormat, ValueError, "format: got ", format, "; expected ", kFormat);
    TAUT_CHECK(call == "chat" || call == "stream" || call == "embed", ValueError, "call: got '",
               call, "'; expected chat, stream or embed");
    reader.one("request", request, whole).one("error", entry.error, [](const form::Json& error) {
      return error_details_from_json(form::dump(error));
    });
    if (call == "embed") {
      reader.one("response", entry.embeddings, [](const form::Json& response) {
        return embedding_response_from_json(form::dump(response));
      });
    } else {
      reader.one("response", entry.response, [](const form::Json& response) {
        return chat_response_from_json(form::dump(response));
      });
    }
    if (call == "stream") {
      entry.events.emplace();
      reader.list("events", *entry.events, [](const form::Json& event) {
        return stream_event_from_json(form::dump(event));
      });
    }
    reader.finish();
    TAUT_CHECK(entry.error || entry.response || entry.embeddings, ValueError,
               "there is neither a response nor an error");
    if (name_.empty()) name_ = provider;
    entries_[key].push_back(std::move(entry));
  }

  std::optional<Entry> next(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.empty()) return std::nullopt;
    Entry entry = found->second.front();
    if (found->second.size() > 1 || !options_.repeats) found->second.pop_front();
    return entry;
  }

  std::exception_ptr not_recorded(const std::string& model) const {
    ErrorDetails details;
    details.kind = ErrorKind::not_found;
    details.provider = name_;
    details.model = model;
    details.attempts = 0;
    details.message = concat("no call like this is left in ", path_);
    return std::make_exception_ptr(ProviderError(std::move(details)));
  }

  const std::string path_;
  const ReplayOptions options_;
  std::string name_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::deque<Entry>> entries_;
};

}  // namespace

std::shared_ptr<Backend> recorded(std::shared_ptr<Backend> backend, const std::string& path) {
  TAUT_CHECK(backend != nullptr, ValueError, "recorded: expected a backend");
  return std::make_shared<RecordedBackend>(std::move(backend), path);
}

std::shared_ptr<Backend> replayed(const std::string& path, ReplayOptions options) {
  return std::make_shared<ReplayedBackend>(path, std::move(options));
}

}  // namespace taut::ai
