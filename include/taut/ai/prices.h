#pragma once
// What calls cost, by a table of prices that the user supplies: Taut knows none itself.
//   PriceTable prices = PriceTable::from_file("prices.json");
//   std::optional<double> dollars = prices.cost("openai", "gpt-5-mini", response.usage);
// The file:
//   {"date": "2026-11-01", "unit": "per_million_tokens", "prices": [
//     {"provider": "openai", "model": "gpt-5-mini*", "input": 0.25, "output": 2, "cached_input":
//     0.025}]}
// A model that ends in * stands for all that begin so; the longest match wins.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taut/ai/request.h"
#include "taut/ai/response.h"

namespace taut::ai {

/// US dollars for a token. What is not set costs what its kind costs: cached input and cache writes
/// as input, reasoning as output.
struct Price {
  double input = 0;
  double output = 0;
  std::optional<double> cached_input;
  std::optional<double> cache_write;
  std::optional<double> reasoning;
  double request = 0;  // for each call, whatever its length
};

/// What a call may come to, before it is made.
struct CostEstimate {
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  std::optional<double> cost;  // US dollars; unset: the price is not known
  int64_t tokens() const { return input_tokens + output_tokens; }
};

class TAUT_API PriceTable {
 public:
  /// No prices: every cost is unknown but what a provider reports.
  PriceTable() = default;
  /// Throws ValueError for what is no such table.
  static PriceTable from_json(std::string_view text);
  /// Throws IoError, too.
  static PriceTable from_file(const std::string& path);

  /// The day of the prices, as the table tells it.
  const std::string& date() const { return date_; }
  size_t size() const { return entries_.size(); }

  std::optional<Price> find(std::string_view provider, std::string_view model) const;

  /// US dollars. What the provider itself reported wins. Nothing where neither it nor the table
  /// knows, or where the usage is not told.
  std::optional<double> cost(std::string_view provider, std::string_view model,
                             const Usage& usage) const;
  /// For a request that sets no limit of output, `usual_output_tokens` are assumed.
  CostEstimate estimate(std::string_view provider, std::string_view model,
                        const ChatRequest& request, int64_t usual_output_tokens = 4096) const;
  CostEstimate estimate(std::string_view provider, std::string_view model,
                        const EmbeddingRequest& request) const;

 private:
  struct Entry {
    std::string provider;  // empty: any
    std::string model;     // without the *
    bool is_prefix = false;
    Price price;
  };
  std::string date_;
  std::vector<Entry> entries_;
};

/// A guess at the tokens of a request, from its length: four ASCII characters are a token, any
/// other character is one. Meant to be rather too high than too low for European languages.
TAUT_API int64_t estimated_input_tokens(const ChatRequest& request);
TAUT_API int64_t estimated_input_tokens(const EmbeddingRequest& request);

}  // namespace taut::ai
