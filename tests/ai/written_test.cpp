// Everything that a client can be asked to write down, of calls that succeed and of calls whose
// servers say the key to whoever listens. What it wrote is searched here, and by
// search_for_keys.py where the files of a run are kept.

#include <gtest/gtest.h>

#include "taut/ai/cache.h"
#include "taut/ai/call_log.h"
#include "taut/ai/client.h"
#include "taut/ai/json_text.h"
#include "taut/ai/recording.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"
#include "tests/ai/temporary_folder.h"

namespace taut::ai::test {
namespace {

class WrittenTest : public testing::TemporaryFolderTest {
 protected:
  const std::string key_ = marker_key();

  /// Good answers, and faults that echo the key in every place that a server has for it.
  std::vector<Script> scripts(const Service& service) const {
    const std::string echo = R"({"error":{"message":"you sent )" + key_ + R"(","type":")" + key_ +
                             R"(","code":")" + key_ + R"(","param":")" + key_ + R"("}})";
    const std::string headers = "x-request-id: " + key_ + "\r\nrequest-id: " + key_ +
                                "\r\nset-cookie: " + key_ + "\r\nx-echo: Bearer " + key_ + "\r\n";
    return {
        {send(http(200, service.answer, headers))},
        {send(http_open(200, headers) + service.whole_stream()), close()},
        {send(http(401, echo, headers))},
        {send(http(429, echo, headers))},
        {send(http(500, key_, headers, "text/plain"))},
        {send(http(200, "<html>" + key_, headers, "text/html"))},
        {send(http(302, key_, "location: https://" + key_ + "@other/" + key_ + "\r\n"))},
        {send(http_open(200, headers) + service.events(service.first_text) + "data: {\"" + key_),
         close()},
        {send(http_open(200, headers) + service.events(service.first_text) + "data: " + echo +
              "\n\n"),
         close()},
        {send(key_ + " " + key_ + "\r\n\r\n"), close()},
        {reset()}};
  }

  /// One call of each kind; what comes of it is written to the file of errors and answers.
  void call(const Backend& backend, std::ofstream& told) const {
    const auto tell = [&](const ProviderError& error) {
      told << error.what() << "\n" << to_json(error.details()) << "\n";
    };
    try {
      told << to_json(backend.chat(service_request()).get()) << "\n";
    } catch (const ProviderError& error) {
      tell(error);
    }
    const ChatStream stream = backend.stream(service_request("again"));
    try {
      while (const std::optional<StreamEvent> event = stream.next())
        told << to_json(*event) << "\n";
    } catch (const ProviderError& error) {
      tell(error);
    }
    told << to_json(stream.response()) << "\n";
  }
};

TEST_F(WrittenTest, HoldsNoKey) {
  const auto cache = ResponseCache::open({.path = path("cache.sqlite"), .max_age = {}});
  const auto log = CallLog::open(path("log.jsonl"), true);
  size_t calls = 0;
  {
    std::ofstream told(path("told.jsonl")), traced(path("trace.txt"));
    for (const Service& service : services()) {
      for (const Script& script : scripts(service)) {
        FakeServer server;
        server.answer(script);
        ClientOptions options;
        options.max_retries = 0;
        options.trace = [&traced](std::string_view line) { traced << line << "\n"; };
        Client client(options);
        const Provider provider = client.provider(service.config_at(server.url(), key_));
        const auto backend = recorded(cached(metered(std::make_shared<Provider>(provider),
                                                     {.prices = {}, .budget = {}, .log = log}),
                                             cache),
                                      path("recorded.jsonl"));
        call(*backend, told);
        calls += server.requests().size();
        cache->clear();  // so that every script is played, and its bytes stay in the file
      }
    }
  }
  EXPECT_GE(calls, 2 * services().size() * 10);
  for (const char* name : {"cache.sqlite", "cache.sqlite-wal", "log.jsonl", "recorded.jsonl",
                           "told.jsonl", "trace.txt"}) {
    const std::string text = read(name);
    EXPECT_TRUE(text.size() > 1000 || std::string(name) == "cache.sqlite") << name;
    EXPECT_FALSE(shows_key(text, key_)) << name;
  }
}

}  // namespace
}  // namespace taut::ai::test
