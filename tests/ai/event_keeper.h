#pragma once
// Server-sent events that outlive the bytes they came in.

#include <string>
#include <vector>

#include "src/ai/sse.h"

namespace taut::ai::testing {

struct KeptEvent {
  std::string type, data;
  bool is_bare_json = false, is_cut = false;

  SseEvent event() const { return {type, data, is_bare_json, is_cut}; }
};

class EventKeeper final : public SseListener {
 public:
  void on_event(const SseEvent& event) override {
    events_.push_back(
        {std::string(event.type), std::string(event.data), event.is_bare_json, event.is_cut});
  }
  const std::vector<KeptEvent>& events() const { return events_; }

 private:
  std::vector<KeptEvent> events_;
};

}  // namespace taut::ai::testing
