#include "taut/ai/budget.h"

#include <cmath>
#include <map>
#include <mutex>

#include "taut/base/check.h"

namespace taut::ai {
namespace {

struct Account {
  BudgetLimit limit;
  Spending spending;
};

using Accounts = std::map<std::string, Account>;

void check_limit(const BudgetLimit& limit, const std::string& whose) {
  TAUT_CHECK(!limit.dollars || (std::isfinite(*limit.dollars) && *limit.dollars >= 0), ValueError,
             "budget: ", whose, ": dollars: got ", limit.dollars.value_or(0),
             "; expected a number that is not negative");
  TAUT_CHECK(!limit.tokens || *limit.tokens >= 0, ValueError, "budget: ", whose, ": tokens: got ",
             limit.tokens.value_or(0), "; expected a number that is not negative");
}

Accounts accounts_of(const std::vector<std::pair<std::string, BudgetLimit>>& limits,
                     const char* kind) {
  Accounts accounts;
  for (const auto& [name, limit] : limits) {
    check_limit(limit, name);
    const bool is_new = accounts.emplace(name, Account{limit, {}}).second;
    TAUT_CHECK(is_new, ValueError, "budget: two limits for the ", kind, " '", name, "'");
  }
  return accounts;
}

/// Why an account cannot hold so much more, or an empty text.
std::string refusal_of(const Account& account, const std::string& whose,
                       const CostEstimate& estimate) {
  const Spending& spending = account.spending;
  if (account.limit.dollars && estimate.cost &&
      spending.dollars + spending.reserved_dollars + *estimate.cost > *account.limit.dollars) {
    return concat("budget: ", whose, ": US dollars: spent ", spending.dollars, ", held by calls ",
                  spending.reserved_dollars, ", asked for ", *estimate.cost, "; expected at most ",
                  *account.limit.dollars);
  }
  if (account.limit.tokens &&
      spending.tokens + spending.reserved_tokens + estimate.tokens() > *account.limit.tokens) {
    return concat("budget: ", whose, ": tokens: spent ", spending.tokens, ", held by calls ",
                  spending.reserved_tokens, ", asked for ", estimate.tokens(),
                  "; expected at most ", *account.limit.tokens);
  }
  return {};
}

void hold(Account& account, const CostEstimate& estimate) {
  account.spending.reserved_tokens += estimate.tokens();
  account.spending.reserved_dollars += estimate.cost.value_or(0);
}

void end_hold(Account& account, const CostEstimate& estimate) {
  Spending& spending = account.spending;
  spending.reserved_tokens -= estimate.tokens();
  spending.reserved_dollars -= estimate.cost.value_or(0);
  // Sums of floating-point numbers do not come back to zero by themselves.
  if (spending.reserved_tokens == 0) spending.reserved_dollars = 0;
}

void spend(Account& account, int64_t tokens, const std::optional<double>& dollars) {
  ++account.spending.calls;
  account.spending.tokens += tokens;
  if (dollars) {
    account.spending.dollars += *dollars;
  } else {
    ++account.spending.calls_of_unknown_cost;
  }
}

ProviderError exceeded(std::string message, const std::string& provider) {
  ErrorDetails details;
  details.kind = ErrorKind::budget_exceeded;
  details.provider = provider;
  details.message = std::move(message);
  details.attempts = 0;
  return ProviderError(std::move(details));
}

}  // namespace

struct Budget::State {
  mutable std::mutex mutex;
  Account run;
  Accounts providers;
  Accounts tasks;

  std::string refusal(const std::string& provider, const std::string& task,
                      const CostEstimate& estimate) const {
    std::string reason = refusal_of(run, "the run", estimate);
    const auto of_provider = providers.find(provider);
    if (reason.empty() && of_provider != providers.end()) {
      reason = refusal_of(of_provider->second, "the provider " + provider, estimate);
    }
    const auto of_task = tasks.find(task);
    if (reason.empty() && of_task != tasks.end()) {
      reason = refusal_of(of_task->second, "the task " + task, estimate);
    }
    return reason;
  }

