// The channel behind a stream, where its two sides meet.

#include "src/ai/stream_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "src/ai/executor.h"
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

TEST(StreamQueueTest, AStreamThatWasMovedFrom) {
  auto queue = std::make_shared<StreamQueue>(16);
  ChatStream from = StreamQueue::stream(queue);
  const ChatStream to = std::move(from);
  EXPECT_THROW(from.next(), ValueError);
  EXPECT_THROW(from.next_event(), ValueError);
  EXPECT_THROW(from.response(), ValueError);
  EXPECT_THROW(from.cancel(), ValueError);
  queue->push({piece("a")});
  EXPECT_EQ(to.next()->text, "a");
}

/// A queue whose runner keeps what it is given, and somebody who waits for its first event.
struct HeldQueue {
  explicit HeldQueue(int64_t capacity) : queue(std::make_shared<StreamQueue>(capacity)) {
    queue->set_runner([this](Callback<void()> task) { held.push_back(std::move(task)); });
    first = stream.next_event();
  }
  void run_held() {
    for (const Callback<void()>& task : std::exchange(held, {})) task();
  }

  std::vector<Callback<void()>> held;
  const std::shared_ptr<StreamQueue> queue;
  const ChatStream stream = StreamQueue::stream(queue);
  Pending<std::optional<StreamEvent>> first;
};

/// An event for who waits is with them before their callback runs.
TEST(StreamQueueTest, ACancelDropsWhatIsOnItsWay) {
  HeldQueue waiting(16);
  waiting.queue->push({piece("a"), piece("b")});
  EXPECT_FALSE(waiting.first.is_done());
  waiting.stream.cancel();
  EXPECT_THROW(waiting.first.get(), ProviderError);
  waiting.run_held();
  EXPECT_THROW(waiting.stream.next(), ProviderError);
}

TEST(StreamQueueTest, WhatIsOnItsWayComesBeforeTheEnd) {
  HeldQueue waiting(16);
  waiting.queue->push({piece("a"), piece("b")});
  waiting.queue->close(testing::answer("ab"), nullptr);
  EXPECT_EQ(waiting.held.size(), 1u);
  waiting.run_held();
  EXPECT_EQ(waiting.first.get()->text, "a");
  EXPECT_EQ(waiting.stream.next_event().get()->text, "b");
  EXPECT_FALSE(waiting.stream.next_event().get());
}

TEST(StreamQueueTest, WhatIsOnItsWayTakesRoom) {
  HeldQueue waiting(1);
  int told = 0;
  waiting.queue->set_on_room([&] { ++told; });
  EXPECT_FALSE(waiting.queue->is_full());
  waiting.queue->push({piece("a")});
  EXPECT_TRUE(waiting.queue->is_full());
  EXPECT_EQ(told, 0);
  waiting.run_held();
  EXPECT_EQ(told, 1);
  EXPECT_FALSE(waiting.queue->is_full());
  EXPECT_EQ(waiting.first.get()->text, "a");
}

TEST(StreamQueueTest, EventsKeepTheirOrder) {
  EventFifo fifo;
  int in = 0, out = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < round % 7; ++i) fifo.push(piece(std::to_string(in++)));
    for (int i = 0; i < round % 5 && !fifo.empty(); ++i) {
      EXPECT_EQ(fifo.front().text, std::to_string(out++));
      fifo.drop();
    }
    EXPECT_EQ(fifo.size(), static_cast<size_t>(in - out));
  }
  EXPECT_GT(fifo.size(), 100u);
  fifo.clear();
  EXPECT_TRUE(fifo.empty());
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

/// A queue whose callbacks run on so many threads.
class RunnerTest : public ::testing::Test {
 protected:
  std::shared_ptr<StreamQueue> queue(Executor& executor) {
    auto queue = std::make_shared<StreamQueue>(16);
    queue->set_runner([&executor](Callback<void()> task) { executor.run(std::move(task)); });
    return queue;
  }
};

TEST_F(RunnerTest, RunsCallbacksAndNotTheWriter) {
  Executor executor(1);
  const auto events = queue(executor);
  const ChatStream stream = StreamQueue::stream(events);
  const Promise<std::thread::id> told;
  stream.next_event().then([told](const auto&) { told.set(std::this_thread::get_id()); });
  events->push({piece("a")});
  EXPECT_NE(told.pending().get(), std::this_thread::get_id());
}

