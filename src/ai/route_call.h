#pragma once
// One call of a router: a target is asked, another one where that fails or takes too long, until
// one answers or none is left.

#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/ai/follow.h"
#include "src/ai/route_state.h"

namespace taut::ai {

/// What is known of one logical call, over all that is tried for it.
struct RouteRecord {
  std::shared_ptr<Router::State> router;
  RouteQuery query;
  double started = 0;
  std::optional<double> deadline_at;
  int asked = 0;
  std::vector<LeftOut> left_out;      // of the last choice
  std::vector<std::string> failures;  // what the targets that were asked said
  RouteReport report;
  std::mutex mutex;  // of all above but `router` and `started`

  RouteRecord(std::shared_ptr<Router::State> router, RouteQuery query,
              std::optional<double> deadline);

  std::optional<double> seconds_left() const;
  void add_step(const Choice& choice, RouteStep step, double step_started);
  /// The targets that were not taken, each once for each reason.
  void add_left_out(const std::vector<LeftOut>& left_out);
  /// Ends the report, and keeps it as the router's last.
  std::shared_ptr<const RouteReport> conclude();
  std::exception_ptr nobody_left();
  std::exception_ptr out_of_time();
};

/// A target that is being asked. Dropped without a word it was called off, and its reservation is
/// spent.
class RouteAttempt {
 public:
  RouteAttempt(std::shared_ptr<RouteRecord> record, Choice choice, bool is_hedge);
  RouteAttempt(const RouteAttempt&) = delete;
  RouteAttempt& operator=(const RouteAttempt&) = delete;
  ~RouteAttempt();

  const Target& target() const;
  const std::string& model() const;
  const Choice& choice() const { return choice_; }
  /// For the average of latencies: now, and not when the answer ends.
  void answer_began();
  /// Gives the cost, where it is known.
  std::optional<double> succeeded(const Usage& usage, std::optional<double> cost,
                                  const std::vector<Header>& headers);
  void failed(const ErrorDetails& details);
  void called_off(std::string reason);

 private:
  RouteStep step(RouteStep::Outcome outcome) const;

  std::shared_ptr<RouteRecord> record_;
  Choice choice_;
  bool is_hedge_;
  double started_;
  std::optional<double> seconds_to_answer_;
  bool has_ended_ = false;
};

/// Whether another target may be asked after this error, and what has to be true of it (written
/// into the query).
TAUT_API bool may_ask_another(const ErrorDetails& details, const Target& failed,
                              const RouterOptions& options, RouteQuery& query);

/// A result, and the attempt that it came from: none for one of the cache or the last resort.
template <class Result>
struct Routed {
  Result result;
  std::shared_ptr<RouteAttempt> attempt;
};

template <class Result>
class RouteCall : public std::enable_shared_from_this<RouteCall<Result>> {
 public:
  struct Hooks {
    Callback<Pending<Result>(const Target&, const std::string& model,
                             std::optional<double> seconds)>
        ask;
    Callback<std::optional<Result>()> from_cache;                               // may be empty
    Callback<Pending<Result>(std::optional<double> seconds)> from_last_resort;  // may be empty
    Callback<void(Outcome<Routed<Result>>)> done;                               // called once
  };

  RouteCall(std::shared_ptr<RouteRecord> record, Hooks hooks)
      : record_(std::move(record)), hooks_(std::move(hooks)) {}

  void start() {
    if (const std::optional<double> left = record_->seconds_left()) {
      set_alarm(*left, [](RouteCall& call) { call.expire(); });
    }
    ask_next(false);
  }

  void cancel(const ErrorDetails& details) {
    finish(std::make_exception_ptr(ProviderError(details)), "the caller called it off");
  }

 private:
  struct Flight {
    uint64_t number = 0;
    std::shared_ptr<RouteAttempt> attempt;  // none for the last resort
    std::optional<Pending<Result>> pending;
  };

  void set_alarm(double seconds, Callback<void(RouteCall&)> action) {
    const std::weak_ptr<RouteCall> weak = this->weak_from_this();
    const uint64_t number = record_->router->clock->after(seconds, [weak, action] {
      if (const std::shared_ptr<RouteCall> call = weak.lock()) action(*call);
    });
    {
      const std::lock_guard lock(mutex_);
      if (!is_done_) {
        alarms_.push_back(number);
        return;
      }
    }
    record_->router->clock->forget(number);
  }

  void expire() { finish(record_->out_of_time(), "the time for the call was over"); }

  void ask_next(bool is_hedge) {
    {
      const std::lock_guard lock(mutex_);
      if (is_done_) return;
      ++asking_;
    }
    std::vector<LeftOut> left_out;
    std::optional<Choice> choice = choose(left_out, false);
    if (is_hedge && !choice) {
      no_hedge();
      return;
    }
    record_->add_left_out(left_out);
    if (!choice && record_->router->options.allow_desperate) {
      left_out.clear();
      choice = choose(left_out, true);
    }
    if (!choice) {
      {
        const std::lock_guard lock(mutex_);
        --asking_;
      }
      ask_nobody();
      return;
    }
    auto attempt = std::make_shared<RouteAttempt>(record_, std::move(*choice), is_hedge);
    const uint64_t number = fly(attempt, [this, attempt] {
      return hooks_.ask(attempt->target(), attempt->model(), record_->seconds_left());
    });
    const std::optional<double> hedge_after = record_->router->options.hedge_after;
    if (!is_hedge && hedge_after) {
      set_alarm(*hedge_after, [number](RouteCall& call) { call.hedge(number); });
    }
  }

