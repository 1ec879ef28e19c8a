#pragma once
// Several providers as one: whoever is fit, healthy and within budget answers, and another one
// where that fails.
//   auto router = Router::create({{.backend = openai, .model = "gpt-5-mini"},
//                                 {.backend = local, .model = "llama3", .order = 1}});
//   ChatResponse response = router->chat(request).get();
//   std::cout << describe(*response.route);
// A target that fails is left alone for a while (a circuit breaker), and tried again with single
// calls.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "taut/ai/backend.h"
#include "taut/ai/budget.h"
#include "taut/ai/cache.h"
#include "taut/ai/prices.h"
#include "taut/ai/route_report.h"

namespace taut::ai {

/// Which of the targets that could answer is asked.
enum class Strategy : uint8_t {
  priority,        // the first in the list
  weighted,        // drawn at random, by weight
  least_inflight,  // the one with the fewest calls under way
  lowest_latency,  // the fastest lately; each is tried first
  lowest_cost,     // the cheapest for this request; those of unknown price last
};
TAUT_API std::string_view name(Strategy strategy);

struct Target {
  std::shared_ptr<Backend> backend;
  std::string model;  // asked for instead of the request's; empty: the request's own
  std::string name;   // in reports; empty: the backend's name and the model
  int order = 0;      // those of a higher one are asked only when none of a lower one is left
  double weight = 1;
  bool is_enabled = true;
  std::optional<int64_t> context_window;  // tokens; unset: what the backend knows
  std::vector<std::string> tasks;         // that it is for; empty: all
  std::optional<int> max_concurrent;
  std::optional<double> requests_per_minute, tokens_per_minute;
};

struct RouterOptions {
  std::string name = "router";
  Strategy strategy = Strategy::priority;
  uint64_t seed = 0;               // of draws; 0: another one each time
  std::optional<double> deadline;  // seconds for a call that sets none, fallbacks included
  int max_targets = 8;             // asked for one call, at most
  /// A second target is asked when the first has not answered after so many seconds; the slower one
  /// is called off. Both may cost.
  std::optional<double> hedge_after;
  bool allow_desperate = false;  // where every circuit is open: ask the one that closes first
  bool fallback_on_content_policy = false;  // whether what one provider refuses is put to another
  /// A stream that breaks after it began is begun anew elsewhere; the reader is told by a
  /// StreamEvent::Kind::restart.
  bool restart_streams = false;
  std::shared_ptr<const PriceTable> prices;
  std::shared_ptr<Budget> budget;        // providers in it are called as their backends are
  std::shared_ptr<ResponseCache> cache;  // answers of better times, where nobody else answers
  std::shared_ptr<Backend> last_resort;  // asked where nobody else is left: a function of one's own
  Callback<void(const RouteReport&)> on_report;  // told of every call, on the thread that ends it
};

/// What a router knows of one of its targets.
struct TargetStatus {
  std::string name;
  bool is_open = false;  // whether its circuit keeps calls away
  double seconds_until_probe = 0;
  int in_flight = 0;
  int64_t calls = 0, failures = 0;
  std::optional<double> latency;  // seconds, an average that forgets
};

class TAUT_API Router : public Backend {
 public:
  /// Throws ValueError for no targets, a target without a backend, names that are there twice, and
  /// numbers that make no sense.
  static std::shared_ptr<Router> create(std::vector<Target> targets, RouterOptions options = {});
  ~Router() override;

  const std::string& name() const override;
  /// Errors: what a target said where asking another one would not help; no_healthy_provider, with
  /// what each of them said, where nobody is left; budget_exceeded; timeout_total.
  Pending<ChatResponse> chat(const ChatRequest& request) const override;
  ChatStream stream(const ChatRequest& request) const override;
  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override;
  /// What at least one of the targets can do.
  Capabilities capabilities(const std::string& model) const override;

  std::vector<TargetStatus> targets() const;
  /// Of the call that ended last; empty steps before the first.
  RouteReport last_report() const;
  /// Lets calls through to a target again: its key or its quota was renewed. Throws ValueError for
  /// a name that is not there.
  void reset(const std::string& target) const;

  struct State;

 private:
  explicit Router(std::shared_ptr<State> state);
  friend std::shared_ptr<Router> make_router(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace taut::ai