/// The only thread that could tell it waits for it.
TEST_F(RunnerTest, AWaitOnItsOnlyThreadIsToldByTheWriter) {
  Executor executor(1);
  const auto events = queue(executor);
  const ChatStream stream = StreamQueue::stream(events);
  const Promise<std::string> last;
  std::atomic<bool> has_begun{false};
  stream.next_event().then([&, stream](const auto&) {
    has_begun = true;
    std::string text = stream.next_event().get()->text;
    text += stream.next_event().get()->text;
    last.set(text + (stream.next_event().get() ? "" : "|"));
  });
  events->push({piece("a")});
  while (!has_begun) std::this_thread::yield();
  events->push({piece("b")});
  events->push({piece("c")});
  events->close(testing::answer("abc"), nullptr);
  ASSERT_TRUE(last.pending().wait_for(10));
  EXPECT_EQ(last.pending().get(), "bc|");
}

/// What a callback waits for may be done by the callback of the event after it.
TEST_F(RunnerTest, ACallbackMayWaitForTheNextOne) {
  Executor executor(2);
  const auto events = queue(executor);
  const ChatStream stream = StreamQueue::stream(events);
  const Promise<int> next, both;
  stream.next_event().then([&, stream](const auto&) {
    stream.next_event().then([&](const auto&) { next.set(1); });
    both.set(next.pending().get());
  });
  events->push({piece("a")});
  events->push({piece("b")});
  EXPECT_TRUE(both.pending().wait_for(10));
}

TEST_F(RunnerTest, AWaitThatIsGivenUpLeavesTheCallbackToTheRunner) {
  Executor executor(1);
  const auto events = queue(executor);
  const ChatStream stream = StreamQueue::stream(events);
  const Pending<std::optional<StreamEvent>> event = stream.next_event();
  EXPECT_FALSE(event.wait_for(0.01));
  const Promise<std::thread::id> told;
  event.then([told](const auto&) { told.set(std::this_thread::get_id()); });
  events->push({piece("a")});
  EXPECT_NE(told.pending().get(), std::this_thread::get_id());
}

/// Readers that wait, ask and are called back, in turn, from threads that all are the runner's.
TEST_F(RunnerTest, EveryEventReachesEveryKindOfReader) {
  constexpr int kEvents = 20'000;
  Executor executor(2);
  const auto events = queue(executor);
  const ChatStream stream = StreamQueue::stream(events);
  const Promise<int64_t> sum;
  int64_t seen = 0;
  int turn = 0;
  Callback<void()> read = [&] {
    for (;;) {
      const Pending<std::optional<StreamEvent>> pending = stream.next_event();
      if (++turn % 3 == 0) {
        // Whoever comes second goes on: to read from the callback alone would go deeper with each
        // event that is there already.
        const auto is_first = std::make_shared<std::atomic<bool>>(true);
        pending.then([&, pending, is_first](const Outcome<std::optional<StreamEvent>>&) {
          const auto event = pending.get();
          if (!event) return static_cast<void>(sum.set(seen));
          seen += event->candidate;
          if (!is_first->exchange(false)) read();
        });
        if (is_first->exchange(false)) return;
        continue;
      }
      const auto event = turn % 3 == 1 ? pending.get() : (pending.wait_for(30), pending.get());
      if (!event) return static_cast<void>(sum.set(seen));
      seen += event->candidate;
    }
  };
  executor.run(read);
  for (int i = 1; i <= kEvents; ++i) {
    while (events->is_full()) std::this_thread::yield();
    StreamEvent event = piece("x");
    event.candidate = i;
    events->push({event});
  }
  events->close(testing::answer("x"), nullptr);
  ASSERT_TRUE(sum.pending().wait_for(60));
  EXPECT_EQ(sum.pending().get(), int64_t{kEvents} * (kEvents + 1) / 2);
}

TEST(Boxed, IsAsByDefaultUntilItIsSet) {
  Boxed<Usage> usage;
  EXPECT_FALSE(usage->total);
  usage.edit().total = 7;
  Boxed<Usage> copy = usage;
  copy.edit().total = 8;
  EXPECT_EQ(usage->total, 7);
  EXPECT_EQ(copy->total, 8);
  usage = copy;
  EXPECT_EQ((*usage).total, 8);
  const Boxed<Usage>& self = usage;
  usage = self;
  EXPECT_EQ(usage->total, 8);
  copy = {};
  EXPECT_FALSE(copy->total);
}

}  // namespace
}  // namespace taut::ai