  /// Accounts without a limit are kept, too: they tell what was spent.
  template <class Change>
  void change(const std::string& provider, const std::string& task, Change change) {
    change(run);
    change(providers[provider]);
    change(tasks[task]);
  }

  Spending spending_of(const Accounts& accounts, const std::string& name) const {
    const std::lock_guard lock(mutex);
    const auto found = accounts.find(name);
    return found == accounts.end() ? Spending() : found->second.spending;
  }
};

Budget::Budget(BudgetLimits limits) : state_(std::make_unique<State>()) {
  check_limit(limits.run, "the run");
  state_->run.limit = limits.run;
  state_->providers = accounts_of(limits.providers, "provider");
  state_->tasks = accounts_of(limits.tasks, "task");
}

Budget::~Budget() = default;

std::shared_ptr<Budget> Budget::create(BudgetLimits limits) {
  std::shared_ptr<Budget> budget(new Budget(std::move(limits)));
  budget->self_ = budget;
  return budget;
}

Budget::Reservation Budget::reserve(const std::string& provider, const std::string& task,
                                    const CostEstimate& estimate) {
  // Whatever may throw comes before the first change.
  Reservation reservation;
  reservation.provider_ = provider;
  reservation.task_ = task;
  reservation.estimate_ = estimate;
  {
    const std::lock_guard lock(state_->mutex);
    std::string reason = state_->refusal(provider, task, estimate);
    if (!reason.empty()) throw exceeded(std::move(reason), provider);
    state_->providers[provider];
    state_->tasks[task];
    state_->change(provider, task, [&](Account& account) { hold(account, estimate); });
  }
  reservation.budget_ = self_.lock();
  return reservation;
}

std::string Budget::refusal(const std::string& provider, const std::string& task,
                            const CostEstimate& estimate) const {
  const std::lock_guard lock(state_->mutex);
  return state_->refusal(provider, task, estimate);
}

Spending Budget::spent() const {
  const std::lock_guard lock(state_->mutex);
  return state_->run.spending;
}

Spending Budget::spent_by_provider(const std::string& name) const {
  return state_->spending_of(state_->providers, name);
}

Spending Budget::spent_by_task(const std::string& name) const {
  return state_->spending_of(state_->tasks, name);
}

Budget::Reservation::Reservation(Reservation&& other) noexcept
    : budget_(std::move(other.budget_)),
      provider_(std::move(other.provider_)),
      task_(std::move(other.task_)),
      estimate_(other.estimate_) {
  other.budget_ = nullptr;
}

Budget::Reservation& Budget::Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    if (budget_) end(estimate_.tokens(), estimate_.cost, true);
    budget_ = std::move(other.budget_);
    other.budget_ = nullptr;
    provider_ = std::move(other.provider_);
    task_ = std::move(other.task_);
    estimate_ = other.estimate_;
  }
  return *this;
}

Budget::Reservation::~Reservation() {
  if (budget_) end(estimate_.tokens(), estimate_.cost, true);
}

void Budget::Reservation::settle(std::optional<int64_t> tokens, std::optional<double> dollars) {
  if (!budget_) return;
  end(tokens.value_or(estimate_.tokens()), dollars ? dollars : estimate_.cost, true);
}

void Budget::Reservation::release() {
  if (budget_) end(0, 0.0, false);
}

void Budget::Reservation::end(int64_t tokens, std::optional<double> dollars, bool counts) {
  const std::shared_ptr<Budget> budget = std::exchange(budget_, nullptr);
  const std::lock_guard lock(budget->state_->mutex);
  budget->state_->change(provider_, task_, [&](Account& account) {
    end_hold(account, estimate_);
    if (counts) spend(account, tokens, dollars);
  });
}

}  // namespace taut::ai
