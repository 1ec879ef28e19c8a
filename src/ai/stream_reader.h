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

namespace taut::ai {

class StreamReader final : public AnswerReader {
 public:
  /// What has arrived of a stream. The reader writes it, and the caller may look at any time.
  class SoFar {
   public:
    explicit SoFar(std::string provider, std::string model);
    void restart(std::unique_ptr<StreamAssembler> assembler);
    /// Whether the protocol's end has come. What was understood before an error is appended, too.
    bool add(const std::vector<SseEvent>& from, std::vector<StreamEvent>& events);
    bool ends_here();
    void set(ChatResponse response);
    ChatResponse response() const;

   private:
    mutable std::mutex mutex_;
    std::string provider_, model_;
    std::unique_ptr<StreamAssembler> assembler_;
    ChatResponse whole_;  // where the answer did not come in pieces
    bool is_whole_ = false;
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
  void deliver(CallReport report) override;
  void fail(std::exception_ptr error) override;

 private:
  enum class Form : uint8_t { events, json, other };

  Flow read_events(std::string_view bytes);
  bool pass_on(const std::vector<SseEvent>& from);
  [[noreturn]] void refuse_type() const;

  Settings settings_;
  std::shared_ptr<StreamQueue> queue_;
  std::shared_ptr<SoFar> so_far_;
  Form form_ = Form::events;
  std::string content_type_;
  std::optional<SseParser> parser_;
  std::vector<SseEvent> arrived_;        // in the bytes that are being read
  std::vector<StreamEvent> understood_;  // of these
  BodyCollector body_;
  int64_t bytes_ = 0;
  bool is_complete_ = false;
  bool has_delivered_ = false;
};

}  // namespace taut::ai
