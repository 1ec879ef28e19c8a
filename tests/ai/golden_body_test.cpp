// Golden answers that came in one piece, and the same with each of their values replaced: whatever
// a server writes, it is an answer or an error.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "taut/ai/error.h"
#include "tests/ai/event_keeper.h"
#include "tests/ai/golden.h"
#include "tests/ai/response_summary.h"

namespace taut::ai::testing {
namespace {

using nlohmann::json;

std::vector<std::string> bodies() {
  std::vector<std::string> files = golden_files(".json");
  std::erase_if(files, [](const std::string& file) {
    return file.find("/chat") == std::string::npos ||
           file.find(".expected.json") != std::string::npos;
  });
  return files;
}

HttpAnswer good_answer(std::string body) {
  HttpAnswer answer;
  answer.status = 200;
  answer.headers = {{"content-type", "application/json"}};
  answer.body = std::move(body);
  return answer;
}

class GoldenBody : public ::testing::TestWithParam<std::string> {};

TEST_P(GoldenBody, SaysWhatWasRecorded) {
  const ProviderConfig config = config_of(folder_of(GetParam()));
  const std::string body = read_golden(GetParam());
  const ChatResponse response = handler_for(config).parse_chat(config, good_answer(body));
  const auto expected = nlohmann::ordered_json::parse(read_golden(GetParam() + ".expected.json"));
  EXPECT_EQ(summary_of(response).dump(1), expected.dump(1));
  EXPECT_EQ(response.raw, body);
  EXPECT_EQ(response.provider, config.name);
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param.substr(0, info.param.rfind('.'));
  std::replace(name.begin(), name.end(), '/', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenBody, ::testing::ValuesIn(bodies()), test_name);

/// Calls `visit` with the document as it is with each of its values replaced in turn.
template <class Visit>
int64_t replace_each(json& document, json& value, const Visit& visit) {
  static const json kStrangers[] = {nullptr,
                                    -1,
                                    1e300,
                                    "text",
                                    json::array(),
                                    json::object(),
                                    true,
                                    json::array({nullptr}),
                                    json::object({{"type", 1}})};
  int64_t visits = 0;
  const json kept = value;
  for (const json& stranger : kStrangers) {
    value = stranger;
    visit(document.dump());
    ++visits;
  }
  value = kept;
  if (value.is_structured()) {
    for (json& inner : value) visits += replace_each(document, inner, visit);
  }
  return visits;
}

/// Whether it gives an answer or an error of this kind of thing, and nothing else.
template <class Read>
void expect_answer_or_error(const Read& read, const std::string& text) {
  try {
    read();
  } catch (const ProviderError& error) {
    EXPECT_FALSE(error.details().message.empty()) << text;
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what() << " of " << text;
  }
}

TEST(StrangeBody, IsAnAnswerOrAnError) {
  for (const std::string& file : bodies()) {
    const ProviderConfig config = config_of(folder_of(file));
    json document = json::parse(read_golden(file));
    const int64_t visits = replace_each(document, document, [&](const std::string& text) {
      expect_answer_or_error([&] { handler_for(config).parse_chat(config, good_answer(text)); },
                             text);
      handler_for(config).parse_error(config, good_answer(text));
    });
    EXPECT_GT(visits, 100) << file;
  }
}

TEST(StrangeBody, OfOtherKindsIsAnAnswerOrAnError) {
  const EmbeddingRequest request{.model = "m", .inputs = {"a", "b"}};
  for (const std::string& file : golden_files(".json")) {
    if (file.find("expected") != std::string::npos || file.find("requests/") == 0) continue;
    const ProviderConfig config = config_of(folder_of(file));
    const ProtocolHandler& handler = handler_for(config);
    if (file.find("/chat") != std::string::npos) continue;
    json document = json::parse(read_golden(file));
    replace_each(document, document, [&](const std::string& text) {
      const HttpAnswer answer = good_answer(text);
      if (file.find("embeddings") != std::string::npos) {
        expect_answer_or_error([&] { handler.parse_embeddings(config, request, answer); }, text);
      } else if (file.find("models") != std::string::npos) {
        expect_answer_or_error([&] { handler.parse_models(config, answer); }, text);
      } else {
        expect_answer_or_error([&] { handler.parse_batch(config, answer); }, text);
        expect_answer_or_error([&] { handler.parse_batch_results(config, answer); }, text);
      }
    });
  }
}

/// The events of a stream, each with the JSON of its data replaced value by value.
TEST(StrangeEvent, IsAPieceOrAnError) {
  for (const std::string& file : golden_files(".sse")) {
    const ProviderConfig config = config_of(folder_of(file));
    SseParser parser{SizeLimits{}};
    EventKeeper keeper;
    parser.add(read_golden(file), keeper);
    const std::vector<KeptEvent>& events = keeper.events();
    for (size_t place = 0; place < events.size(); ++place) {
      json document = json::parse(events[place].data, nullptr, false);
      if (document.is_discarded()) continue;
      replace_each(document, document, [&](const std::string& text) {
        expect_answer_or_error(
            [&] {
              const auto assembler = handler_for(config).assembler(config);
              std::vector<StreamEvent> told;
              for (size_t i = 0; i < events.size() && !assembler->is_complete(); ++i) {
                KeptEvent event = events[i];
                if (i == place) event.data = text;
                assembler->add(event.event(), told);
              }
              assembler->ends_here();
              EXPECT_LE(assembler->response().candidates.size(), 128u);
            },
            text);
      });
    }
  }
}

TEST(Body, ThatIsNoJsonIsMalformed) {
  for (const std::string_view folder : {"openai", "openai_responses", "anthropic", "gemini"}) {
    const ProviderConfig config = config_of(folder);
    for (const std::string body : {"", "<html>busy</html>", "{", "[]", "{\"a\":NaN}", "1e400"}) {
      try {
        handler_for(config).parse_chat(config, good_answer(body));
        ADD_FAILURE() << body;
      } catch (const ProviderError& error) {
        EXPECT_EQ(error.kind(), ErrorKind::malformed_response) << body;
      }
    }
  }
}

}  // namespace
}  // namespace taut::ai::testing
