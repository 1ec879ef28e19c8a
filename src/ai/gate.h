#pragma once
// Where the calls of one provider wait until they may be sent: so many at once, so many a minute.
// Used by the client's own thread.

#include <list>
#include <memory>
#include <string>

#include "src/ai/rate_limit.h"
#include "src/ai/transport.h"
#include "taut/base/callback.h"

namespace taut::ai {

class Gate {
 public:
  struct Visitor {
    std::string model;
    double tokens = 0;  // that it will take, as far as one can tell
    Callback<void()> enter;
  };
  using Place = std::list<Visitor>::iterator;

  Gate(const ProviderConfig& config, double longest_wait, Transport& transport);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  /// Stands in line. `enter` is called once, by admit().
  Place join(Visitor visitor);
  /// Lets in whoever may go now.
  void admit();
  /// Before `enter` was called.
  void give_up(Place place);
  /// After it was called: the attempt is over.
  void leave();
  RateLimits& limits() { return limits_; }

 private:
  const int most_;
  const double longest_wait_;  // for what the provider says of itself, in seconds
  Transport& transport_;
  RateLimits limits_;
  std::list<Visitor> waiting_;
  int inside_ = 0;
  bool is_admitting_ = false;
  TimerId timer_;
};

}  // namespace taut::ai
