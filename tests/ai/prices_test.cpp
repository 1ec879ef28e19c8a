#include "taut/ai/prices.h"

#include <gtest/gtest.h>

namespace taut::ai {
namespace {

PriceTable table() {
  return PriceTable::from_json(R"({"date": "2026-11-01", "unit": "per_million_tokens", "prices": [
    {"provider": "openai", "model": "gpt-*", "input": 1, "output": 8},
    {"provider": "openai", "model": "gpt-5-mini*", "input": 0.25, "output": 2, "cached_input": 0.025},
    {"provider": "openai", "model": "gpt-5-mini-special", "input": 7, "output": 7},
    {"provider": "anthropic", "model": "claude-*", "input": 3, "output": 15, "cached_input": 0.3,
     "cache_write": 3.75},
    {"model": "sonar", "input": 1, "output": 1, "reasoning": 3, "request": 0.005}]})");
}

Usage usage(int64_t input, int64_t output, int64_t cached = 0, int64_t written = 0,
            int64_t reasoning = 0) {
  Usage usage;
  usage.input_total = input;
  usage.output_total = output;
  usage.input_cached = cached;
  usage.input_cache_write = written;
  usage.output_reasoning = reasoning;
  return usage;
}

TEST(PricesTest, TheLongestMatchWins) {
  const PriceTable prices = table();
  EXPECT_EQ(prices.date(), "2026-11-01");
  EXPECT_EQ(prices.size(), 5u);
  EXPECT_DOUBLE_EQ(prices.find("openai", "gpt-4")->input, 1e-6);
  EXPECT_DOUBLE_EQ(prices.find("openai", "gpt-5-mini-2026-08-07")->input, 0.25e-6);
  EXPECT_DOUBLE_EQ(prices.find("openai", "gpt-5-mini-special")->input, 7e-6);
  EXPECT_FALSE(prices.find("anthropic", "gpt-5-mini").has_value());
  EXPECT_TRUE(prices.find("anybody", "sonar").has_value());
  EXPECT_FALSE(prices.find("anybody", "sonar-pro").has_value());
}

TEST(PricesTest, EveryKindOfTokenHasItsPrice) {
  const PriceTable prices = table();
  // 100 plain, 700 read from the cache, 200 written to it, 50 of output.
  EXPECT_NEAR(*prices.cost("anthropic", "claude-x", usage(1000, 50, 700, 200)),
              100 * 3e-6 + 700 * 0.3e-6 + 200 * 3.75e-6 + 50 * 15e-6, 1e-12);
  EXPECT_NEAR(*prices.cost("openai", "gpt-5-mini", usage(1000, 50, 400)),
              600 * 0.25e-6 + 400 * 0.025e-6 + 50 * 2e-6, 1e-12);
  EXPECT_NEAR(*prices.cost("x", "sonar", usage(10, 50, 0, 0, 20)), 0.005 + 10e-6 + 30e-6 + 60e-6,
              1e-12);
}

TEST(PricesTest, WhatTheProviderReportsWins) {
  Usage told = usage(1000, 50);
  told.cost = 0.125;
  EXPECT_DOUBLE_EQ(*table().cost("openai", "gpt-5-mini", told), 0.125);
  EXPECT_DOUBLE_EQ(*PriceTable().cost("xai", "grok", told), 0.125);
}

TEST(PricesTest, WhatIsNotKnownIsNoZero) {
  EXPECT_FALSE(table().cost("openai", "other", usage(1, 1)).has_value());
  EXPECT_FALSE(table().cost("openai", "gpt-4", Usage()).has_value());
  EXPECT_FALSE(PriceTable().cost("openai", "gpt-4", usage(1, 1)).has_value());
}

TEST(PricesTest, CountsThatContradictEachOtherStayWithinTheirTotal) {
  EXPECT_GE(*table().cost("anthropic", "claude-x", usage(10, 5, 100, 100, 100)), 0);
  EXPECT_NEAR(*table().cost("anthropic", "claude-x", usage(-5, -5)), 0, 1e-12);
}

TEST(PricesTest, EstimatesAreMadeBeforeACall) {
  ChatRequest request;
  request.model = "gpt-4";
  request.messages.push_back(Message::user(std::string(400, 'a')));
  request.max_output_tokens = 1000;
  request.candidates = 2;
  const CostEstimate estimate = table().estimate("openai", "gpt-4", request);
  EXPECT_EQ(estimate.input_tokens, 104);
  EXPECT_EQ(estimate.output_tokens, 2000);
  EXPECT_NEAR(*estimate.cost, 104e-6 + 2000 * 8e-6, 1e-12);
  request.max_output_tokens.reset();
  EXPECT_EQ(table().estimate("openai", "gpt-4", request, 77).output_tokens, 154);
  EXPECT_FALSE(table().estimate("openai", "other", request).cost.has_value());
}

TEST(PricesTest, CharactersBeyondAsciiCountOneEach) {
  ChatRequest request;
  request.messages.push_back(Message::user("äöü"));
  EXPECT_EQ(estimated_input_tokens(request), 4 + 3);
  EmbeddingRequest embedding;
  embedding.inputs = {"abcd", "日本"};
  EXPECT_EQ(estimated_input_tokens(embedding), 3);
}

void expect_refused(const char* text, const char* expected) {
  try {
    PriceTable::from_json(text);
    FAIL() << text;
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
  }
}

TEST(PricesTest, TablesThatMakeNoSenseAreRefused) {
  expect_refused("[", "not JSON");
  expect_refused("[]", "not an object");
  expect_refused(R"({"prices": []})", "date");
  expect_refused(R"({"date": "d", "unit": "per_word"})", "per_word");
  expect_refused(R"({"date": "d", "prices": [{"input": 1, "output": 1}]})", "no model");
  expect_refused(R"({"date": "d", "prices": [{"model": "m", "input": 1}]})", "both");
  expect_refused(R"({"date": "d", "prices": [{"model": "m", "input": -1, "output": 1}]})", "-1");
  expect_refused(R"({"date": "d", "prices": [{"model": "m", "input": "1", "output": 1}]})",
                 "a number");
  expect_refused(
      R"({"date": "d", "prices": [{"model": "m", "input": 1, "output": 1, "outptu": 2}]})",
      "outptu");
  EXPECT_THROW(PriceTable::from_file("/no/such/file"), IoError);
}

}  // namespace
}  // namespace taut::ai
