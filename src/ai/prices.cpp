#include "taut/ai/prices.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <utility>

#include "src/ai/json_form.h"

namespace taut::ai {
namespace {

// What surrounds a message in the templates of chat models, and the order of what vendors count for
// a picture of medium size.
constexpr int64_t kTokensAroundMessage = 4;
constexpr int64_t kTokensOfImage = 1100;
constexpr int64_t kCharactersInToken = 4;

int64_t tokens_of(std::string_view text) {
  int64_t ascii = 0;
  int64_t others = 0;
  for (char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x80) {
      ++ascii;
    } else if ((byte & 0xC0) != 0x80) {  // the first byte of a character
      ++others;
    }
  }
  return (ascii + kCharactersInToken - 1) / kCharactersInToken + others;
}

struct PartTokens {
  int64_t operator()(const TextPart& part) const { return tokens_of(part.text); }
  int64_t operator()(const ImagePart&) const { return kTokensOfImage; }
  int64_t operator()(const ToolCall& part) const {
    return tokens_of(part.name) + tokens_of(part.arguments);
  }
  int64_t operator()(const ToolResult& part) const { return tokens_of(part.content); }
  int64_t operator()(const ReasoningPart& part) const {
    return tokens_of(part.text) + tokens_of(part.redacted);
  }
};

double checked_price(double value, const char* member, const std::string& model) {
  TAUT_CHECK(std::isfinite(value) && value >= 0, ValueError, "prices: ", model, ": ", member,
             ": got ", value, "; expected a number that is not negative");
  return value;
}

std::optional<double> scaled(const std::optional<double>& value, double scale, const char* member,
                             const std::string& model) {
  if (!value) return std::nullopt;
  return checked_price(*value, member, model) * scale;
}

}  // namespace

int64_t estimated_input_tokens(const ChatRequest& request) {
  int64_t tokens = 0;
  for (const Message& message : request.messages) {
    tokens += kTokensAroundMessage;
    for (const Part& part : message.parts) tokens += std::visit(PartTokens(), part);
  }
  for (const Tool& tool : request.tools) {
    tokens += tokens_of(tool.name) + tokens_of(tool.description) + tokens_of(tool.parameters);
  }
  if (request.format) tokens += tokens_of(request.format->schema);
  return tokens;
}

int64_t estimated_input_tokens(const EmbeddingRequest& request) {
  int64_t tokens = 0;
  for (const std::string& input : request.inputs) tokens += tokens_of(input);
  return tokens;
}

PriceTable PriceTable::from_json(std::string_view text) {
  PriceTable table;
  const form::Json value = form::parse(text, "prices");
  enum class Unit { per_million_tokens, per_token };
  static constexpr std::string_view kUnits[] = {"per_million_tokens", "per_token"};
  Unit unit = Unit::per_million_tokens;
  std::string note;
  std::vector<form::Json> rows;
  form::Reader(value, "prices")
      .get("date", table.date_)
      .choice("unit", unit, kUnits)
      .get("note", note)
      .list("prices", rows, [](const form::Json& row) { return row; })
      .finish();
  TAUT_CHECK(!table.date_.empty(), ValueError, "prices: no date; expected one like 2026-11-01");
  const double scale = unit == Unit::per_token ? 1.0 : 1e-6;
  for (const form::Json& row : rows) {
    Entry entry;
    std::optional<double> input, output, cached_input, cache_write, reasoning;
    form::Reader(row, "prices")
        .get("provider", entry.provider)
        .get("model", entry.model)
        .get("input", input)
        .get("output", output)
        .get("cached_input", cached_input)
        .get("cache_write", cache_write)
        .get("reasoning", reasoning)
        .get("request", entry.price.request)
        .finish();
    TAUT_CHECK(!entry.model.empty(), ValueError, "prices: an entry has no model; got ",
               form::dump(row));
    TAUT_CHECK(input && output, ValueError, "prices: ", entry.model,
               ": expected both input and output");
    checked_price(entry.price.request, "request", entry.model);
    entry.price.input = *scaled(input, scale, "input", entry.model);
    entry.price.output = *scaled(output, scale, "output", entry.model);
    entry.price.cached_input = scaled(cached_input, scale, "cached_input", entry.model);
    entry.price.cache_write = scaled(cache_write, scale, "cache_write", entry.model);
    entry.price.reasoning = scaled(reasoning, scale, "reasoning", entry.model);
    if (entry.model.back() == '*') {
      entry.is_prefix = true;
      entry.model.pop_back();
    }
    table.entries_.push_back(std::move(entry));
  }
  return table;
}

