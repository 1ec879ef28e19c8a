#include "src/ai/gate.h"

#include <cmath>
#include <limits>
#include <utility>

namespace taut::ai {

Gate::Gate(const ProviderConfig& config, double longest_wait, Transport& transport)
    : most_(config.max_concurrent),
      longest_wait_(longest_wait),
      transport_(transport),
      limits_(config, transport.time().now()) {}

Gate::Place Gate::join(Visitor visitor) {
  return waiting_.insert(waiting_.end(), std::move(visitor));
}

void Gate::give_up(Place place) {
  waiting_.erase(place);
  if (waiting_.empty()) transport_.timers().cancel(timer_);
}

void Gate::leave() {
  --inside_;
  admit();
}

void Gate::admit() {
  if (std::exchange(is_admitting_, true)) return;  // who enters may leave at once
  const double now = transport_.time().now();
  double next = std::numeric_limits<double>::infinity();
  // Limits are kept by model: one whose turn has not come lets those of other models pass.
  auto place = waiting_.begin();
  while (place != waiting_.end() && inside_ < most_) {
    const double wait = limits_.wait(place->model, place->tokens, now, longest_wait_);
    if (wait > 0) {
      next = std::fmin(next, now + wait);
      ++place;
      continue;
    }
    limits_.take(place->model, place->tokens, now);
    ++inside_;
    const Callback<void()> enter = std::move(place->enter);
    waiting_.erase(place);
    enter();
    place = waiting_.begin();  // who enters may have changed the line
  }
  is_admitting_ = false;
  transport_.timers().cancel(timer_);
  if (waiting_.empty() || inside_ >= most_ || !std::isfinite(next)) return;
  timer_ = transport_.timers().set(next, [this] {
    timer_ = {};
    admit();
  });
}

}  // namespace taut::ai
