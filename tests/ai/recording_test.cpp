#include "taut/ai/recording.h"

#include "tests/ai/scripted_backend.h"
#include "tests/ai/temporary_folder.h"

namespace taut::ai {
namespace {

using testing::answer;
using testing::failure;
using testing::question;
using testing::ScriptedBackend;

class RecordingTest : public testing::TemporaryFolderTest {
 protected:
  std::shared_ptr<Backend> record() { return recorded(inner, path("calls.jsonl")); }
  std::shared_ptr<Backend> replay(ReplayOptions options = {}) {
    return replayed(path("calls.jsonl"), options);
  }
  static ErrorKind kind_of(const Pending<ChatResponse>& call) {
    try {
      call.get();
    } catch (const ProviderError& error) {
      return error.kind();
    }
    ADD_FAILURE() << "there was an answer";
    return ErrorKind::cancelled;
  }
  static std::string read_all(const ChatStream& stream) {
    std::string text;
    while (const auto event = stream.next()) text += event->text;
    return text;
  }

  std::shared_ptr<ScriptedBackend> inner = std::make_shared<ScriptedBackend>("p");
};

TEST_F(RecordingTest, AnswersAreGivenAgainInTheirOrder) {
  inner->gives("one").gives("two").gives("three");
  {
    const auto backend = record();
    backend->chat(question("a")).get();
    backend->chat(question("a")).get();
    backend->chat(question("b")).get();
  }
  const auto backend = replay();
  EXPECT_EQ(backend->name(), "p");
  EXPECT_EQ(backend->chat(question("b")).get().text(), "three");
  EXPECT_EQ(backend->chat(question("a")).get().text(), "one");
  EXPECT_EQ(backend->chat(question("a")).get().text(), "two");
  EXPECT_EQ(backend->chat(question("a")).get().text(), "two");
  EXPECT_EQ(kind_of(backend->chat(question("c"))), ErrorKind::not_found);
  const auto once = replay({.name = "other", .repeats = false});
  EXPECT_EQ(once->name(), "other");
  once->chat(question("b")).get();
  EXPECT_EQ(kind_of(once->chat(question("b"))), ErrorKind::not_found);
}

TEST_F(RecordingTest, ErrorsAreGivenAgain) {
  inner->fails(failure(ErrorKind::rate_limited, 3.0));
  EXPECT_EQ(kind_of(record()->chat(question())), ErrorKind::rate_limited);
  try {
    replay()->chat(question()).get();
    FAIL();
  } catch (const ProviderError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::rate_limited);
    EXPECT_DOUBLE_EQ(*error.details().retry_after, 3);
  }
}

TEST_F(RecordingTest, StreamsAreGivenAgainEventByEvent) {
  inner->gives("streamed");
  const ChatStream stream = record()->stream(question());
  EXPECT_EQ(read_all(stream), "streamed");
  const ChatStream again = replay()->stream(question());
  EXPECT_EQ(read_all(again), "streamed");
  EXPECT_EQ(again.response().text(), "streamed");
  EXPECT_EQ(replay()->chat(question()).get().text(), "streamed") << "and as a chat";
}

TEST_F(RecordingTest, ABrokenStreamBreaksAgain) {
  StreamEvent event;
  event.text = "half";
  inner->streams({event}, failure(ErrorKind::truncated_stream, {}, true));
  {
    const ChatStream stream = record()->stream(question());
    EXPECT_THROW(read_all(stream), ProviderError);
  }
  const ChatStream again = replay()->stream(question());
  EXPECT_EQ(again.next()->text, "half");
  EXPECT_THROW(again.next(), ProviderError);
}

TEST_F(RecordingTest, EmbeddingsAreGivenAgain) {
  EmbeddingRequest request;
  request.model = "e";
  request.inputs = {"x"};
  record()->embed(request).get();
  EXPECT_EQ(replay()->embed(request).get().embeddings[0][1], 2.0f);
}

TEST_F(RecordingTest, KeysAreTakenOut) {
  // Put together here, so that no file holds what looks like one.
  const std::string key = "sk-proj-" + test::marker_key(3);
  ChatResponse response = answer("you said " + key);
  response.headers = {{"set-cookie", test::marker_key(4)}, {"x-request-id", "r1"}};
  inner->gives(response);
  ChatRequest request = question("my key is " + key);
  request.headers = {{"authorization", "Bearer " + test::marker_key(5)}};
  record()->chat(request).get();
  const std::string text = read("calls.jsonl");
  for (int number = 3; number <= 5; ++number) {
    EXPECT_FALSE(test::shows_key(text, test::marker_key(number))) << text;
  }
  EXPECT_NE(text.find("r1"), std::string::npos);
  EXPECT_EQ(rights("calls.jsonl"),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  EXPECT_NE(replay()->chat(request).get().text().find("you said"), std::string::npos)
      << "the request is found all the same";
}

TEST_F(RecordingTest, DamagedFilesAreRefusedWithTheirLine) {
  inner->gives("x");
  record()->chat(question()).get();
  const std::string good = read("calls.jsonl");
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{\"format\": 2}"),
        std::string("{\"format\": 1, \"call\": \"sing\"}"),
        std::string("{\"format\": 1, \"call\": \"chat\", \"key\": \"k\"}")}) {
    write("calls.jsonl", good + "\n" + bad + "\n");
    try {
      replay();
      ADD_FAILURE() << bad;
    } catch (const FormatError& error) {
      EXPECT_NE(std::string(error.what()).find("calls.jsonl:3: "), std::string::npos)
          << error.what();
    }
  }
  EXPECT_THROW(replayed(path("none")), IoError);
  EXPECT_THROW(recorded(inner, path("no/such/folder")), IoError);
}

}  // namespace
}  // namespace taut::ai