PriceTable PriceTable::from_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  TAUT_CHECK(file.good(), IoError, "prices: cannot open ", path);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  TAUT_CHECK(!file.bad(), IoError, "prices: cannot read ", path);
  return from_json(text);
}

std::optional<Price> PriceTable::find(std::string_view provider, std::string_view model) const {
  const Entry* best = nullptr;
  // An exact name is better than a prefix, a longer prefix than a shorter one, an entry of the
  // provider's own than one of all; of equals the first.
  std::array<size_t, 3> best_rank{};
  for (const Entry& entry : entries_) {
    const bool is_its = entry.provider == provider;
    if (!is_its && !entry.provider.empty()) continue;
    const bool matches = entry.is_prefix ? model.starts_with(entry.model) : model == entry.model;
    if (!matches) continue;
    const std::array<size_t, 3> rank = {!entry.is_prefix, entry.model.size(), is_its};
    if (best == nullptr || rank > best_rank) {
      best = &entry;
      best_rank = rank;
    }
  }
  if (best == nullptr) return std::nullopt;
  return best->price;
}

std::optional<double> PriceTable::cost(std::string_view provider, std::string_view model,
                                       const Usage& usage) const {
  if (usage.cost) return usage.cost;
  const std::optional<Price> price = find(provider, model);
  if (!price || !usage.input_total) return std::nullopt;
  const int64_t input = std::max<int64_t>(*usage.input_total, 0);
  const int64_t cached = std::clamp<int64_t>(usage.input_cached.value_or(0), 0, input);
  const int64_t written =
      std::clamp<int64_t>(usage.input_cache_write.value_or(0), 0, input - cached);
  // Embeddings have no output.
  const int64_t output = std::max<int64_t>(usage.output_total.value_or(0), 0);
  const int64_t reasoning = std::clamp<int64_t>(usage.output_reasoning.value_or(0), 0, output);
  return price->request + static_cast<double>(input - cached - written) * price->input +
         static_cast<double>(cached) * price->cached_input.value_or(price->input) +
         static_cast<double>(written) * price->cache_write.value_or(price->input) +
         static_cast<double>(output - reasoning) * price->output +
         static_cast<double>(reasoning) * price->reasoning.value_or(price->output);
}

CostEstimate PriceTable::estimate(std::string_view provider, std::string_view model,
                                  const ChatRequest& request, int64_t usual_output_tokens) const {
  CostEstimate estimate;
  estimate.input_tokens = estimated_input_tokens(request);
  estimate.output_tokens =
      std::max<int64_t>(request.max_output_tokens.value_or(usual_output_tokens), 0) *
      std::max<int64_t>(request.candidates.value_or(1), 1);
  if (const std::optional<Price> price = find(provider, model)) {
    // A cache write may cost more than plain input; whether there is one is not known before.
    const double input = std::max(price->input, price->cache_write.value_or(0));
    const double output = std::max(price->output, price->reasoning.value_or(0));
    estimate.cost = price->request + static_cast<double>(estimate.input_tokens) * input +
                    static_cast<double>(estimate.output_tokens) * output;
  }
  return estimate;
}

CostEstimate PriceTable::estimate(std::string_view provider, std::string_view model,
                                  const EmbeddingRequest& request) const {
  CostEstimate estimate;
  estimate.input_tokens = estimated_input_tokens(request);
  if (const std::optional<Price> price = find(provider, model)) {
    estimate.cost = price->request + static_cast<double>(estimate.input_tokens) * price->input;
  }
  return estimate;
}

}  // namespace taut::ai
