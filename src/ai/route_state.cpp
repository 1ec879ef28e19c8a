#include "src/ai/route_state.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr double kWeightOfNewest = 0.3;  // in the average of latencies

std::string reported_name(const Target& target) {
  if (!target.name.empty()) return target.name;
  return target.model.empty() ? target.backend->name()
                              : concat(target.backend->name(), "/", target.model);
}

void check_positive(const std::optional<double>& value, const char* what) {
  TAUT_CHECK(!value || (std::isfinite(*value) && *value > 0), ValueError, "router: ", what,
             ": got ", value.value_or(0), "; expected a positive number");
}

void check_target(const Target& target) {
  TAUT_CHECK(target.backend != nullptr, ValueError, "router: a target has no backend");
  TAUT_CHECK(std::isfinite(target.weight) && target.weight >= 0, ValueError,
             "router: ", reported_name(target), ": weight: got ", target.weight,
             "; expected a number that is not negative");
  TAUT_CHECK(!target.max_concurrent || *target.max_concurrent > 0, ValueError,
             "router: ", reported_name(target), ": max_concurrent: got ",
             target.max_concurrent.value_or(0), "; expected a positive number");
  check_positive(target.requests_per_minute, "requests_per_minute");
  check_positive(target.tokens_per_minute, "tokens_per_minute");
}

LeftOut left_out_for(size_t target, LeftOutFor cause, std::string reason, double seconds = 0) {
  return {target, cause, std::move(reason), seconds};
}

uint64_t some_seed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

}  // namespace

std::shared_ptr<Router::State> Router::State::create(std::vector<Target> targets,
                                                     RouterOptions options,
                                                     std::shared_ptr<AlarmClock> clock,
                                                     BreakerOptions breaker_options) {
  TAUT_CHECK(!targets.empty(), ValueError, "router: there are no targets; expected at least one");
  TAUT_CHECK(options.max_targets > 0, ValueError, "router: max_targets: got ", options.max_targets,
             "; expected a positive number");
  check_positive(options.deadline, "deadline");
  check_positive(options.hedge_after, "hedge_after");
  auto state = std::make_shared<State>();
  for (Target& target : targets) {
    check_target(target);
    target.name = reported_name(target);
    for (const TargetState& other : state->targets) {
      TAUT_CHECK(other.target.name != target.name, ValueError, "router: two targets are called '",
                 target.name, "'; give one of them another name");
    }
    Headroom headroom(target.requests_per_minute, target.tokens_per_minute);
    state->targets.push_back(
        {std::move(target), CircuitBreaker(breaker_options), std::move(headroom), 0, 0, 0, {}});
  }
  state->random_state = options.seed != 0 ? options.seed : some_seed();
  state->options = std::move(options);
  state->clock = std::move(clock);
  state->breaker_options = breaker_options;
  return state;
}

/// What does not change with time: asked without the lock, because backends are asked, too.
std::optional<LeftOut> Router::State::unfit(size_t index, const RouteQuery& query) const {
  const Target& target = targets[index].target;
  if (!target.is_enabled) return left_out_for(index, LeftOutFor::disabled, "it is switched off");
  if (!target.backend->is_ready()) return left_out_for(index, LeftOutFor::key, "it has no key");
  if (!target.tasks.empty() &&
      std::find(target.tasks.begin(), target.tasks.end(), query.task) == target.tasks.end()) {
    return left_out_for(index, LeftOutFor::task,
                        concat("it is not for the task '", query.task, "'"));
  }
  const std::string& model = target.model.empty() ? query.model : target.model;
  const Capabilities capabilities = target.backend->capabilities(model);
  const std::string missing = missing_features(query.needs, capabilities);
  if (!missing.empty()) {
    return left_out_for(index, LeftOutFor::feature, concat("its model lacks ", missing));
  }
  if (query.wants_certainty && !surely_has(query.needs, capabilities)) {
    return left_out_for(index, LeftOutFor::feature,
                        "it is not sure that its model has what another one lacked");
  }
  const std::optional<int64_t> window =
      target.context_window ? target.context_window : capabilities.context_length;
  const int64_t wanted = query.needs.input_tokens + query.needs.output_tokens;
  if (window && *window < wanted) {
    return left_out_for(index, LeftOutFor::window,
                        concat("it sees ", *window, " tokens, and about ", wanted, " are needed"));
  }
  if (query.window_above && (!window || *window <= *query.window_above)) {
    return left_out_for(
        index, LeftOutFor::window,
        concat("it is not known to see more than ", *query.window_above, " tokens"));
  }
  return std::nullopt;
}

