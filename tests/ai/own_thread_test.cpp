// A client whose own thread runs the callbacks and coroutines of its user.

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/task.h"

namespace taut::ai::test {
namespace {

class OwnThreadTest : public ::testing::Test {
 protected:
  OwnThreadTest() {
    ClientOptions options;
    options.callback_threads = 0;
    options.max_retries = 0;
    client_.emplace(std::move(options), plain_parts());
  }
  Provider provider() { return client_->provider(plain_config(server_.url())); }
  /// Where callbacks run. One that is attached when all is over runs where it is attached, which a
  /// busy machine may bring about: another try.
  std::thread::id own_thread() {
    std::thread::id ran_on;
    for (int tries = 0; tries < 20; ++tries) {
      server_.answer(Script{wait(0.02), send(http(200, "answer: hi\n"))});
      const Promise<std::thread::id> thread;
      provider().chat(plain_request()).then([thread](const auto&) {
        thread.set(std::this_thread::get_id());
      });
      ran_on = thread.pending().get();
      if (ran_on != std::this_thread::get_id()) break;
    }
    return ran_on;
  }

  FakeServer server_;
  std::optional<Client> client_;
};

Task listen(ChatStream stream, std::string& text, std::vector<std::thread::id>& threads,
            Promise<int> done) {
  while (const auto event = co_await stream.next_event()) {
    text += event->text;
    threads.push_back(std::this_thread::get_id());
  }
  done.set(0);
}

TEST_F(OwnThreadTest, RunsCallbacksAndCoroutines) {
  const std::thread::id own = own_thread();
  EXPECT_NE(own, std::this_thread::get_id());
  EXPECT_EQ(own_thread(), own);
  server_.answer(Script{send(http_open(200)), wait(0.05), send_slowly(events({"a", "b"}), 1, 0.001),
                        send(events({"c", "[end]"}))});
  std::string text;
  std::vector<std::thread::id> threads;
  const Promise<int> done;
  listen(provider().stream(plain_request()), text, threads, done);
  ASSERT_TRUE(done.pending().wait_for(10));
  EXPECT_EQ(text, "abc");
  EXPECT_EQ(threads, std::vector<std::thread::id>(3, own));
}

TEST_F(OwnThreadTest, AsksFromCallbackToCallback) {
  server_.answer(http(200, "answer: hi\n"));
  const Provider plain = provider();
  const Promise<int> done;
  int left = 200;
  Callback<void(Outcome<ChatResponse>)> ask = [&](Outcome<ChatResponse> outcome) {
    EXPECT_EQ(outcome.value().text(), "hi");
    if (--left == 0) {
      done.set(0);
    } else {
      plain.chat(plain_request()).then(ask);
    }
  };
  plain.chat(plain_request()).then(ask);
  EXPECT_TRUE(done.pending().wait_for(30));
}

template <class Wait>
void expect_refused(const Wait& wait) {
  try {
    wait();
    ADD_FAILURE() << "it waited";
  } catch (const ValueError& error) {
    EXPECT_NE(std::string(error.what()).find("callback_threads = 0"), std::string::npos);
  }
}

/// It would wait for ever.
TEST_F(OwnThreadTest, DoesNotWaitForItself) {
  // The event comes when the callback is attached, which would run here else, and wait.
  server_.answer(Script{send(http_open(200)), wait(0.2), send(events({"a"})), hold()});
  const Provider plain = provider();
  const ChatStream stream = plain.stream(plain_request());
  const Promise<int> done;
  stream.next_event().then([&](const auto&) {
    expect_refused([&] { stream.next(); });
    expect_refused([&] { stream.next_event().get(); });
    expect_refused([&] { plain.chat(plain_request()).get(); });
    EXPECT_FALSE(plain.chat(plain_request()).wait_for(0)) << "looking is not waiting";
    done.set(0);
  });
  ASSERT_TRUE(done.pending().wait_for(10));
  stream.cancel();
  // What is there is given.
  const Promise<int> known;
  known.set(7);
  EXPECT_EQ(known.pending().get(), 7);
}

TEST_F(OwnThreadTest, ACallbackMayCancel) {
  server_.answer(Script{send(http_open(200)), send(events({"a", "b"})), hold()});
  const ChatStream stream = provider().stream(plain_request());
  const Promise<int> done;
  stream.next_event().then([&](const auto&) {
    stream.cancel();
    EXPECT_EQ(error_of([&] { stream.next(); }).kind, ErrorKind::cancelled);
    done.set(0);
  });
  EXPECT_TRUE(done.pending().wait_for(10));
  EXPECT_NE(own_thread(), std::this_thread::get_id()) << "it goes on";
}

/// The thread cannot wait for itself to end. What is under way is cancelled all the same.
TEST_F(OwnThreadTest, ACallbackMayDestroyTheClient) {
  server_.answer(Script{send(http_open(200)), send(events({"a"})), hold()});
  const Promise<ErrorKind> other;
  ChatStream open = provider().stream(plain_request());
  ASSERT_TRUE(open.next());
  open.next_event().then([other](const Outcome<std::optional<StreamEvent>>& outcome) {
    other.set(details_of(outcome.error()).kind);
  });
  server_.answer(http(200, "answer: hi\n"));
  const Promise<int> done;
  provider().chat(plain_request()).then([&](const auto&) {
    client_.reset();
    done.set(0);
  });
  ASSERT_TRUE(done.pending().wait_for(10));
  ASSERT_TRUE(other.pending().wait_for(10));
  EXPECT_EQ(other.pending().get(), ErrorKind::cancelled);
}

TEST_F(OwnThreadTest, TheThreadThatCancelsRunsCallbacks) {
  server_.answer(Script{hold()});
  const Pending<ChatResponse> call = provider().chat(plain_request());
  std::thread::id told;
  call.then([&](const auto&) { told = std::this_thread::get_id(); });
  call.cancel();
  EXPECT_NE(told, std::thread::id());
}

}  // namespace
}  // namespace taut::ai::test
