#pragma once
// Backends whose answers a test writes, and a clock that it moves.

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "src/ai/alarm_clock.h"
#include "src/ai/stream_queue.h"
#include "taut/ai/backend.h"

namespace taut::ai::testing {

/// Time stands still until the test moves it; alarms go off on the test's thread.
class FakeClock final : public AlarmClock {
 public:
  double now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  uint64_t after(double seconds, Callback<void()> task) override {
    const std::lock_guard lock(mutex_);
    alarms_.emplace(std::pair(now_ + seconds, ++last_), std::move(task));
    return last_;
  }
  void forget(uint64_t number) override {
    const std::lock_guard lock(mutex_);
    for (auto alarm = alarms_.begin(); alarm != alarms_.end(); ++alarm) {
      if (alarm->first.second != number) continue;
      alarms_.erase(alarm);
      return;
    }
  }
  void move(double seconds) {
    const double end = now() + seconds;
    for (;;) {
      Callback<void()> task;
      {
        const std::lock_guard lock(mutex_);
        if (alarms_.empty() || alarms_.begin()->first.first > end) {
          now_ = end;
          return;
        }
        now_ = std::max(now_, alarms_.begin()->first.first);
        task = std::move(alarms_.begin()->second);
        alarms_.erase(alarms_.begin());
      }
      task();
    }
  }
  size_t alarms() const {
    const std::lock_guard lock(mutex_);
    return alarms_.size();
  }

 private:
  mutable std::mutex mutex_;
  double now_ = 1000;
  uint64_t last_ = 0;
  std::map<std::pair<double, uint64_t>, Callback<void()>> alarms_;
};

inline std::exception_ptr failure(ErrorKind kind, std::optional<double> retry_after = {},
                                  bool partial = false) {
  ErrorDetails details;
  details.kind = kind;
  details.message = "scripted";
  details.retry_after = retry_after;
  details.partial_output = partial;
  return std::make_exception_ptr(ProviderError(std::move(details)));
}

inline ChatResponse answer(const std::string& text, int64_t input = 10, int64_t output = 5) {
  ChatResponse response;
  Candidate candidate;
  candidate.parts.push_back(TextPart{text});
  candidate.finish_reason = FinishReason::stop;
  response.candidates.push_back(std::move(candidate));
  response.usage.input_total = input;
  response.usage.output_total = output;
  return response;
}

inline ErrorDetails details_from(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const ProviderError& known) {
    return known.details();
  }
}

inline ChatRequest question(const std::string& text = "What?", const std::string& model = "m") {
  ChatRequest request;
  request.model = model;
  request.messages.push_back(Message::user(text));
  return request;
}

/// Gives what was scripted, in its order, and then the last of it again; or holds calls until the
/// test answers them.
class ScriptedBackend final : public Backend {
 public:
  explicit ScriptedBackend(std::string name) : name_(std::move(name)) {
    for (Answer& known : capabilities_.answers) known = Answer::yes;
  }

  // ---- The script
  ScriptedBackend& gives(ChatResponse response) {
    script_.push_back(Outcome<ChatResponse>(std::move(response)));
    return *this;
  }
  ScriptedBackend& gives(const std::string& text) { return gives(answer(text)); }
  ScriptedBackend& fails(std::exception_ptr error) {
    script_.push_back(Outcome<ChatResponse>(std::move(error)));
    return *this;
  }
  ScriptedBackend& fails(ErrorKind kind) { return fails(failure(kind)); }
  /// A stream that gives these events, and then breaks.
  ScriptedBackend& streams(std::vector<StreamEvent> events, std::exception_ptr error) {
    streams_.push_back({std::move(events), std::move(error)});
    return *this;
  }
  ScriptedBackend& holds() {
    holds_ = true;
    return *this;
  }
  Capabilities& can() { return capabilities_; }
  bool has_key = true;

  // ---- What happened
  int calls() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(requests_.size());
  }
  int cancels() const {
    const std::lock_guard lock(mutex_);
    return cancels_;
  }
  ChatRequest last_request() const {
    const std::lock_guard lock(mutex_);
    return requests_.back();
  }
  /// Ends the oldest call that is held.
  void release(Outcome<ChatResponse> outcome) {
    Promise<ChatResponse> held;
    {
      const std::lock_guard lock(mutex_);
      held = held_.front();
      held_.pop_front();
    }
    held.set(std::move(outcome));
  }

  const std::string& name() const override { return name_; }
  bool is_ready() const override { return has_key; }
  Capabilities capabilities(const std::string&) const override { return capabilities_; }

  Pending<ChatResponse> chat(const ChatRequest& request) const override {
    const Promise<ChatResponse> promise;
    std::optional<Outcome<ChatResponse>> outcome = begin(request);
    if (outcome) {
      promise.set(std::move(*outcome));
      return promise.pending();
    }
    promise.on_cancel([this, promise] {
      {
        const std::lock_guard lock(mutex_);
        ++cancels_;
      }
      promise.set(Outcome<ChatResponse>(failure(ErrorKind::cancelled)));
    });
    const std::lock_guard lock(mutex_);
    held_.push_back(promise);
    return promise.pending();
  }

  ChatStream stream(const ChatRequest& request) const override {
    auto queue = std::make_shared<StreamQueue>(1000);
    std::optional<std::pair<std::vector<StreamEvent>, std::exception_ptr>> broken;
    {
      const std::lock_guard lock(mutex_);
      if (!streams_.empty()) {
        requests_.push_back(request);
        broken = streams_.front();
        streams_.pop_front();
      }
    }
    if (broken) {
      queue->push(std::vector<StreamEvent>(broken->first));
      queue->close({}, broken->second);
      return StreamQueue::stream(queue);
    }
    std::optional<Outcome<ChatResponse>> outcome = begin(request);
    if (!outcome) {
      queue->set_on_cancel([this] {
        const std::lock_guard lock(mutex_);
        ++cancels_;
      });
      const std::lock_guard lock(mutex_);
      silent_.push_back(queue);
    } else if (outcome->has_value()) {
      queue->push(events_of(outcome->value()));
      queue->close(outcome->value(), nullptr);
    } else {
      queue->close({}, outcome->error());
    }
    return StreamQueue::stream(queue);
  }

  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override {
    const Promise<EmbeddingResponse> promise;
    EmbeddingResponse response;
    response.embeddings.assign(request.inputs.size(), {1.0f, 2.0f});
    response.usage.input_total = 3;
    promise.set(std::move(response));
    return promise.pending();
  }

 private:
  std::optional<Outcome<ChatResponse>> begin(const ChatRequest& request) const {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    if (holds_) return std::nullopt;
    Outcome<ChatResponse> outcome =
        script_.empty() ? Outcome<ChatResponse>(answer("?")) : script_.front();
    if (script_.size() > 1) script_.pop_front();
    return outcome;
  }

  const std::string name_;
  Capabilities capabilities_;
  bool holds_ = false;
  mutable std::mutex mutex_;
  mutable std::deque<Outcome<ChatResponse>> script_;
  mutable std::deque<std::pair<std::vector<StreamEvent>, std::exception_ptr>> streams_;
  mutable std::vector<ChatRequest> requests_;
  mutable std::deque<Promise<ChatResponse>> held_;
  mutable std::vector<std::shared_ptr<StreamQueue>> silent_;
  mutable int cancels_ = 0;
};

}  // namespace taut::ai::testing
