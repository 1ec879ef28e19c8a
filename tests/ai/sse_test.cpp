// The parser of server-sent events, against the standard's words and a reader that has the whole
// stream.

#include "src/ai/sse.h"

#include <gtest/gtest.h>

#include <random>

#include "taut/ai/error.h"
#include "tests/ai/event_keeper.h"

namespace taut::ai::testing {
namespace {

std::string told_by(const std::vector<KeptEvent>& events) {
  std::string told;
  for (const KeptEvent& event : events) {
    told += event.type + "|" + event.data + (event.is_bare_json ? "|bare" : "") +
            (event.is_cut ? "|cut" : "") + "\n";
  }
  return told;
}

std::string told_by(const EventKeeper& keeper) { return told_by(keeper.events()); }

std::string parse(std::string_view text, bool has_finish = false) {
  SseParser parser{SizeLimits{}};
  EventKeeper events;
  parser.add(text, events);
  if (has_finish) parser.finish(events);
  return told_by(events);
}

std::string parse_in_pieces(std::string_view text, size_t piece) {
  SseParser parser{SizeLimits{}};
  EventKeeper events;
  for (size_t at = 0; at < text.size(); at += piece) parser.add(text.substr(at, piece), events);
  return told_by(events);
}

TEST(Sse, ReadsFields) {
  EXPECT_EQ(parse("data: a\n\n"), "message|a\n");
  EXPECT_EQ(parse("data:a\n\n"), "message|a\n");
  EXPECT_EQ(parse("data:  a\n\n"), "message| a\n");
  EXPECT_EQ(parse("event: e\ndata: a\ndata: b\n\ndata: c\n\n"), "e|a\nb\nmessage|c\n");
  EXPECT_EQ(parse("data\n\n"), "message|\n");
  EXPECT_EQ(parse("event: e\n\n"), "");
  EXPECT_EQ(parse("Data: a\nDATA: b\n\n"), "");
  EXPECT_EQ(parse("id: 1\nretry: 5\nx: y\ndata: a\n\n"), "message|a\n");
  EXPECT_EQ(parse(std::string_view("id: \0\ndata: a\n\n", 15)), "message|a\n");
  EXPECT_EQ(parse("data: [DONE]\n\n"), "message|[DONE]\n");
  EXPECT_EQ(parse("data: {\"a\":1}   \n\n"), "message|{\"a\":1}   \n");
}

TEST(Sse, EndsLinesAtCrLfAndBoth) {
  EXPECT_EQ(parse("data: a\r\rdata: b\r\n\r\ndata: c\n\n"), "message|a\nmessage|b\nmessage|c\n");
  EXPECT_EQ(parse("data: a\r\ndata: b\r\n\r\n"), "message|a\nb\n");
  // Vertical tab, form feed, NEL, U+2028 and U+2029 are a part of the line.
  const std::string odd = "data: a\v\f\xC2\x85\xE2\x80\xA8\xE2\x80\xA9z\n\n";
  EXPECT_EQ(parse(odd), "message|a\v\f\xC2\x85\xE2\x80\xA8\xE2\x80\xA9z\n");
}

TEST(Sse, SkipsOneByteOrderMark) {
  EXPECT_EQ(parse("\xEF\xBB\xBF"
                  "data: a\n\n"),
            "message|a\n");
  EXPECT_EQ(parse_in_pieces("\xEF\xBB\xBF"
                            "data: a\n\n",
                            1),
            "message|a\n");
  EXPECT_EQ(parse("\xEF\xBB\xBF\xEF\xBB\xBF"
                  "data: a\n\n"),
            "");
  EXPECT_EQ(parse("data: a\n\n\xEF\xBB\xBF"
                  "data: b\n\n"),
            "message|a\n");
}

TEST(Sse, CountsSignsOfLife) {
  SseParser parser{SizeLimits{}};
  EventKeeper events;
  parser.add(": one\n\n:\n\nevent: ping\n\ndata:\n\ndata: a\n\n", events);
  EXPECT_EQ(parser.keep_alives(), 4);
  EXPECT_EQ(told_by(events), "message|\nmessage|a\n");
}

TEST(Sse, TellsWhatIsCut) {
  EXPECT_EQ(parse("data: a", true), "message|a|cut\n");
  EXPECT_EQ(parse("data: a\n", true), "message|a|cut\n");
  EXPECT_EQ(parse("data: a\n\ndat", true), "message|a\n");
  EXPECT_EQ(parse("data: a\n\n", true), "message|a\n");
  EXPECT_EQ(parse("{\"error\":", true), "message|{\"error\":\n|bare|cut\n");
  SseParser parser{SizeLimits{}};
  EventKeeper events;
  EXPECT_FALSE(parser.has_pending());
  parser.add("data: a\n", events);
  EXPECT_TRUE(parser.has_pending());
  parser.add("\n", events);
  EXPECT_FALSE(parser.has_pending());
  parser.add("d", events);
  EXPECT_TRUE(parser.has_pending());
  parser.finish(events);
  EXPECT_FALSE(parser.has_pending());
}

TEST(Sse, CollectsBareJson) {
  EXPECT_EQ(parse("data: a\n\n{\"error\": {\n  \"m\": \"}]\\\"\"\n\n}}\n\ndata: b\n\n"),
            "message|a\nmessage|{\"error\": {\n  \"m\": \"}]\\\"\"\n\n}}|bare\nmessage|b\n");
  EXPECT_EQ(parse("[{\"error\":1}]\n"), "message|[{\"error\":1}]|bare\n");
  EXPECT_EQ(parse("{\"a\":1}{\"b\":2}\n"), "message|{\"a\":1}|bare\nmessage|{\"b\":2}|bare\n");
}

template <class Feed>
void expect_refused(const SizeLimits& limits, const Feed& feed) {
  SseParser parser{limits};
  EventKeeper events;
  try {
    feed(parser, events);
    ADD_FAILURE() << "nothing was refused";
  } catch (const ProviderError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::malformed_response);
  }
}

TEST(Sse, KeepsToItsLimits) {
  SizeLimits limits;
  limits.line = 100;
  limits.event = 150;
  limits.events = 10;
  expect_refused(limits, [](SseParser& parser, auto& events) {
    for (int i = 0; i < 101; ++i) parser.add("x", events);
  });
  expect_refused(limits, [](SseParser& parser, auto& events) {
    const std::string line = "data: " + std::string(80, 'x') + "\n";
    parser.add(line + line, events);
  });
  expect_refused(limits, [](SseParser& parser, auto& events) {
    for (int i = 0; i < 11; ++i) parser.add("data: a\n\n", events);
  });
  expect_refused(limits, [](SseParser& parser, auto& events) {
    for (int i = 0; i < 100; ++i) parser.add("{\"a\":\n", events);
  });
}

/// The standard's algorithm on a whole stream, line by line, without bare JSON.
std::string reference(std::string text) {
  if (text.substr(0, 3) == "\xEF\xBB\xBF") text.erase(0, 3);
  std::vector<std::string> lines;
  std::string line;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' || text[i] == '\n') {
      if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') ++i;
      lines.push_back(line);
      line.clear();
    } else {
      line.push_back(text[i]);
    }
  }
  std::vector<KeptEvent> events;
  std::string data, type;
  for (const std::string& each : lines) {
    if (each.empty()) {
      if (!data.empty()) {
        data.pop_back();
        events.push_back({type.empty() ? "message" : type, data, false, false});
      }
      data.clear();
      type.clear();
      continue;
    }
    const size_t colon = each.find(':');
    if (colon == 0) continue;
    const std::string field = each.substr(0, colon);
    std::string value = colon == std::string::npos ? "" : each.substr(colon + 1);
    if (!value.empty() && value[0] == ' ') value.erase(0, 1);
    if (field == "data") data += value + "\n";
    if (field == "event") type = value;
  }
  return told_by(events);
}

