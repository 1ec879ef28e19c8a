#pragma once
// Reads an answer that arrives as server-sent events, and passes on what it means while it comes.

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "src/ai/answer_reader.h"
#include "src/ai/protocol.h"
#include "src/ai/sse.h"
#include "src/ai/stream_queue.h"
#include "taut/base/small_mutex.h"

namespace taut::ai {

class StreamReader final : public AnswerReader, private SseListener {
 public:
  /// What has arrived of a stream. The reader writes it, and the caller may look at any time.
  class SoFar {
   public:
    explicit SoFar(std::string provider, std::string model);
    void restart(std::unique_ptr<StreamAssembler> assembler);
    /// Held while events are added: once for all that come together.
    std::unique_lock<SmallMutex> lock() { return std::unique_lock(mutex_); }
    /// Appends what the event means. Whether the protocol's end has come. Called with the lock
    /// held.
    bool add(const SseEvent& event, std::vector<StreamEvent>& events);
    bool ends_here();
    void set(ChatResponse response);
    ChatResponse response() const;
    /// By the thread that adds events: see Note [Fetching chains].
    void fetch(int depth) const;

   private:
    mutable SmallMutex mutex_;
    bool is_whole_ = false;
    std::unique_ptr<StreamAssembler> assembler_;
    std::string provider_, model_;
    Boxed<ChatResponse> whole_;  // where the answer did not come in pieces
  };
  struct Settings {
    const ProtocolHandler& handler;
    const ProviderConfig& config;
    SizeLimits limits;
    std::string model;
    Callback<std::vector<std::string>()> warnings;    // of the request
    Callback<std::string(std::string_view)> excerpt;  // of a body, without keys
  };

  StreamReader(Settings settings, std::shared_ptr<StreamQueue> queue);

  const std::shared_ptr<SoFar>& so_far() const { return so_far_; }

  void begin() override;
  void on_head(const HttpAnswer& head) override;
  Flow on_bytes(std::string_view bytes) override;
  void finish(HttpAnswer& answer) override;
  bool has_delivered() const override { return has_delivered_; }
  std::optional<double> tokens_used() const override;
  void fetch(int depth) const override;
  void deliver(CallReport report) override;
  void fail(std::exception_ptr error) override;

 private:
  enum class Form : uint8_t { events, json, other };

  Flow read_events(std::string_view bytes);
  Flow understand(std::string_view bytes);
  void on_event(const SseEvent& event) override;
  bool pass_on();
  [[noreturn]] void refuse_type() const;

  // What each piece of a stream needs stands together, in few lines of the cache.
  Form form_ = Form::events;
  bool is_complete_ = false;
  bool has_delivered_ = false;
  int64_t bytes_ = 0;
  const int64_t most_bytes_;
  std::shared_ptr<StreamQueue> queue_;
  std::shared_ptr<SoFar> so_far_;
  std::vector<StreamEvent> understood_;  // of the bytes that are being read
  std::optional<SseParser> parser_;

  Settings settings_;
  std::string content_type_;
  BodyCollector body_;
};

}  // namespace taut::ai
