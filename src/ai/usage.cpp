#include "src/ai/usage.h"

#include <cmath>

namespace taut::ai {
namespace {

using Count = std::optional<int64_t>;

// xAI counts in units of 1e-10 US dollars.
constexpr double kTicksPerDollar = 1e10;

template <class... Keys>
Count count_of(const Json& json, Keys... keys) {
  const Count count = get<int64_t>(json, keys...);
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

std::optional<double> cost_of(const Json& usage) {
  if (const auto ticks = dollars(get<double>(usage, "cost_in_usd_ticks"))) {
    return *ticks / kTicksPerDollar;
  }
  return dollars(get<double>(usage, "cost", "total_cost"));
}

}  // namespace

void keep_last_usage(Json& usage, const Json& later) {
  if (!later.is_object()) return;
  if (!usage.is_object()) usage = Json::object();
  for (const auto& [key, value] : later.items()) {
    if (value.is_object()) {
      keep_last_usage(usage[key], value);
    } else if (!value.is_null()) {
      usage[key] = value;
    }
  }
}

Usage usage_of_chat(const Json& json, Vendor vendor) {
  Usage usage;
  usage.input_total = count_of(json, "prompt_tokens");
  usage.input_cached = count_of(json, "prompt_tokens_details", "cached_tokens");
  usage.input_cache_write = count_of(json, "prompt_tokens_details", "cache_write_tokens");
  usage.output_total = count_of(json, "completion_tokens");
  usage.output_reasoning = count_of(json, "completion_tokens_details", "reasoning_tokens");
  usage.total = count_of(json, "total_tokens");
  usage.cost = cost_of(json);
  if (vendor == Vendor::perplexity && !usage.output_reasoning) {
    usage.output_reasoning = count_of(json, "reasoning_tokens");
  }
  // Grok's completion tokens are those of the answer alone.
  if (vendor == Vendor::xai) usage.output_total = plus(usage.output_total, usage.output_reasoning);
  return usage;
}

Usage usage_of_responses(const Json& json) {
  Usage usage;
  usage.input_total = count_of(json, "input_tokens");
  usage.input_cached = count_of(json, "input_tokens_details", "cached_tokens");
  usage.input_cache_write = count_of(json, "input_tokens_details", "cache_write_tokens");
  usage.output_total = count_of(json, "output_tokens");
  usage.output_reasoning = count_of(json, "output_tokens_details", "reasoning_tokens");
  usage.total = count_of(json, "total_tokens");
  usage.cost = cost_of(json);
  return usage;
}

Usage usage_of_anthropic(const Json& json) {
  Usage usage;
  usage.input_cached = count_of(json, "cache_read_input_tokens");
  usage.input_cache_write = count_of(json, "cache_creation_input_tokens");
  // Claude's input tokens are those that came from no cache and went into none.
  usage.input_total =
      plus(plus(count_of(json, "input_tokens"), usage.input_cached), usage.input_cache_write);
  usage.output_total = count_of(json, "output_tokens");
  usage.output_reasoning = count_of(json, "output_tokens_details", "thinking_tokens");
  return usage;
}

Usage usage_of_gemini(const Json& json) {
  Usage usage;
  usage.input_total =
      plus(count_of(json, "promptTokenCount"), count_of(json, "toolUsePromptTokenCount"));
  usage.input_cached = count_of(json, "cachedContentTokenCount");
  usage.output_reasoning = count_of(json, "thoughtsTokenCount");
  // Gemini's candidates are counted without the thoughts, and not at all where there are thoughts
  // alone.
  const Count candidates = count_of(json, "candidatesTokenCount");
  usage.output_total =
      candidates ? plus(candidates, usage.output_reasoning) : usage.output_reasoning;
  usage.total = count_of(json, "totalTokenCount");
  return usage;
}

}  // namespace taut::ai