/// What passes with time. Called with the lock held; the circuit is looked at, not entered.
std::optional<LeftOut> Router::State::busy(size_t index, const CostEstimate& estimate, double now) {
  TargetState& state = targets[index];
  const double pause = state.breaker.seconds_until_probe(now);
  if (pause > 0) {
    return left_out_for(index, LeftOutFor::circuit,
                        concat("its circuit is open for ", pause, " s more"), pause);
  }
  if (!state.breaker.would_admit(now)) {
    return left_out_for(index, LeftOutFor::circuit,
                        "a call that tries whether it is back is under way");
  }
  const double wait = state.headroom.seconds_until(now, estimate.tokens());
  if (wait > 0) {
    return left_out_for(index, LeftOutFor::rate,
                        concat("its rate limit is used up for ", wait, " s"), wait);
  }
  if (state.target.max_concurrent && state.in_flight >= *state.target.max_concurrent) {
    return left_out_for(index, LeftOutFor::concurrency,
                        concat(state.in_flight, " calls are under way, as many as it may have"));
  }
  return std::nullopt;
}

std::optional<Choice> Router::State::choose(const RouteQuery& query, bool is_desperate,
                                            std::vector<LeftOut>& left_out) {
  std::vector<size_t> fit;
  std::vector<CostEstimate> estimates(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) {
    if (query.tried[i]) continue;
    if (std::optional<LeftOut> why = unfit(i, query)) {
      left_out.push_back(std::move(*why));
      continue;
    }
    const Target& target = targets[i].target;
    estimates[i] = query.estimate(target);
    if (options.budget) {
      std::string refusal =
          options.budget->refusal(target.backend->name(), query.task, estimates[i]);
      if (!refusal.empty()) {
        left_out.push_back(left_out_for(i, LeftOutFor::budget, std::move(refusal)));
        continue;
      }
    }
    fit.push_back(i);
  }

  for (;;) {
    Choice choice;
    {
      const std::lock_guard lock(mutex);
      const double now = clock->now();
      std::vector<size_t> candidates;
      std::vector<LeftOut> waiting;
      for (size_t i : fit) {
        if (std::optional<LeftOut> why = busy(i, estimates[i], now)) {
          waiting.push_back(std::move(*why));
        } else {
          candidates.push_back(i);
        }
      }
      if (candidates.empty() && is_desperate) {
        const auto first = std::min_element(
            waiting.begin(), waiting.end(),
            [](const LeftOut& a, const LeftOut& b) { return a.seconds < b.seconds; });
        if (first != waiting.end() && first->cause == LeftOutFor::circuit) {
          candidates.push_back(first->target);
        }
      }
      if (candidates.empty()) {
        std::move(waiting.begin(), waiting.end(), std::back_inserter(left_out));
        return std::nullopt;
      }
      choice.target = pick(candidates, estimates);
      TargetState& state = targets[choice.target];
      choice.ticket = state.breaker.acquire_anyway(now);
      choice.is_probe = choice.ticket.is_probe;
      choice.estimate = estimates[choice.target];
      ++state.in_flight;
      ++state.calls;
      state.headroom.take(now, choice.estimate.tokens());
      if (candidates.size() < fit.size() && !is_desperate) {
        std::move(waiting.begin(), waiting.end(), std::back_inserter(left_out));
      }
    }
    if (!options.budget) return choice;
    const std::string& provider = targets[choice.target].target.backend->name();
    try {
      choice.reservation = options.budget->reserve(provider, query.task, choice.estimate);
      return choice;
    } catch (const ProviderError& error) {
      // Another call took what was left since it was looked at.
      called_off(choice);
      left_out.push_back(left_out_for(choice.target, LeftOutFor::budget, error.details().message));
      std::erase(fit, choice.target);
    }
  }
}

