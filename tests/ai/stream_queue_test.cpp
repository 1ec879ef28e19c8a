// The channel behind a stream, where its two sides meet.

#include "src/ai/stream_queue.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace taut::ai
