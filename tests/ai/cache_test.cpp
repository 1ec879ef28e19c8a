#include "taut/ai/cache.h"

#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "src/ai/sha256.h"
#include "taut/ai/router.h"
#include "tests/ai/scripted_backend.h"
#include "tests/ai/temporary_folder.h"

namespace taut::ai {
namespace {

using testing::answer;
using testing::failure;
using testing::question;
using testing::ScriptedBackend;

class CacheTest : public testing::TemporaryFolderTest {
 protected:
  std::shared_ptr<ResponseCache> open(CacheOptions options = {}) {
    options.path = path("cache.sqlite");
    return ResponseCache::open(options);
  }
};

TEST(Sha256Test, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_F(CacheTest, KeepsAnswersOverProcesses) {
  ChatResponse response = answer("kept");
  response.cost = 0.5;
  response.usage.cost = 0.5;
  response.headers = {{"x", "y"}};
  response.raw = "raw";
  {
    const auto cache = open();
    EXPECT_FALSE(cache->get("p", question()).has_value());
    cache->put("p", question(), response);
  }
  const auto cache = open();
  const auto kept = cache->get("p", question());
  ASSERT_TRUE(kept.has_value());
  EXPECT_EQ(kept->text(), "kept");
  EXPECT_TRUE(kept->from_cache);
  EXPECT_FALSE(kept->cost.has_value()) << "it costs nothing a second time";
  EXPECT_FALSE(kept->usage.cost.has_value());
  EXPECT_TRUE(kept->headers.empty());
  EXPECT_FALSE(cache->get("q", question()).has_value());
  EXPECT_FALSE(cache->get("p", question("other")).has_value());
  EXPECT_EQ(cache->statistics().hits, 1);
  EXPECT_EQ(cache->statistics().misses, 2);
}

TEST_F(CacheTest, NeitherPromptsNorHeadersAreInTheFile) {
  {
    ChatRequest request = question("a very secret prompt");
    request.headers = {{"x-api-key", test::marker_key(6)}};
    request.user = "user-name-marker";
    open()->put("p", request, answer("an answer"));
  }
  const std::string bytes = read("cache.sqlite") + read("cache.sqlite-wal");
  EXPECT_NE(bytes.find("an answer"), std::string::npos);
  for (const char* secret : {"secret prompt", "user-name"}) {
    EXPECT_EQ(bytes.find(secret), std::string::npos) << secret;
  }
}

TEST_F(CacheTest, TheFileIsItsOwnersAlone) {
  open();
  EXPECT_EQ(rights("cache.sqlite"),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(CacheTest, WhatWasNotUsedForTheLongestTimeGoesFirst) {
  CacheOptions options;
  options.max_bytes = 3500;
  const auto cache = open(options);
  const std::string text(800, 'x');
  for (const char* name : {"a", "b", "c"}) cache->put("p", question(name), answer(text));
  EXPECT_TRUE(cache->get("p", question("a")).has_value());
  cache->put("p", question("d"), answer(text));
  EXPECT_FALSE(cache->get("p", question("b")).has_value());
  for (const char* name : {"a", "c", "d"}) {
    EXPECT_TRUE(cache->get("p", question(name)).has_value()) << name;
  }
  EXPECT_EQ(cache->statistics().entries, 3);
  EXPECT_LE(cache->statistics().bytes, 3500);
  cache->put("p", question("huge"), answer(std::string(5000, 'x')));
  EXPECT_EQ(cache->statistics().entries, 3) << "what is larger than the cache is not kept";
  cache->clear();
  EXPECT_EQ(cache->statistics().bytes, 0);
}

TEST_F(CacheTest, OldAnswersAreNotGiven) {
  CacheOptions options;
  options.max_age = 0.05;
  const auto cache = open(options);
  cache->put("p", question(), answer("young"));
  EXPECT_TRUE(cache->get("p", question()).has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_FALSE(cache->get("p", question()).has_value());
}

TEST_F(CacheTest, FailedAndPartialAnswersAreNotKept) {
  const auto cache = open();
  ChatResponse broken = answer("x");
  broken.candidates[0].finish_reason = FinishReason::error;
  cache->put("p", question(), broken);
  ChatResponse partial = answer("x");
  partial.usage.partial = true;
  cache->put("p", question(), partial);
  cache->put("p", question(), ChatResponse());
  EXPECT_EQ(cache->statistics().entries, 0);
}

TEST_F(CacheTest, AFileThatIsNoCacheIsAnErrorOrRebuilt) {
  write("cache.sqlite", std::string(5000, 'x'));
  EXPECT_THROW(open(), FormatError);
  CacheOptions options;
  options.rebuild_if_broken = true;
  const auto cache = open(options);
  cache->put("p", question(), answer("new"));
  EXPECT_TRUE(cache->get("p", question()).has_value());
}

TEST_F(CacheTest, ADamagedFileIsAnErrorOrRebuilt) {
  {
    const auto cache = open();
    for (int i = 0; i < 200; ++i) {
      cache->put("p", question(std::to_string(i)), answer(std::string(500, 'x')));
    }
  }
  std::string bytes = read("cache.sqlite");
  ASSERT_GT(bytes.size(), 20000u);
  std::fill(bytes.begin() + 4096, bytes.end() - 4096, '\x55');
  write("cache.sqlite", bytes);
  EXPECT_THROW(open(), FormatError);
  CacheOptions options;
  options.rebuild_if_broken = true;
  EXPECT_EQ(open(options)->statistics().entries, 0);
}

TEST_F(CacheTest, WhatCannotBeOpenedIsAnError) {
  CacheOptions options;
  EXPECT_THROW(ResponseCache::open(options), ValueError);
  options.path = path("no/such/folder");
  EXPECT_THROW(ResponseCache::open(options), IoError);
  options.path = path("x");
  options.max_bytes = 0;
  EXPECT_THROW(ResponseCache::open(options), ValueError);
}

TEST_F(CacheTest, ManyThreads) {
  CacheOptions options;
  options.max_bytes = 4000;
  const auto cache = open(options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const ChatRequest request = question(std::to_string((t * 7 + i) % 20));
        if (const auto kept = cache->get("p", request)) {
          EXPECT_EQ(kept->text(), request.messages[0].text());
        }
        cache->put("p", request, answer(request.messages[0].text()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache->statistics().bytes, 4000);
}

TEST_F(CacheTest, ManyProcesses) {
  open();
  std::vector<pid_t> children;
  for (int p = 0; p < 3; ++p) {
    const pid_t child = fork();
    if (child == 0) {
      int status = 1;
      try {
        const auto cache = open();
        for (int i = 0; i < 30; ++i) {
          cache->put("p", question(std::to_string(p * 100 + i)), answer("x"));
        }
        status = 0;
      } catch (const std::exception&) {
      }
      _exit(status);
    }
    children.push_back(child);
  }
  for (pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(open()->statistics().entries, 90);
}

TEST_F(CacheTest, ABackendIsAskedOnce) {
  const auto inner = std::make_shared<ScriptedBackend>("p");
  inner->gives("first").gives("second");
  const auto backend = cached(inner, open());
  EXPECT_EQ(backend->chat(question()).get().text(), "first");
  const ChatResponse again = backend->chat(question()).get();
  EXPECT_EQ(again.text(), "first");
  EXPECT_TRUE(again.from_cache);
  const ChatStream stream = backend->stream(question());
  std::string text;
  while (const auto event = stream.next()) text += event->text;
  EXPECT_EQ(text, "first");
  EXPECT_EQ(inner->calls(), 1);
}

TEST_F(CacheTest, StreamsAreKeptWhenTheyEnd) {
  const auto inner = std::make_shared<ScriptedBackend>("p");
  inner->gives("streamed");
  const auto backend = cached(inner, open());
  const ChatStream stream = backend->stream(question());
  while (stream.next()) {
  }
  EXPECT_EQ(stream.response().text(), "streamed");
  EXPECT_EQ(backend->chat(question()).get().text(), "streamed");
  EXPECT_EQ(inner->calls(), 1);
}

TEST_F(CacheTest, ErrorsAreNotKept) {
  const auto inner = std::make_shared<ScriptedBackend>("p");
  inner->fails(ErrorKind::overloaded).gives("later");
  const auto backend = cached(inner, open());
  EXPECT_THROW(backend->chat(question()).get(), ProviderError);
  EXPECT_EQ(backend->chat(question()).get().text(), "later");
}

TEST_F(CacheTest, ARoutersAnswersOfBetterTimes) {
  const auto inner = std::make_shared<ScriptedBackend>("p");
  inner->gives("good").fails(ErrorKind::connection);
  Target target;
  target.backend = inner;
  RouterOptions options;
  options.cache = open();
  const auto router = Router::create({target}, options);
  EXPECT_FALSE(router->chat(question()).get().from_cache);
  const ChatResponse kept = router->chat(question()).get();
  EXPECT_EQ(kept.text(), "good");
  EXPECT_TRUE(kept.from_cache && kept.route->from_cache && kept.route->is_degraded);
  const ChatStream stream = router->stream(question());
  std::string text;
  while (const auto event = stream.next()) text += event->text;
  EXPECT_EQ(text, "good");
  EXPECT_TRUE(stream.response().from_cache);
  EXPECT_THROW(router->chat(question("unknown")).get(), ProviderError);
}

}  // namespace
}  // namespace taut::ai