/// Called with the lock held.
size_t Router::State::pick(const std::vector<size_t>& all,
                           const std::vector<CostEstimate>& estimates) {
  int order = std::numeric_limits<int>::max();
  for (size_t i : all) order = std::min(order, targets[i].target.order);
  std::vector<size_t> candidates;
  for (size_t i : all) {
    if (targets[i].target.order == order) candidates.push_back(i);
  }
  const auto smallest = [&](auto measure) {
    return *std::min_element(candidates.begin(), candidates.end(),
                             [&](size_t a, size_t b) { return measure(a) < measure(b); });
  };
  switch (options.strategy) {
    case Strategy::priority: break;
    case Strategy::weighted: return draw_by_weight(candidates);
    case Strategy::least_inflight: return smallest([&](size_t i) { return targets[i].in_flight; });
    case Strategy::lowest_latency:
      return smallest([&](size_t i) { return targets[i].latency.value_or(0); });
    case Strategy::lowest_cost:
      return smallest([&](size_t i) {
        return estimates[i].cost.value_or(std::numeric_limits<double>::infinity());
      });
  }
  return candidates.front();
}

size_t Router::State::draw_by_weight(const std::vector<size_t>& candidates) {
  double sum = 0;
  for (size_t i : candidates) sum += targets[i].target.weight;
  if (sum <= 0) return candidates.front();
  double left = next_random() * sum;
  for (size_t i : candidates) {
    left -= targets[i].target.weight;
    if (left < 0) return i;
  }
  // Rounding has left a hair: the last one that can be drawn at all.
  for (auto i = candidates.rbegin(); i != candidates.rend(); ++i) {
    if (targets[*i].target.weight > 0) return *i;
  }
  return candidates.front();
}

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014), from 0
/// up to 1.
double Router::State::next_random() {
  uint64_t z = random_state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return static_cast<double>((z ^ z >> 31) >> 11) * 0x1p-53;
}

void Router::State::succeeded(const Choice& choice, double seconds,
                              const std::vector<Header>& headers) {
  const std::lock_guard lock(mutex);
  const double now = clock->now();
  TargetState& state = targets[choice.target];
  --state.in_flight;
  state.latency =
      state.latency ? *state.latency + kWeightOfNewest * (seconds - *state.latency) : seconds;
  state.breaker.succeeded(choice.ticket, now);
  state.headroom.learn(now, headers);
}

void Router::State::failed(const Choice& choice, const ErrorDetails& details) {
  const std::lock_guard lock(mutex);
  const double now = clock->now();
  TargetState& state = targets[choice.target];
  --state.in_flight;
  ++state.failures;
  state.breaker.failed(choice.ticket, now, details.kind, details.retry_after);
  // A key and a quota are the backend's, whatever the model.
  if (details.kind != ErrorKind::auth && details.kind != ErrorKind::quota_exhausted) return;
  for (TargetState& other : targets) {
    if (&other != &state && other.target.backend == state.target.backend) {
      other.breaker.open(now, breaker_options.long_pause);
    }
  }
}

void Router::State::called_off(const Choice& choice) {
  const std::lock_guard lock(mutex);
  TargetState& state = targets[choice.target];
  --state.in_flight;
  state.breaker.released(choice.ticket);
}

void Router::State::keep(const RouteReport& report) {
  {
    const std::lock_guard lock(mutex);
    last_report = report;
  }
  if (!options.on_report) return;
  try {
    options.on_report(report);
  } catch (...) {  // the answer is there all the same
  }
}

}  // namespace taut::ai
