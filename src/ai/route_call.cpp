#include "src/ai/route_call.h"

#include <algorithm>

#include "src/ai/settlement.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

/// The kind of the error where all targets were left out for reasons of one sort.
ErrorKind kind_of(const std::vector<LeftOut>& left_out) {
  const auto all = [&](LeftOutFor cause) {
    return !left_out.empty() &&
           std::all_of(left_out.begin(), left_out.end(),
                       [cause](const LeftOut& item) { return item.cause == cause; });
  };
  if (all(LeftOutFor::budget)) return ErrorKind::budget_exceeded;
  if (all(LeftOutFor::feature)) return ErrorKind::unsupported_parameter;
  if (all(LeftOutFor::window)) return ErrorKind::context_length;
  return ErrorKind::no_healthy_provider;
}

std::string what_of(const ErrorDetails& details) {
  return details.message.empty() ? std::string(name(details.kind))
                                 : concat(name(details.kind), ": ", details.message);
}

}  // namespace

bool may_ask_another(const ErrorDetails& details, const Target& failed,
                     const RouterOptions& options, RouteQuery& query) {
  switch (details.kind) {
    case ErrorKind::cancelled:
    case ErrorKind::budget_exceeded:
    case ErrorKind::invalid_request:
    case ErrorKind::request_too_large:
    case ErrorKind::timeout_total: return false;
    case ErrorKind::content_policy: return options.fallback_on_content_policy;
    case ErrorKind::unsupported_parameter: query.wants_certainty = true; return true;
    case ErrorKind::context_length: {
      const std::string& model = failed.model.empty() ? query.model : failed.model;
      std::optional<int64_t> window = failed.context_window;
      if (!window) window = failed.backend->capabilities(model).context_length;
      query.window_above =
          std::max(query.window_above.value_or(0), window.value_or(query.needs.input_tokens));
      return true;
    }
    default: return true;
  }
}

RouteRecord::RouteRecord(std::shared_ptr<Router::State> router_state, RouteQuery route_query,
                         std::optional<double> deadline)
    : router(std::move(router_state)), query(std::move(route_query)) {
  started = router->clock->now();
  query.tried.assign(router->targets.size(), false);
  if (!deadline) deadline = router->options.deadline;
  if (deadline) deadline_at = started + *deadline;
  report.router = router->options.name;
  report.task = query.task;
}

std::optional<double> RouteRecord::seconds_left() const {
  if (!deadline_at) return std::nullopt;
  return std::max(*deadline_at - router->clock->now(), 0.0);
}

void RouteRecord::add_step(const Choice& choice, RouteStep step, double step_started) {
  step.target = router->targets[choice.target].target.name;
  step.started = step_started - started;
  step.seconds = router->clock->now() - step_started;
  step.is_probe = choice.is_probe;
  const std::lock_guard lock(mutex);
  if (step.outcome == RouteStep::Outcome::failed) {
    failures.push_back(concat(step.target, ": ", step.reason));
  }
  report.steps.push_back(std::move(step));
}

void RouteRecord::add_left_out(const std::vector<LeftOut>& newly_left_out) {
  const double since = router->clock->now() - started;
  const std::lock_guard lock(mutex);
  left_out = newly_left_out;
  for (const LeftOut& item : newly_left_out) {
    const Target& target = router->targets[item.target].target;
    const bool is_known =
        std::any_of(report.steps.begin(), report.steps.end(), [&](const RouteStep& step) {
          return step.target == target.name && step.reason == item.reason;
        });
    if (is_known) continue;
    RouteStep step;
    step.target = target.name;
    step.model = target.model.empty() ? query.model : target.model;
    step.reason = item.reason;
    step.started = since;
    report.steps.push_back(std::move(step));
  }
}

std::shared_ptr<const RouteReport> RouteRecord::conclude() {
  std::shared_ptr<RouteReport> finished;
  {
    const std::lock_guard lock(mutex);
    report.seconds = router->clock->now() - started;
    report.cost.reset();
    for (const RouteStep& step : report.steps) {
      if (step.cost) report.cost = report.cost.value_or(0) + *step.cost;
    }
    finished = std::make_shared<RouteReport>(report);
  }
  router->keep(*finished);
  return finished;
}

