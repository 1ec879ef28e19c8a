#pragma once
// What a client is made of besides its options: tests put their own in the place of these.

#include <memory>

#include "src/ai/protocol.h"
#include "src/ai/time_source.h"
#include "taut/ai/client.h"

namespace taut::ai {

struct Client::Parts {
  std::shared_ptr<TimeSource> time = std::make_shared<TimeSource>();
  Callback<const ProtocolHandler*(Protocol)> handler = [](Protocol protocol) {
    return &handler_of(protocol);
  };
};

}  // namespace taut::ai
