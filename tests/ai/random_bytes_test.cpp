// Bytes at random for what reads headers and addresses. The seed is told.

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "src/ai/address.h"
#include "src/ai/retry.h"
#include "taut/ai/error.h"

namespace taut::ai::test {
namespace {

unsigned chosen_seed() {
  const unsigned seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  return seed;
}

TEST(RandomBytes, NoParserMindsThem) {
  std::mt19937 generator(chosen_seed());
  using namespace std::string_literals;
  const std::string alphabet = "0123456789-+.:eEsmhnaifNT,ZGMJ \t\r\n\0\x7f\xc3\xa9/?#@%[]"s;
  std::uniform_int_distribution<size_t> length(0, 24), letter(0, alphabet.size() - 1);
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    for (size_t n = length(generator); n > 0; --n) text += alphabet[letter(generator)];
    HttpAnswer answer;
    answer.headers = {{"retry-after", text}};
    const std::optional<double> pause = retry_after_of(answer, 1.8e9);
    EXPECT_TRUE(!pause || (*pause >= 0 && *pause < 1e300)) << text;
    const bool is_clean = text.find_first_of("\r\n\0\x7f"s) == std::string::npos;
    EXPECT_EQ(is_header_value(text), is_clean);
    if (is_header_name(text)) {
      EXPECT_EQ(text.find_first_of(" :\t\r\n"), std::string::npos);
    }
    try {
      const BaseUrl base = parse_base_url("p", "https://h" + text, false);
      EXPECT_EQ(base.text.find_first_of(" ?#\r\n"), std::string::npos) << text;
      EXPECT_TRUE(join_url(base, "/v1/x").ends_with("/x"));
    } catch (const ValueError&) {
    }
  }
}

}  // namespace
}  // namespace taut::ai::test
