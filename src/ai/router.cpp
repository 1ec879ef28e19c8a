#include "taut/ai/router.h"

#include <limits>
#include <utility>

#include "src/ai/route_call.h"
#include "src/ai/routed_stream.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

constexpr std::string_view kStrategies[] = {"priority", "weighted", "least_inflight",
                                            "lowest_latency", "lowest_cost"};

template <class Request>
RouteQuery query_of(const Router::State& state, const Request& request, Needs needs) {
  RouteQuery query;
  query.needs = std::move(needs);
  query.task = request.task;
  query.model = request.model;
  query.estimate = [prices = state.options.prices, request](const Target& target) {
    static const PriceTable none;
    const std::string& model = target.model.empty() ? request.model : target.model;
    return (prices ? *prices : none).estimate(target.backend->name(), model, request);
  };
  return query;
}

ErrorDetails cancelled_call(const std::string& router, const std::string& model) {
  ErrorDetails details;
  details.kind = ErrorKind::cancelled;
  details.provider = router;
  details.model = model;
  details.message = "the call was cancelled";
  return details;
}

/// Starts the call, whose hooks set the promise.
template <class Result>
Pending<Result> begin(std::shared_ptr<RouteRecord> record, typename RouteCall<Result>::Hooks hooks,
                      const Promise<Result>& promise) {
  auto call = std::make_shared<RouteCall<Result>>(record, std::move(hooks));
  promise.on_cancel([call, record, promise] {
    call->cancel(cancelled_call(record->router->options.name, record->query.model));
    // As in Operation::cancel: another thread may be about to set its outcome.
    static_cast<void>(promise.pending().wait_for(std::numeric_limits<double>::infinity()));
  });
  call->start();
  return promise.pending();
}

ChatResponse finished(RouteRecord& record, const ChatRequest& request,
                      Routed<ChatResponse> routed) {
  ChatResponse response = std::move(routed.result);
  if (routed.attempt) {
    response.cost = routed.attempt->succeeded(response.usage, response.cost, response.headers);
    keep_answer(record.router->options, request, response);
  }
  response.route = record.conclude();
  warn_of_degradation(*response.route, response);
  return response;
}

/// The better of two answers.
Answer better(Answer a, Answer b) {
  if (a == Answer::yes || b == Answer::yes) return Answer::yes;
  return a == Answer::unknown || b == Answer::unknown ? Answer::unknown : Answer::no;
}

}  // namespace

std::string_view name(Strategy strategy) {
  const auto index = static_cast<size_t>(strategy);
  return index < std::size(kStrategies) ? kStrategies[index] : std::string_view("unknown");
}

Router::Router(std::shared_ptr<State> state) : state_(std::move(state)) {}
Router::~Router() = default;

std::shared_ptr<Router> make_router(std::shared_ptr<Router::State> state) {
  return std::shared_ptr<Router>(new Router(std::move(state)));
}

std::shared_ptr<Router> Router::create(std::vector<Target> targets, RouterOptions options) {
  return make_router(State::create(std::move(targets), std::move(options), system_alarm_clock()));
}

const std::string& Router::name() const { return state_->options.name; }

Pending<ChatResponse> Router::chat(const ChatRequest& request) const {
  auto record = std::make_shared<RouteRecord>(
      state_, query_of(*state_, request, needs_of(request, false)), request.deadline);
  const Promise<ChatResponse> promise;
  RouteCall<ChatResponse>::Hooks hooks;
  hooks.ask = [request](const Target& target, const std::string& model,
                        std::optional<double> seconds) {
    return target.backend->chat(request_for(request, model, seconds));
  };
  if (state_->options.cache) {
    hooks.from_cache = [state = state_, request] { return kept_answer(state->options, request); };
  }
  if (state_->options.last_resort) {
    hooks.from_last_resort = [state = state_, request](std::optional<double> seconds) {
      return state->options.last_resort->chat(request_for(request, request.model, seconds));
    };
  }
  hooks.done = [record, request, promise](Outcome<Routed<ChatResponse>> outcome) {
    if (outcome.has_value()) {
      promise.set(finished(*record, request, std::move(outcome).value()));
    } else {
      record->conclude();
      promise.set(Outcome<ChatResponse>(outcome.error()));
    }
  };
  return begin(record, std::move(hooks), promise);
}