  /// The flight of that number is slow.
  void hedge(uint64_t number) {
    {
      const std::lock_guard lock(mutex_);
      const bool is_alone = flights_.size() == 1 && flights_.front().number == number;
      if (is_done_ || !is_alone || asking_ > 0) return;
    }
    ask_next(true);
  }

  /// A hedge found nobody: that is no harm, unless what it was to overtake has failed meanwhile.
  void no_hedge() {
    bool is_alone = false;
    {
      const std::lock_guard lock(mutex_);
      --asking_;
      is_alone = flights_.empty() && asking_ == 0;
    }
    if (is_alone) ask_next(false);
  }

  std::optional<Choice> choose(std::vector<LeftOut>& left_out, bool is_desperate) {
    RouteQuery query;
    {
      const std::lock_guard lock(record_->mutex);
      if (record_->asked >= record_->router->options.max_targets) return std::nullopt;
      query = record_->query;
    }
    std::optional<Choice> choice = record_->router->choose(query, is_desperate, left_out);
    const std::lock_guard lock(record_->mutex);
    if (choice) {
      record_->query.tried[choice->target] = true;
      ++record_->asked;
    }
    return choice;
  }

  /// Asks, and remembers that an answer is waited for.
  template <class Ask>
  uint64_t fly(std::shared_ptr<RouteAttempt> attempt, Ask ask) {
    uint64_t number = 0;
    bool is_late = false;
    {
      const std::lock_guard lock(mutex_);
      is_late = is_done_;
      number = ++last_number_;
      if (attempt) --asking_;
      if (!is_late) flights_.push_back({number, attempt, std::nullopt});
    }
    if (is_late) {
      if (attempt) attempt->called_off("another one answered first");
      return number;
    }
    Pending<Result> pending;
    try {
      pending = ask();
    } catch (...) {
      pending = failed_call<Result>(std::current_exception());
    }
    {
      const std::lock_guard lock(mutex_);
      for (Flight& flight : flights_) {
        if (flight.number == number) flight.pending = pending;
      }
      is_late = is_done_;
    }
    if (is_late) pending.cancel();
    pending.then([self = this->shared_from_this(), number](Outcome<Result> outcome) {
      self->landed(number, std::move(outcome));
    });
    return number;
  }

  void landed(uint64_t number, Outcome<Result> outcome) {
    std::shared_ptr<RouteAttempt> attempt;
    bool others_fly = false;
    {
      const std::lock_guard lock(mutex_);
      size_t place = 0;
      while (place < flights_.size() && flights_[place].number != number) ++place;
      if (is_done_ || place == flights_.size()) return;
      attempt = flights_[place].attempt;
      flights_.erase(flights_.begin() + static_cast<std::ptrdiff_t>(place));
      others_fly = !flights_.empty() || asking_ > 0;
    }
    if (outcome.has_value()) {
      if (attempt) attempt->answer_began();
      finish(Routed<Result>{std::move(outcome).value(), std::move(attempt)},
             "another one answered first");
      return;
    }
    const ErrorDetails details = details_of(outcome.error());
    if (!attempt) {
      finish(outcome.error(), "");
      return;
    }
    attempt->failed(details);
    bool may_go_on = false;
    {
      const std::lock_guard lock(record_->mutex);
      may_go_on =
          may_ask_another(details, attempt->target(), record_->router->options, record_->query);
    }
    attempt.reset();
    if (!may_go_on) {
      finish(outcome.error(), "the request itself was refused");
    } else if (!others_fly) {
      ask_next(false);
    }
  }

  /// No target is left: the cache, the last resort, or an error.
  void ask_nobody() {
    {
      const std::lock_guard lock(mutex_);
      if (is_done_ || !flights_.empty() || asking_ > 0) return;
    }
    {
      const std::lock_guard lock(record_->mutex);
      record_->report.is_degraded = true;
    }
    if (hooks_.from_cache) {
      if (std::optional<Result> kept = hooks_.from_cache()) {
        {
          const std::lock_guard lock(record_->mutex);
          record_->report.from_cache = true;
        }
        finish(Routed<Result>{std::move(*kept), nullptr}, "");
        return;
      }
    }
    if (hooks_.from_last_resort) {
      fly(nullptr, [this] { return hooks_.from_last_resort(record_->seconds_left()); });
      return;
    }
    {
      const std::lock_guard lock(record_->mutex);
      record_->report.is_degraded = false;
    }
    finish(record_->nobody_left(), "");
  }

  void finish(Outcome<Routed<Result>> outcome, const char* reason) {
    std::vector<Flight> flights;
    std::vector<uint64_t> alarms;
    Hooks hooks;
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(is_done_, true)) {
        return;
      }
      flights.swap(flights_);
      alarms.swap(alarms_);
      hooks = hooks_;
    }
    for (uint64_t alarm : alarms) record_->router->clock->forget(alarm);
    for (Flight& flight : flights) {
      if (flight.attempt) flight.attempt->called_off(reason);
      if (flight.pending) flight.pending->cancel();
    }
    hooks.done(std::move(outcome));
  }

  const std::shared_ptr<RouteRecord> record_;
  const Hooks hooks_;
  std::mutex mutex_;  // of what follows
  bool is_done_ = false;
  int asking_ = 0;  // targets that are being chosen, and will fly
  uint64_t last_number_ = 0;
  std::vector<Flight> flights_;
  std::vector<uint64_t> alarms_;
};

}  // namespace taut::ai
