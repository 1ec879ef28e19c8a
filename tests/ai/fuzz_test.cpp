// Golden files with random damage, put through the parsers: whatever comes, it is an answer or an
// error, and the same in whichever pieces it came. TAUT_FUZZ_SECONDS sets for how long; the seed is
// told.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>

#include "src/ai/json_series.h"
#include "src/ai/request_json.h"
#include "taut/ai/error.h"
#include "tests/ai/golden.h"

namespace taut::ai::testing {
namespace {

double fuzz_seconds() {
  const char* text = std::getenv("TAUT_FUZZ_SECONDS");
  return text == nullptr ? 5.0 : std::atof(text);
}

constexpr std::string_view kWords[] = {
    "\n\n",         "\r",    "data: ",  "event: ", "[DONE]", "null",  "{}",    "[]", "\"\"",
    "-1",           "1e999", "\\ud800", "\xFF",    "{",      "}",     "[",     "]",  "\"",
    "\\",           ":",     "0",       "true",    "NaN",    "index", "error", "id", "\xEF\xBB\xBF",
    "finish_reason"};

class Fuzzer {
 public:
  explicit Fuzzer(uint64_t seed) : random_(seed) {
    for (const char* ending : {".sse", ".json", ".jsonl"}) {
      for (const std::string& file : golden_files(ending)) {
        if (file.find("expected") != std::string::npos || file.find("requests/") == 0) continue;
        corpus_.emplace_back(file, read_golden(file));
      }
    }
  }

  void round() {
    const auto& [file, text] = corpus_[below(corpus_.size())];
    std::string damaged = text;
    for (size_t count = 1 + below(8); count > 0; --count) damage(damaged);
    const ProviderConfig config = config_of(folder_of(file));
    const bool is_stream = file.find(".sse") != std::string::npos;
    is_stream ? check_stream(config, damaged) : check_body(config, damaged);
    check_json(damaged);
    for (std::string_view rest = damaged; !rest.empty();) {
      const size_t end = std::min(rest.find('\n'), rest.size() - 1);
      std::string_view line = rest.substr(0, end);
      if (line.starts_with("data: ")) line.remove_prefix(6);
      check_json(std::string(line));
      rest.remove_prefix(end + 1);
    }
    for (int count = 0; count < 20; ++count) check_json(made_up_json());
  }

 private:
  size_t below(size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void damage(std::string& text) {
    const size_t at = below(text.size() + 1);
    const size_t length = std::min(below(32), text.size() - at);
    const std::string& other = corpus_[below(corpus_.size())].second;
    switch (below(6)) {
      case 0: text.erase(at, length); break;
      case 1: text.insert(at, text.substr(at, length)); break;
      case 2: text.insert(at, kWords[below(std::size(kWords))]); break;
      case 3: text.replace(at, length, kWords[below(std::size(kWords))]); break;
      case 4: text.insert(at, other.substr(below(other.size()), below(200))); break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
    }
  }

  /// What came of it, as text.
  template <class Pieces>
  static std::string outcome(const ProviderConfig& config, const Pieces& pieces) {
    try {
      const StreamRun run = run_stream(config, pieces);
      return told_by(run) + (run.is_whole ? "whole" : "part");
    } catch (const ProviderError& error) {
      return error.what();
    }
  }

  void check_stream(const ProviderConfig& config, const std::string& text) {
    Pieces pieces;
    for (std::string_view rest = text; !rest.empty();) {
      const size_t length = 1 + below(std::min<size_t>(rest.size(), 64));
      pieces.push_back(rest.substr(0, length));
      rest.remove_prefix(length);
    }
    ASSERT_EQ(outcome(config, pieces), outcome(config, std::string_view(text)))
        << ::testing::PrintToString(text);
  }

  template <class Read>
  static void try_to(const Read& read) {
    try {
      read();
    } catch (const ProviderError&) {
      // An error is an answer, too.
    }
  }

  void check_body(const ProviderConfig& config, const std::string& text) {
    const ProtocolHandler& handler = handler_for(config);
    const EmbeddingRequest two{.model = "m", .inputs = {"a", "b"}};
    HttpAnswer answer;
    answer.status = below(2) == 0 ? 200 : static_cast<int>(300 + below(300));
    answer.body = text;
    try_to([&] { handler.parse_chat(config, answer); });
    try_to([&] { handler.parse_embeddings(config, two, answer); });
    try_to([&] { handler.parse_models(config, answer); });
    try_to([&] { handler.parse_batch(config, answer); });
    try_to([&] { handler.parse_batch_results(config, answer); });
    ASSERT_FALSE(handler.parse_error(config, answer).message.empty());
  }

  /// A text is the same whatever the series has read before.
  void check_series(const std::string& text) {
    const std::optional<JsonDocument> json = parse_json(text);
    const Json& root = series_.parse(text);
    ASSERT_EQ(to_text(root), json ? to_text(json->root()) : "null") << text;
    for (const auto& [name, value] : root.members()) ASSERT_TRUE(root.contains(name)) << text;
  }

  /// Another parser agrees, and what was read can be written, and read again. The other one stops
  /// at a zero byte and refuses lone surrogates.
  void check_json(const std::string& text) {
    check_series(text);
    std::string other = text;  // which may be like the first in all but a value
    damage(other);
    check_series(other);
    const std::optional<JsonDocument> json = parse_json(text);
    const SortedJson reference = SortedJson::parse(text, nullptr, false);
    const bool may_differ =
        text.find('\0') != std::string::npos || text.find("\\u") != std::string::npos;
    if (!may_differ) {
      ASSERT_EQ(json.has_value(), !reference.is_discarded()) << text;
    }
    if (!json) return;
    if (!reference.is_discarded()) {
      ASSERT_EQ(sorted(json->root()), reference) << text;
    }
    const std::string written = to_text(json->root());
    const std::optional<JsonDocument> again = parse_json(written);
    ASSERT_TRUE(again.has_value()) << text;
    ASSERT_EQ(to_text(again->root()), written) << text;
  }

  /// Small texts of what JSON is made of: more of them are JSON, or nearly.
  std::string made_up_json() {
    constexpr std::string_view kPieces[] = {"{",       "}",
                                            "[",       "]",
                                            ",",       ":",
                                            "\"",      "\"a\"",
                                            "\"\\n\"", "\\u00e9",
                                            "0",       "-",
                                            "1",       ".5",
                                            "e",       "E+2",
                                            "1e9",     "true",
                                            "null",    " ",
                                            "\n",      "\xC3\xA9",
                                            "\xE2",    "\xF0\x9F\x8C\x8D",
                                            "false",   "12345678901234567890",
                                            "\"a\":",  "\xEF\xBB\xBF"};
    std::string text;
    for (size_t count = below(24); count > 0; --count) text += kPieces[below(std::size(kPieces))];
    return text;
  }

  std::mt19937_64 random_;
  JsonSeries series_;
  std::vector<std::pair<std::string, std::string>> corpus_;
};

TEST(AiFuzz, DamagedAnswersAreAnswersOrErrors) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  RecordProperty("seed", std::to_string(seed));
  Fuzzer fuzzer(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(fuzz_seconds());
  int64_t rounds = 0;
  while (std::chrono::steady_clock::now() < end && !HasFatalFailure()) {
    fuzzer.round();
    ++rounds;
  }
  EXPECT_GT(rounds, 0);
  std::cout << "seed " << seed << ", " << rounds << " rounds\n";
}

}  // namespace
}  // namespace taut::ai::testing