TEST(Sse, AgreesWithAReaderOfTheWholeInAnyPieces) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(::testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const std::string_view words[] = {
      "data", "data:", "data: ", "event:", "event: e", ":",    " ",     "\n", "\r",    "\r\n",
      "\n\n", "a",     "é",      "\xEF",   "\xBB",     "\xBF", "id: 1", "x",  "DONE]", "\r\n\r\n"};
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    const size_t count = random() % 20;
    for (size_t i = 0; i < count; ++i) text += words[random() % std::size(words)];
    SseParser parser{SizeLimits{}};
    EventKeeper events;
    for (std::string_view rest = text; !rest.empty();) {
      const size_t piece = 1 + random() % rest.size();
      parser.add(rest.substr(0, piece), events);
      rest.remove_prefix(piece);
    }
    ASSERT_EQ(told_by(events), reference(text)) << ::testing::PrintToString(text);
  }
}

TEST(Sse, TakesTimeInProportionToTheBytes) {
  // A line that comes byte by byte is not read anew each time: four million bytes are no matter.
  SseParser parser{SizeLimits{}};
  EventKeeper events;
  parser.add("data: ", events);
  for (int i = 0; i < 4'000'000; ++i) parser.add("x", events);
  parser.add("\n\n", events);
  ASSERT_EQ(events.events().size(), 1u);
  EXPECT_EQ(events.events()[0].data.size(), 4'000'000u);
}

}  // namespace
}  // namespace taut::ai::testing
