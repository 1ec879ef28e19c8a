#include "src/ai/stream_relay.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/ai/scripted_backend.h"

namespace taut::ai {
namespace {

StreamEvent piece(int number) {
  StreamEvent event;
  event.text = std::to_string(number);
  return event;
}

TEST(StreamRelayTest, CarriesAMillionEventsOnOneStack) {
  constexpr int kEvents = 1'000'000;
  auto queue = std::make_shared<StreamQueue>(kEvents + 1);
  std::vector<StreamEvent> events(kEvents);
  queue->push(std::move(events));
  queue->close(testing::answer("end"), nullptr);
  int seen = 0;
  const ChatStream stream =
      tapped(StreamQueue::stream(queue), [&](StreamEvent&) { ++seen; }, nullptr);
  int read = 0;
  while (stream.next()) ++read;
  EXPECT_EQ(read, kEvents);
  EXPECT_EQ(seen, kEvents);
  EXPECT_EQ(stream.response().text(), "end");
}

TEST(StreamRelayTest, TheReadersPaceReachesTheWriter) {
  auto queue = std::make_shared<StreamQueue>(4);
  const ChatStream stream = tapped(StreamQueue::stream(queue), nullptr, nullptr);
  int written = 0;
  while (!queue->is_full() && written < 10000) queue->push({piece(written++)});
  EXPECT_LT(written, 100) << "nobody reads";
  std::thread writer([&] {
    while (written < 5000) {
      if (!queue->is_full()) queue->push({piece(written++)});
      std::this_thread::yield();
    }
    queue->close({}, nullptr);
  });
  int read = 0;
  while (const auto event = stream.next()) EXPECT_EQ(event->text, std::to_string(read++));
  writer.join();
  EXPECT_EQ(read, 5000);
}

TEST(StreamRelayTest, ErrorsPassAndAreSeen) {
  auto queue = std::make_shared<StreamQueue>(4);
  std::exception_ptr seen;
  const ChatStream stream = tapped(StreamQueue::stream(queue), nullptr,
                                   [&](ChatResponse&, std::exception_ptr error) { seen = error; });
  queue->push({piece(1)});
  queue->close({}, testing::failure(ErrorKind::truncated_stream));
  EXPECT_EQ(stream.next()->text, "1");
  EXPECT_THROW(stream.next(), ProviderError);
  EXPECT_EQ(testing::details_from(seen).kind, ErrorKind::truncated_stream);
}

TEST(StreamRelayTest, CancellingReachesTheWriterAndTheHook) {
  for (const bool is_full : {false, true}) {
    auto queue = std::make_shared<StreamQueue>(4);
    bool told = false;
    queue->set_on_cancel([&] { told = true; });
    int ends = 0;
    const ChatStream stream =
        tapped(StreamQueue::stream(queue), nullptr, [&](ChatResponse&, std::exception_ptr error) {
          ++ends;
          EXPECT_TRUE(error != nullptr);
        });
    for (int i = 0; is_full && i < 100; ++i) queue->push({piece(i)});
    stream.cancel();
    EXPECT_TRUE(told);
    EXPECT_EQ(ends, 1) << is_full;
    EXPECT_THROW(stream.next(), ProviderError);
  }
}

TEST(StreamRelayTest, ChangedResponsesAreTheStreams) {
  auto queue = std::make_shared<StreamQueue>(4);
  const ChatStream stream =
      tapped(StreamQueue::stream(queue), nullptr,
             [](ChatResponse& response, std::exception_ptr) { response.cost = 7; });
  queue->close(testing::answer("x"), nullptr);
  EXPECT_FALSE(stream.next().has_value());
  EXPECT_EQ(stream.response().cost, 7);
}

}  // namespace
}  // namespace taut::ai