std::exception_ptr RouteRecord::nobody_left() {
  const std::lock_guard lock(mutex);
  ErrorDetails details;
  details.kind = failures.empty() ? kind_of(left_out) : ErrorKind::no_healthy_provider;
  details.provider = router->options.name;
  details.model = query.model;
  details.attempts = asked;
  details.message = "nobody is left to ask";
  const char* separator = ": ";
  for (const std::string& failure : failures) {
    details.message += separator + failure;
    separator = "; ";
  }
  for (const LeftOut& item : left_out) {
    append(details.message,
           concat(separator, router->targets[item.target].target.name, ": ", item.reason));
    separator = "; ";
    if (item.seconds > 0) {
      details.retry_after = std::min(details.retry_after.value_or(item.seconds), item.seconds);
    }
  }
  return std::make_exception_ptr(ProviderError(std::move(details)));
}

std::exception_ptr RouteRecord::out_of_time() {
  const std::lock_guard lock(mutex);
  ErrorDetails details;
  details.kind = ErrorKind::timeout_total;
  details.provider = router->options.name;
  details.model = query.model;
  details.attempts = asked;
  details.message = concat("no answer within ", *deadline_at - started, " s");
  for (const std::string& failure : failures) details.message += "; " + failure;
  return std::make_exception_ptr(ProviderError(std::move(details)));
}

RouteAttempt::RouteAttempt(std::shared_ptr<RouteRecord> record, Choice choice, bool is_hedge)
    : record_(std::move(record)),
      choice_(std::move(choice)),
      is_hedge_(is_hedge),
      started_(record_->router->clock->now()) {}

RouteAttempt::~RouteAttempt() {
  if (!has_ended_) record_->router->called_off(choice_);
}

const Target& RouteAttempt::target() const {
  return record_->router->targets[choice_.target].target;
}

const std::string& RouteAttempt::model() const {
  return target().model.empty() ? record_->query.model : target().model;
}

RouteStep RouteAttempt::step(RouteStep::Outcome outcome) const {
  RouteStep step;
  step.model = model();
  step.outcome = outcome;
  step.is_hedge = is_hedge_;
  return step;
}

void RouteAttempt::answer_began() { seconds_to_answer_ = record_->router->clock->now() - started_; }

std::optional<double> RouteAttempt::succeeded(const Usage& usage, std::optional<double> cost,
                                              const std::vector<Header>& headers) {
  has_ended_ = true;
  if (!cost) cost = usage.cost;
  const RouterOptions& options = record_->router->options;
  if (!cost && options.prices)
    cost = options.prices->cost(target().backend->name(), model(), usage);
  record_->router->succeeded(
      choice_, seconds_to_answer_.value_or(record_->router->clock->now() - started_), headers);
  const Settlement settlement = settlement_of(usage, cost, choice_.estimate);
  choice_.reservation.settle(settlement.tokens, settlement.dollars);
  RouteStep answered = step(RouteStep::Outcome::answered);
  answered.cost = cost;
  record_->add_step(choice_, std::move(answered), started_);
  const std::lock_guard lock(record_->mutex);
  record_->report.answered_by = target().name;
  return cost;
}

void RouteAttempt::failed(const ErrorDetails& details) {
  if (details.kind == ErrorKind::cancelled) {
    called_off("the caller called it off");
    return;
  }
  has_ended_ = true;
  record_->router->failed(choice_, details);
  RouteStep failure = step(RouteStep::Outcome::failed);
  failure.error = details.kind;
  failure.reason = what_of(details);
  if (may_have_cost(details)) {
    failure.cost = choice_.estimate.cost;
    choice_.reservation.settle(std::nullopt, std::nullopt);
  } else {
    choice_.reservation.release();
  }
  record_->add_step(choice_, std::move(failure), started_);
}

void RouteAttempt::called_off(std::string reason) {
  if (std::exchange(has_ended_, true)) return;
  record_->router->called_off(choice_);
  RouteStep off = step(RouteStep::Outcome::called_off);
  off.reason = std::move(reason);
  off.cost = choice_.estimate.cost;
  choice_.reservation.settle(std::nullopt, std::nullopt);
  record_->add_step(choice_, std::move(off), started_);
}

}  // namespace taut::ai
