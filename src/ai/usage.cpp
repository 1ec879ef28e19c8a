#include "src/ai/usage.h"

#include <cmath>
#include <utility>

#include "taut/base/check.h"

namespace taut::ai {
namespace {

using Count = std::optional<int64_t>;

// xAI counts in units of 1e-10 US dollars.
constexpr double kTicksPerDollar = 1e10;

Count count_of(const UsageNumbers& usage, std::string_view path) {
  const Count count = as<int64_t>(usage.at(path));
  return count && *count >= 0 ? count : std::nullopt;
}

/// The sum of what is told; nothing where `base` is not.
Count plus(Count base, Count more) {
  int64_t sum = 0;
  if (!base || !more) return base;
  return __builtin_add_overflow(*base, *more, &sum) ? std::nullopt : Count(sum);
}

std::optional<double> dollars(std::optional<double> amount) {
  return amount && std::isfinite(*amount) && *amount >= 0 ? amount : std::nullopt;
}

std::optional<double> cost_of(const UsageNumbers& usage) {
  if (const auto ticks = dollars(as<double>(usage.at("cost_in_usd_ticks")))) {
    return *ticks / kTicksPerDollar;
  }
  return dollars(as<double>(usage.at("cost/total_cost")));
}

}  // namespace

void UsageNumbers::add(const Json& usage) {
  for (const auto& [name, value] : usage.members()) {
    if (!value.is_object()) add(std::string(name), value);
    for (const auto& [inner, number] : value.members()) {
      add(concat(name, "/", inner), number);
    }
  }
}

/// A null says nothing, and what is no number takes the place of one.
void UsageNumbers::add(std::string path, const Json& value) {
  const bool is_number = as<double>(value).has_value();
  if (!value.is_null()) numbers_[std::move(path)] = is_number ? value : Json();
}

const Json& UsageNumbers::at(std::string_view path) const {
  static const Json null;
  const auto found = numbers_.find(path);
  return found == numbers_.end() ? null : found->second;
}

Usage usage_of_chat(const UsageNumbers& numbers, Vendor vendor) {
  Usage usage;
  usage.input_total = count_of(numbers, "prompt_tokens");
  usage.input_cached = count_of(numbers, "prompt_tokens_details/cached_tokens");
  usage.input_cache_write = count_of(numbers, "prompt_tokens_details/cache_write_tokens");
  usage.output_total = count_of(numbers, "completion_tokens");
  usage.output_reasoning = count_of(numbers, "completion_tokens_details/reasoning_tokens");
  usage.total = count_of(numbers, "total_tokens");
  usage.cost = cost_of(numbers);
  if (vendor == Vendor::perplexity && !usage.output_reasoning) {
    usage.output_reasoning = count_of(numbers, "reasoning_tokens");
  }
  // Grok's completion tokens are those of the answer alone.
  if (vendor == Vendor::xai) usage.output_total = plus(usage.output_total, usage.output_reasoning);
  return usage;
}

Usage usage_of_responses(const UsageNumbers& numbers) {
  Usage usage;
  usage.input_total = count_of(numbers, "input_tokens");
  usage.input_cached = count_of(numbers, "input_tokens_details/cached_tokens");
  usage.input_cache_write = count_of(numbers, "input_tokens_details/cache_write_tokens");
  usage.output_total = count_of(numbers, "output_tokens");
  usage.output_reasoning = count_of(numbers, "output_tokens_details/reasoning_tokens");
  usage.total = count_of(numbers, "total_tokens");
  usage.cost = cost_of(numbers);
  return usage;
}

Usage usage_of_anthropic(const UsageNumbers& numbers) {
  Usage usage;
  usage.input_cached = count_of(numbers, "cache_read_input_tokens");
  usage.input_cache_write = count_of(numbers, "cache_creation_input_tokens");
  // Claude's input tokens are those that came from no cache and went into none.
  usage.input_total =
      plus(plus(count_of(numbers, "input_tokens"), usage.input_cached), usage.input_cache_write);
  usage.output_total = count_of(numbers, "output_tokens");
  usage.output_reasoning = count_of(numbers, "output_tokens_details/thinking_tokens");
  return usage;
}

Usage usage_of_gemini(const UsageNumbers& numbers) {
  Usage usage;
  usage.input_total =
      plus(count_of(numbers, "promptTokenCount"), count_of(numbers, "toolUsePromptTokenCount"));
  usage.input_cached = count_of(numbers, "cachedContentTokenCount");
  usage.output_reasoning = count_of(numbers, "thoughtsTokenCount");
  // Gemini's candidates are counted without the thoughts, and not at all where there are thoughts
  // alone.
  const Count candidates = count_of(numbers, "candidatesTokenCount");
  usage.output_total =
      candidates ? plus(candidates, usage.output_reasoning) : usage.output_reasoning;
  usage.total = count_of(numbers, "totalTokenCount");
  return usage;
}

}  // namespace taut::ai
