#pragma once
// Limits of money and tokens, kept by many threads at once.
//   auto budget = Budget::create({.run = {.dollars = 5.0}});
//   Budget::Reservation reservation = budget->reserve("openai", "labels", estimate);
//   ... the call ...
//   reservation.settle(usage_tokens, dollars);
// What a call may come to is reserved before it is made, so that calls at the same time cannot pass
// the limit together. A reservation that nobody settles counts in full.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "taut/ai/prices.h"

namespace taut::ai {

struct BudgetLimit {
  std::optional<double> dollars;
  std::optional<int64_t> tokens;  // input and output
};

struct BudgetLimits {
  BudgetLimit run;                                             // of everything
  std::vector<std::pair<std::string, BudgetLimit>> providers;  // by name
  std::vector<std::pair<std::string, BudgetLimit>> tasks;      // by ChatRequest::task
};

/// What was spent, and what calls under way hold.
struct Spending {
  double dollars = 0;
  int64_t tokens = 0;
  double reserved_dollars = 0;
  int64_t reserved_tokens = 0;
  int64_t calls = 0;                  // that were settled
  int64_t calls_of_unknown_cost = 0;  // among them: their tokens count, and no money
};

class TAUT_API Budget {
 public:
  /// Throws ValueError for limits that are negative or not finite, and for a name that is there
  /// twice.
  static std::shared_ptr<Budget> create(BudgetLimits limits);
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;
  ~Budget();

  /// A part of the budget that one call holds. Dropped without settle(), all of it is spent.
  class TAUT_API Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept;
    Reservation& operator=(Reservation&& other) noexcept;
    ~Reservation();

    /// The call is over and took so much; unset: as much as was reserved. Once at most.
    void settle(std::optional<int64_t> tokens, std::optional<double> dollars);
    /// The call took nothing: it was never made, or was refused.
    void release();
    explicit operator bool() const { return budget_ != nullptr; }

   private:
    friend class Budget;
    void end(int64_t tokens, std::optional<double> dollars, bool counts);
    std::shared_ptr<Budget> budget_;
    std::string provider_, task_;
    CostEstimate estimate_;
  };

  /// Throws ProviderError, budget_exceeded, where what is spent, held and asked for is more than a
  /// limit. A call whose price is not known is held against the limits of tokens alone.
  Reservation reserve(const std::string& provider, const std::string& task,
                      const CostEstimate& estimate);
  /// Why reserve() would refuse, or an empty text. For choosing among providers: only reserve() is
  /// sure.
  std::string refusal(const std::string& provider, const std::string& task,
                      const CostEstimate& estimate) const;

  Spending spent() const;
  Spending spent_by_provider(const std::string& name) const;
  Spending spent_by_task(const std::string& name) const;

 private:
  explicit Budget(BudgetLimits limits);
  struct State;
  std::unique_ptr<State> state_;
  std::weak_ptr<Budget> self_;
};

}  // namespace taut::ai