ChatStream Router::stream(const ChatRequest& request) const {
  auto record = std::make_shared<RouteRecord>(
      state_, query_of(*state_, request, needs_of(request, true)), request.deadline);
  return routed_stream(std::move(record), request);
}

Pending<EmbeddingResponse> Router::embed(const EmbeddingRequest& request) const {
  auto record = std::make_shared<RouteRecord>(state_, query_of(*state_, request, needs_of(request)),
                                              request.deadline);
  const Promise<EmbeddingResponse> promise;
  const auto asked = [request](const std::string& model, std::optional<double> seconds) {
    EmbeddingRequest changed = request;
    changed.model = model;
    changed.deadline = seconds;
    return changed;
  };
  RouteCall<EmbeddingResponse>::Hooks hooks;
  hooks.ask = [asked](const Target& target, const std::string& model,
                      std::optional<double> seconds) {
    return target.backend->embed(asked(model, seconds));
  };
  if (state_->options.last_resort) {
    hooks.from_last_resort = [state = state_, asked, request](std::optional<double> seconds) {
      return state->options.last_resort->embed(asked(request.model, seconds));
    };
  }
  hooks.done = [record, promise](Outcome<Routed<EmbeddingResponse>> outcome) {
    if (!outcome.has_value()) {
      record->conclude();
      promise.set(Outcome<EmbeddingResponse>(outcome.error()));
      return;
    }
    Routed<EmbeddingResponse> routed = std::move(outcome).value();
    EmbeddingResponse response = std::move(routed.result);
    if (routed.attempt) {
      response.cost = routed.attempt->succeeded(response.usage, response.cost, response.headers);
    }
    record->conclude();
    promise.set(std::move(response));
  };
  return begin(record, std::move(hooks), promise);
}

Capabilities Router::capabilities(const std::string& model) const {
  Capabilities all;
  for (Answer& answer : all.answers) answer = Answer::no;
  for (const TargetState& state : state_->targets) {
    const Target& target = state.target;
    const Capabilities its =
        target.backend->capabilities(target.model.empty() ? model : target.model);
    for (int i = 0; i < kFeatures; ++i) all.answers[i] = better(all.answers[i], its.answers[i]);
    const std::optional<int64_t> window =
        target.context_window ? target.context_window : its.context_length;
    if (window) all.context_length = std::max(all.context_length.value_or(0), *window);
    if (its.max_output_tokens) {
      all.max_output_tokens = std::max(all.max_output_tokens.value_or(0), *its.max_output_tokens);
    }
  }
  return all;
}

std::vector<TargetStatus> Router::targets() const {
  std::vector<TargetStatus> all;
  const std::lock_guard lock(state_->mutex);
  const double now = state_->clock->now();
  for (const TargetState& state : state_->targets) {
    TargetStatus status;
    status.name = state.target.name;
    status.is_open = state.breaker.state(now) != CircuitBreaker::State::closed;
    status.seconds_until_probe = state.breaker.seconds_until_probe(now);
    status.in_flight = state.in_flight;
    status.calls = state.calls;
    status.failures = state.failures;
    status.latency = state.latency;
    all.push_back(std::move(status));
  }
  return all;
}

RouteReport Router::last_report() const {
  const std::lock_guard lock(state_->mutex);
  return state_->last_report;
}

void Router::reset(const std::string& target) const {
  const std::lock_guard lock(state_->mutex);
  for (TargetState& state : state_->targets) {
    if (state.target.name != target) continue;
    state.breaker.reset();
    return;
  }
  throw ValueError(concat("router: no target is called '", target, "'"));
}

}  // namespace taut::ai
