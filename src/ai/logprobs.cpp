#include "src/ai/logprobs.h"

#include <charconv>
#include <limits>
#include <utility>

namespace taut::ai {
namespace {

constexpr double kNotTold = std::numeric_limits<double>::quiet_NaN();

std::optional<std::vector<uint8_t>> bytes_of(const Json& json) {
  if (!json.is_array()) return std::nullopt;
  std::vector<uint8_t> bytes;
  bytes.reserve(json.size());
  for (const Json& item : json) {
    const std::optional<int64_t> byte = as<int64_t>(item);
    if (!byte || *byte < 0 || *byte > 255) return std::nullopt;
    bytes.push_back(static_cast<uint8_t>(*byte));
  }
  return bytes;
}

/// llama.cpp has the number of a token beside it; vLLM writes it into its name where it is asked
/// to.
std::optional<int64_t> token_id_of(const Json& json, std::string_view token) {
  if (const std::optional<int64_t> id = get<int64_t>(json, "id")) return id;
  constexpr std::string_view kPrefix = "token_id:";
  if (token.substr(0, kPrefix.size()) != kPrefix) return std::nullopt;
  token.remove_prefix(kPrefix.size());
  int64_t id = 0;
  const auto result = std::from_chars(token.data(), token.data() + token.size(), id);
  if (result.ec != std::errc() || result.ptr != token.data() + token.size()) return std::nullopt;
  return id;
}

template <class Entry>
Entry openai_entry(const Json& json) {
  Entry entry;
  entry.token = text_of(json, "token");
  entry.logprob = get<double>(json, "logprob").value_or(kNotTold);
  entry.bytes = bytes_of(member(json, "bytes"));
  entry.token_id = token_id_of(json, entry.token);
  return entry;
}

template <class Entry>
Entry gemini_entry(const Json& json) {
  Entry entry;
  entry.token = text_of(json, "token");
  entry.logprob = get<double>(json, "logProbability").value_or(kNotTold);
  entry.token_id = get<int64_t>(json, "tokenId");
  return entry;
}

}  // namespace

std::vector<TokenLogprob> logprobs_of_openai(const Json& list) {
  std::vector<TokenLogprob> logprobs;
  if (!list.is_array()) return logprobs;
  logprobs.reserve(list.size());
  for (const Json& item : list) {
    auto entry = openai_entry<TokenLogprob>(item);
    for (const Json& other : elements(item, "top_logprobs")) {
      entry.top.push_back(openai_entry<TokenLogprob::Other>(other));
    }
    logprobs.push_back(std::move(entry));
  }
  return logprobs;
}

std::vector<TokenLogprob> logprobs_of_gemini(const Json& result) {
  std::vector<TokenLogprob> logprobs;
  for (const Json& item : elements(result, "chosenCandidates")) {
    logprobs.push_back(gemini_entry<TokenLogprob>(item));
  }
  size_t place = 0;
  for (const Json& item : elements(result, "topCandidates")) {
    if (place == logprobs.size()) break;
    for (const Json& other : elements(item, "candidates")) {
      logprobs[place].top.push_back(gemini_entry<TokenLogprob::Other>(other));
    }
    ++place;
  }
  return logprobs;
}

}  // namespace taut::ai
