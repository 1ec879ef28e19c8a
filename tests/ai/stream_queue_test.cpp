// The channel behind a stream, where its two sides meet.

#include "src/ai/stream_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "taut/ai/error.h"
#include "tests/ai/scripted_backend.h"

namespace taut::ai {
namespace {

StreamEvent piece(const std::string& text) {
  StreamEvent event;
  event.text = text;
  return event;
}

/// A cancel looks at what has come so far before it ends the queue: there the writer is quicker.
TEST(StreamQueueTest, ACancelThatComesAfterTheEndDropsNothing) {
  auto queue = std::make_shared<StreamQueue>(16);
  bool is_told = false;
  queue->set_on_cancel([&] { is_told = true; });
  queue->set_snapshot([writer = queue.get()] {
    writer->push({piece("b")});
    writer->close(testing::answer("ab"), nullptr);
    return testing::answer("a");
  });
  const ChatStream stream = StreamQueue::stream(queue);
  queue->push({piece("a")});
  stream.cancel();
  EXPECT_FALSE(is_told);
  EXPECT_EQ(stream.next()->text, "a");
  EXPECT_EQ(stream.next()->text, "b");
  EXPECT_FALSE(stream.next());
  EXPECT_EQ(stream.response().text(), "ab");
}

TEST(StreamQueueTest, ACancelDropsWhatWasNotTaken) {
  auto queue = std::make_shared<StreamQueue>(16);
  const ChatStream stream = StreamQueue::stream(queue);
  queue->push({piece("a"), piece("b")});
  EXPECT_EQ(stream.next()->text, "a");
  stream.cancel();
  queue->push({piece("c")});
  EXPECT_THROW(stream.next(), ProviderError);
}

/// The writer may have taken who waits, and be about to tell them.
TEST(StreamQueueTest, NoCallbackBeginsWhenCancelHasReturned) {
  constexpr int kRounds = 10'000;
  std::vector<std::shared_ptr<StreamQueue>> queues;
  for (int i = 0; i < kRounds; ++i) queues.push_back(std::make_shared<StreamQueue>(16));
  std::atomic<int> begun{0}, written{0}, late{0};
  std::thread writer([&] {
    for (int i = 0; i < kRounds; ++i) {
      while (begun <= i) std::this_thread::yield();
      written = i + 1;
      queues[static_cast<size_t>(i)]->push({piece("a")});
    }
  });
  for (int i = 0; i < kRounds; ++i) {
    const ChatStream stream = StreamQueue::stream(queues[static_cast<size_t>(i)]);
    const auto has_returned = std::make_shared<std::atomic<bool>>(false);
    stream.next_event().then([&late, has_returned](const auto&) {
      if (*has_returned) ++late;
    });
    begun = i + 1;
    while (written <= i) std::this_thread::yield();
    for (int k = 0; k < i % 256; ++k) has_returned->load();  // so that they meet at all moments
    stream.cancel();
    *has_returned = true;
  }
  writer.join();
  EXPECT_EQ(late, 0);
}

}  // namespace
}  // namespace taut::ai
