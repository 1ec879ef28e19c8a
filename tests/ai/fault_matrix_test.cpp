// Every fault of a server or a network, on every protocol, for whole answers and for streams.
//
// Where the rows of the matrix are tested:
//   statuses, Retry-After, x-should-retry, quotas        here, services_test, retry_test
//   cut, reset and refused connections and bodies        here, services_test, fault_test
//   errors within streams, streams cut after each event  here, services_test
//   streams split at every byte, every line end          golden_stream_test, sse_test
//   JSON that is wrong or hostile                        here, golden_body_test, json_test,
//   fuzz_test slow servers, signs of life alone                    here, fault_test connecting:
//   backlog, TLS, names, certificates        connect_test, tls_test sizes here, fault_test gzip,
//   br, zstd                                       here, encoding_test redirections, injection
//   here, security_test HTTP/2: RST_STREAM, GOAWAY, windows tests/python/ai_http2_test.py proxies
//   proxy_test cancelling                                           cancel_test keys in what is
//   written                              here, security_test, search_for_keys.py

#include <gtest/gtest.h>

#include <cmath>
#include <ctime>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/gzip.h"
#include "tests/ai/marker_key.h"
#include "tests/ai/plain_protocol.h"
#include "tests/ai/services.h"

namespace taut::ai::test {
namespace {

/// One call to one service, with a server, a clock and a client of its own.
class Lane {
 public:
  Lane(const Service& service, int number, bool is_stream)
      : service_(service), key_(marker_key(number)), is_stream_(is_stream) {
    for (int other = 0; other < static_cast<int>(services().size()); ++other) {
      if (other != number) server_.forbid(marker_key(other));
    }
  }

  void start(ClientOptions options, const ChatRequest& request) {
    Client::Parts parts;
    parts.time = time_;
    client_.emplace(std::move(options), parts);
    const Provider provider = client_->provider(service_.config_at(server_.url(), key_));
    if (is_stream_) {
      stream_ = provider.stream(request);
    } else {
      chat_ = provider.chat(request);
    }
  }

  /// How the call ended.
  void finish() {
    if (is_stream_) {
      Heard heard = listen_to(*stream_);
      text = heard.text;
      error = std::move(heard.error);
      attempts = stream_->response().attempts;
    } else {
      try {
        const ChatResponse response = chat_->get();
        text = response.text();
        attempts = response.attempts;
      } catch (...) {
        error = details_of(std::current_exception());
      }
    }
    if (!error) return;
    attempts = error->attempts;
    EXPECT_EQ(error->provider, service_.config().name);
    EXPECT_EQ(error->model, "m");
    EXPECT_FALSE(shows_key(ProviderError(*error).what(), key_));
    for (const std::string* field : {&error->message, &error->vendor_type, &error->vendor_code,
                                     &error->param, &error->request_id}) {
      EXPECT_FALSE(shows_key(*field, key_)) << *field;
    }
  }

  const Service& service() const { return service_; }
  bool is_stream() const { return is_stream_; }
  const std::string& key() const { return key_; }
  FakeServer& server() { return server_; }
  size_t requests() const { return server_.requests().size(); }
  std::vector<double> pauses() const { return time_->pauses(); }

  std::string text;
  std::optional<ErrorDetails> error;
  int attempts = 0;

 private:
  const Service& service_;
  const std::string key_;
  const bool is_stream_;
  FakeServer server_;
  std::shared_ptr<InstantTime> time_ = std::make_shared<InstantTime>();
  std::optional<Client> client_;
  std::optional<Pending<ChatResponse>> chat_;
  std::optional<ChatStream> stream_;
};

enum class Calls : uint8_t { both, chats, streams };

/// Every service, as a chat and as a stream, all at the same time.
class Lanes {
 public:
  explicit Lanes(Calls calls = Calls::both) {
    for (const bool is_stream : {false, true}) {
      if (calls == (is_stream ? Calls::chats : Calls::streams)) continue;
      for (size_t i = 0; i < services().size(); ++i) {
        lanes_.emplace_back(services()[i], static_cast<int>(i), is_stream);
      }
    }
  }
  void run(const ClientOptions& options, const ChatRequest& request = service_request()) {
    for (Lane& lane : lanes_) lane.start(options, request);
    for (Lane& lane : lanes_) {
      SCOPED_TRACE(where(lane));
      lane.finish();
    }
  }
  std::list<Lane>& all() { return lanes_; }
  static std::string where(const Lane& lane) {
    return lane.service().name + (lane.is_stream() ? ", stream" : ", chat");
  }

 private:
  std::list<Lane> lanes_;
};

/// A good answer to the lane's call.
std::string good_answer(const Lane& lane) {
  if (!lane.is_stream()) return http(200, lane.service().answer);
  return http_chunked(200, {lane.service().whole_stream()});
}

// ---- What goes wrong once and for all -----------------------------------------------------------

struct Fault {
  std::string name;
  Calls calls;
  Script (*script)(const Lane&);
  ErrorKind chat, stream;
  double idle = 30, first_byte = 30, keep_alive_only = 60;  // seconds
};

void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }

std::string json_head(const std::string& headers) {
  return "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + headers + "\r\n";
}

/// The head of a good answer, and the first half of its body.
std::string begun(const Lane& lane, const std::string& headers) {
  const Service& service = lane.service();
  if (!lane.is_stream()) return json_head(headers) + service.answer.substr(0, 20);
  return http_open(200, headers) + service.events(service.first_text);
}

std::string begun_in_chunks(const Lane& lane) {
  const Service& service = lane.service();
  const std::string type = lane.is_stream() ? "text/event-stream" : "application/json";
  return "HTTP/1.1 200 OK\r\ncontent-type: " + type + "\r\ntransfer-encoding: chunked\r\n\r\n" +
         chunk(lane.is_stream() ? service.events(service.first_text)
                                : service.answer.substr(0, 20));
}

/// A whole answer with these bytes as its body.
std::string with_body(const Lane& lane, const std::string& body, const std::string& headers = {}) {
  return http(200, body, headers, lane.is_stream() ? "text/event-stream" : "application/json");
}

std::string good_body(const Lane& lane) {
  return lane.is_stream() ? lane.service().whole_stream() : lane.service().answer;
}

/// JSON as a body, or as the data of the first event.
std::string with_json(const Lane& lane, const std::string& json) {
  return with_body(lane, lane.is_stream() ? "data: " + json + "\n\n" : json);
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

const Fault kFaults[] = {
    // Connections.
    {"ClosedBeforeAnyByte", Calls::both, [](const Lane&) { return Script{close()}; },
     ErrorKind::connection, ErrorKind::connection},
    {"ResetBeforeAnyByte", Calls::both, [](const Lane&) { return Script{reset()}; },
     ErrorKind::connection, ErrorKind::connection},
    {"NotHttp", Calls::both, [](const Lane&) { return Script{send("SSH-2.0-x\r\n\r\n"), close()}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    // Bodies that are cut.
    {"CutWithinALength", Calls::both,
     [](const Lane& lane) {
       return Script{send(begun(lane, "content-length: 100000\r\n")), close()};
     },
     ErrorKind::truncated_stream, ErrorKind::truncated_stream},
    {"CutWithinChunks", Calls::both,
     [](const Lane& lane) { return Script{send(begun_in_chunks(lane)), close()}; },
     ErrorKind::truncated_stream, ErrorKind::truncated_stream},
    // Nothing but the JSON itself tells that it is not whole.
    {"CutBodyThatEndsWithItsConnection", Calls::both,
     [](const Lane& lane) { return Script{send(begun(lane, "connection: close\r\n")), close()}; },
     ErrorKind::malformed_response, ErrorKind::truncated_stream},
    {"ResetWithinTheBody", Calls::both,
     [](const Lane& lane) {
       return Script{send(begun(lane, "content-length: 100000\r\n")), wait(0.05), reset()};
     },
     ErrorKind::truncated_stream, ErrorKind::truncated_stream},
    {"WrongChunks", Calls::both,
     [](const Lane& lane) { return Script{send(begun_in_chunks(lane) + "zz\r\nno\r\n")}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    // Errors within streams.
    {"AnErrorEvent", Calls::streams,
     [](const Lane& lane) {
       return Script{send(begun(lane, "") + lane.service().error_event), close()};
     },
     ErrorKind::stream_error, ErrorKind::stream_error},
    {"AnErrorEventAndTheEnd", Calls::streams,
     [](const Lane& lane) {
       return Script{send(begun(lane, "") + lane.service().error_event + "data: [DONE]\n\n"),
                     close()};
     },
     ErrorKind::stream_error, ErrorKind::stream_error},
    {"AnErrorEventThatIsCut", Calls::streams,
     [](const Lane& lane) {
       const std::string& event = lane.service().error_event;
       return Script{send(begun(lane, "") + event.substr(0, event.rfind('}') + 1)), close()};
     },
     ErrorKind::stream_error, ErrorKind::stream_error},
    // Time.
    {"NoAnswer", Calls::both, [](const Lane&) { return Script{hold()}; },
     ErrorKind::timeout_first_byte, ErrorKind::timeout_first_byte, 30, 0.3},
    {"HeadersByTheByte", Calls::both,
     [](const Lane& lane) { return Script{send_slowly(good_answer(lane), 1, 0.05), hold()}; },
     ErrorKind::timeout_first_byte, ErrorKind::timeout_first_byte, 30, 0.3},
    {"SilentAfterTheHeaders", Calls::both,
     [](const Lane& lane) {
       return Script{send(lane.is_stream() ? http_open(200) : json_head("content-length: 100\r\n")),
                     hold()};
     },
     ErrorKind::timeout_idle, ErrorKind::timeout_idle, 0.3},
    {"SilentWithinTheBody", Calls::both,
     [](const Lane& lane) {
       return Script{send(begun(lane, "content-length: 100000\r\n")), hold()};
     },
     ErrorKind::timeout_idle, ErrorKind::timeout_idle, 0.3},
    {"ABodyByTheByte", Calls::both,
     [](const Lane& lane) {
       return Script{send(lane.is_stream() ? http_open(200) : json_head("content-length: 100\r\n")),
                     repeat(lane.is_stream() ? ":" : " ", 0.05)};
     },
     ErrorKind::timeout_idle, ErrorKind::timeout_idle, 0.5, 30, 0.6},
    {"CommentsWithoutEnd", Calls::streams,
     [](const Lane& lane) { return Script{send(begun(lane, "")), repeat(": alive\n\n", 0.05)}; },
     ErrorKind::timeout_idle, ErrorKind::timeout_idle, 0.5, 30, 0.6},
    {"PingsWithoutEnd", Calls::streams,
     [](const Lane& lane) {
       return Script{send(begun(lane, "")),
                     repeat("event: ping\ndata: {\"type\":\"ping\"}\n\n", 0.05)};
     },
     ErrorKind::timeout_idle, ErrorKind::timeout_idle, 0.5, 30, 0.6},
    // Sizes.
    {"ABodyWithoutEnd", Calls::both,
     [](const Lane& lane) {
       return Script{send(begun_in_chunks(lane)), repeat(chunk(std::string(65536, ' ')), 0)};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"EventsWithoutEnd", Calls::streams,
     [](const Lane& lane) {
       const Service& service = lane.service();
       return Script{send(begun(lane, "")), repeat(service.stream[service.first_text - 1], 0)};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"OneHeaderOfAMegabyte", Calls::both,
     [](const Lane& lane) {
       return Script{send(with_body(lane, good_body(lane),
                                    "x-large: " + std::string(size_t{1} << 20, 'h') + "\r\n"))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"AFewBytesThatUnpackToMany", Calls::both,
     [](const Lane& lane) {
       static const std::string bomb = gzip(std::string(size_t{20} << 20, ' '));
       return Script{send(with_body(lane, bomb, "content-encoding: gzip\r\n"))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    // Headers.
    {"ANulInAHeader", Calls::both,
     [](const Lane& lane) {
       return Script{send(with_body(lane, good_body(lane), std::string("x-nul: a\0b\r\n", 12)))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"TwoLengths", Calls::both,
     [](const Lane& lane) {
       return Script{send(with_body(lane, good_body(lane), "content-length: 7\r\n"))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"APage", Calls::both,
     [](const Lane&) { return Script{send(http(200, "<html>login</html>", {}, "text/html"))}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    // Encodings.
    {"CutGzip", Calls::both,
     [](const Lane& lane) {
       const std::string packed = gzip(good_body(lane));
       return Script{send(
           with_body(lane, packed.substr(0, packed.size() / 2), "content-encoding: gzip\r\n"))};
     },
     ErrorKind::malformed_response, ErrorKind::truncated_stream},
    {"BrokenGzip", Calls::both,
     [](const Lane& lane) {
       std::string packed = gzip(good_body(lane));
       packed[12] = static_cast<char>(packed[12] ^ 0x55);  // of the first block's head
       return Script{send(with_body(lane, packed, "content-encoding: gzip\r\n"))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"GzipThatIsNone", Calls::both,
     [](const Lane& lane) {
       return Script{send(with_body(lane, good_body(lane), "content-encoding: gzip\r\n"))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    // JSON.
    {"CutJson", Calls::both, [](const Lane& lane) { return Script{send(with_json(lane, "{"))}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"Nan", Calls::both,
     [](const Lane& lane) { return Script{send(with_json(lane, R"({"a":NaN})"))}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"ANumberThatIsTooLarge", Calls::both,
     [](const Lane& lane) { return Script{send(with_json(lane, R"({"a":1e400})"))}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"JsonThatIsTooDeep", Calls::both,
     [](const Lane& lane) {
       return Script{send(with_json(lane, R"({"a":)" + nested(200'000) + "}"))};
     },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"JsonThatIsNoObject", Calls::both,
     [](const Lane& lane) { return Script{send(with_json(lane, "[1]"))}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
    {"JsonThatIsNoUtf8", Calls::both,
     [](const Lane& lane) { return Script{send(with_json(lane, "{\"a\":\"\xff\xc0\xaf\"}"))}; },
     ErrorKind::malformed_response, ErrorKind::malformed_response},
};

class FaultMatrix : public ::testing::TestWithParam<Fault> {};

TEST_P(FaultMatrix, HasItsKindOfError) {
  const Fault& fault = GetParam();
  Lanes lanes(fault.calls);
  for (Lane& lane : lanes.all()) lane.server().answer(fault.script(lane));
  ClientOptions options;
  options.max_retries = 0;
  options.timeouts.first_byte = options.timeouts.whole_answer = fault.first_byte;
  options.timeouts.idle = fault.idle;
  options.timeouts.keep_alive_only = fault.keep_alive_only;
  options.limits.json = options.limits.stream = options.limits.line = 1'000'000;
  lanes.run(options);
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    ASSERT_TRUE(lane.error);
    EXPECT_EQ(lane.error->kind, lane.is_stream() ? fault.stream : fault.chat)
        << name(lane.error->kind) << ": " << lane.error->message;
    EXPECT_EQ(lane.error->partial_output, !lane.text.empty());
    EXPECT_EQ(lane.requests(), 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(All, FaultMatrix, ::testing::ValuesIn(kFaults),
                         [](const auto& test) { return test.param.name; });

// ---- Statuses -----------------------------------------------------------------------------------

struct Status {
  int status;
  ErrorKind kind;
  bool passes;  // it is tried again
};

const Status kStatuses[] = {
    {400, ErrorKind::invalid_request, false},   {401, ErrorKind::auth, false},
    {403, ErrorKind::permission, false},        {404, ErrorKind::not_found, false},
    {408, ErrorKind::server_error, true},       {409, ErrorKind::server_error, true},
    {413, ErrorKind::request_too_large, false}, {422, ErrorKind::invalid_request, false},
    {429, ErrorKind::rate_limited, true},       {500, ErrorKind::server_error, true},
    {502, ErrorKind::server_error, true},       {503, ErrorKind::overloaded, true},
    {504, ErrorKind::server_error, true},       {529, ErrorKind::overloaded, true},
};

class StatusMatrix : public ::testing::TestWithParam<Status> {};

/// A proxy's page, and the words of some server that speaks no vendor's language.
std::string body_of(const Lane& lane, bool is_page) {
  return is_page ? "<html>" + lane.key() + "</html>"
                 : R"({"error":{"message":"no )" + lane.key() + R"("}})";
}

TEST_P(StatusMatrix, IsWhatItSays) {
  for (const bool is_page : {false, true}) {
    Lanes lanes;
    for (Lane& lane : lanes.all()) {
      lane.server().answer(http(GetParam().status, body_of(lane, is_page), {},
                                is_page ? "text/html" : "application/json"));
    }
    lanes.run({.max_retries = 2, .seed = 3});
    for (Lane& lane : lanes.all()) {
      SCOPED_TRACE(Lanes::where(lane));
      ASSERT_TRUE(lane.error);
      EXPECT_EQ(lane.error->kind, GetParam().kind) << name(lane.error->kind);
      EXPECT_EQ(lane.error->http_status, GetParam().status);
      EXPECT_EQ(lane.attempts, GetParam().passes ? 3 : 1);
      EXPECT_EQ(lane.requests(), GetParam().passes ? 3u : 1u);
    }
  }
}

TEST_P(StatusMatrix, PassesWhereItMayAfterAFewFailures) {
  if (!GetParam().passes) return;  // it is final, as the test above shows
  Lanes lanes;
  for (Lane& lane : lanes.all()) {
    for (int i = 0; i < 3; ++i) lane.server().answer(http(GetParam().status, "{}"));
    lane.server().answer(good_answer(lane));
  }
  lanes.run({.max_retries = 3, .seed = 3});
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    EXPECT_FALSE(lane.error);
    EXPECT_EQ(lane.text, "Hi there");
    EXPECT_EQ(lane.attempts, 4);
    const std::vector<double> pauses = lane.pauses();
    ASSERT_EQ(pauses.size(), 3u);
    for (size_t i = 0; i < pauses.size(); ++i) {
      const double longest = 0.5 * static_cast<double>(1 << i);
      EXPECT_GE(pauses[i], longest / 2);
      EXPECT_LE(pauses[i], longest);
    }
  }
}

TEST_P(StatusMatrix, MayBeOverruledByTheServer) {
  Lanes lanes;
  const bool passes = GetParam().passes;
  for (Lane& lane : lanes.all()) {
    lane.server().answer(http(GetParam().status, "{}",
                              passes ? "x-should-retry: false\r\n" : "x-should-retry: true\r\n"));
    lane.server().answer(good_answer(lane));
  }
  lanes.run({.max_retries = 2, .seed = 3});
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    EXPECT_EQ(lane.error.has_value(), passes);
    EXPECT_EQ(lane.requests(), passes ? 1u : 2u);
  }
}

INSTANTIATE_TEST_SUITE_P(All, StatusMatrix, ::testing::ValuesIn(kStatuses), [](const auto& test) {
  return "Status" + std::to_string(test.param.status);
});

// ---- Pauses that servers ask for ----------------------------------------------------------------

std::string http_date(int seconds_from_now) {
  const std::time_t when = std::time(nullptr) + seconds_from_now;
  std::tm parts = {};
  ::gmtime_r(&when, &parts);
  char text[64];
  std::strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

struct Pause {
  std::string name;
  std::string headers;  // with DATE+30 for a time of day half a minute from now
  // What is waited for: NaN for a pause of our own, infinity where it is too long to be waited for.
  double shortest, longest;
};

void PrintTo(const Pause& pause, std::ostream* out) { *out << pause.name; }

std::vector<Pause> asked_pauses() {
  const double own = std::nan(""), never = HUGE_VAL;
  return {{"Zero", "retry-after: 0\r\n", 0, 0},
          {"One", "retry-after: 1\r\n", 1, 1},
          {"OneAndAHalf", "retry-after: 1.5\r\n", 1.5, 1.5},
          {"ADateToCome", "retry-after: DATE+30\r\n", 1, 30},
          {"ADateThatIsOver", "retry-after: DATE-30\r\n", own, own},
          {"TooLong", "retry-after: 61\r\n", never, never},
          {"ADay", "retry-after: 86400\r\n", never, never},
          {"Negative", "retry-after: -1\r\n", own, own},
          {"Words", "retry-after: abc\r\n", own, own},
          {"Absent", "", own, own},
          {"Milliseconds", "retry-after-ms: 250\r\nretry-after: 9\r\n", 0.25, 0.25}};
}

class PauseMatrix : public ::testing::TestWithParam<Pause> {};

TEST_P(PauseMatrix, IsWaitedFor) {
  Pause pause = GetParam();
  for (const int seconds : {30, -30}) {
    const std::string mark = "DATE" + std::string(seconds > 0 ? "+30" : "-30");
    const size_t at = pause.headers.find(mark);
    if (at != std::string::npos) pause.headers.replace(at, mark.size(), http_date(seconds));
  }
  Lanes lanes;
  for (Lane& lane : lanes.all()) {
    lane.server().answer(http(429, "{}", pause.headers));
    lane.server().answer(good_answer(lane));
  }
  lanes.run({.max_retries = 2, .seed = 3});
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    if (std::isinf(pause.shortest)) {
      ASSERT_TRUE(lane.error);
      EXPECT_EQ(lane.error->kind, ErrorKind::rate_limited);
      EXPECT_GT(lane.error->retry_after.value_or(0), 60);
      EXPECT_EQ(lane.requests(), 1u);
      continue;
    }
    EXPECT_EQ(lane.text, "Hi there");
    ASSERT_EQ(lane.pauses().size(), 1u);
    EXPECT_GE(lane.pauses()[0], std::isnan(pause.shortest) ? 0.25 : pause.shortest);
    EXPECT_LE(lane.pauses()[0], std::isnan(pause.longest) ? 0.5 : pause.longest);
  }
}

INSTANTIATE_TEST_SUITE_P(All, PauseMatrix, ::testing::ValuesIn(asked_pauses()),
                         [](const auto& test) { return test.param.name; });

TEST(PauseMatrix, GeminiAsksForItInTheBody) {
  Lanes lanes;
  for (Lane& lane : lanes.all()) {
    lane.server().answer(http(
        429, R"({"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED","details":[)"
             R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}})"));
    lane.server().answer(good_answer(lane));
  }
  lanes.run({.max_retries = 2, .seed = 3});
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    EXPECT_EQ(lane.text, "Hi there");
    ASSERT_EQ(lane.pauses().size(), 1u);
    EXPECT_TRUE(lane.service().name != "gemini" || lane.pauses()[0] == 34.5);
  }
}

TEST(PauseMatrix, OfAGoodAnswerMeansNothing) {
  Lanes lanes;
  for (Lane& lane : lanes.all()) {
    lane.server().answer(with_body(lane, good_body(lane), "retry-after: 30\r\n"));
  }
  lanes.run({});
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    EXPECT_EQ(lane.text, "Hi there");
    EXPECT_EQ(lane.requests(), 1u);
    EXPECT_TRUE(lane.pauses().empty());
  }
}

TEST(QuotaMatrix, IsNotTriedAgain) {
  Lanes lanes;
  for (Lane& lane : lanes.all()) lane.server().answer(http(429, lane.service().quota));
  lanes.run({.max_retries = 5});
  for (Lane& lane : lanes.all()) {
    SCOPED_TRACE(Lanes::where(lane));
    ASSERT_TRUE(lane.error);
    EXPECT_EQ(lane.error->kind, ErrorKind::quota_exhausted);
    EXPECT_EQ(lane.requests(), 1u);
  }
}

// ---- Who gets what ------------------------------------------------------------------------------

TEST(RedirectMatrix, IsNotFollowed) {
  FakeServer other;
  other.answer(http(200, "{}"));
  for (const int status : {301, 302, 303, 307, 308}) {
    Lanes lanes;
    for (Lane& lane : lanes.all()) {
      lane.server().answer(http(status, {}, "location: " + other.url() + "/elsewhere\r\n"));
    }
    lanes.run({.max_retries = 2});
    for (Lane& lane : lanes.all()) {
      SCOPED_TRACE(Lanes::where(lane));
      ASSERT_TRUE(lane.error);
      EXPECT_EQ(lane.error->kind, ErrorKind::invalid_request);
      EXPECT_EQ(lane.requests(), 1u);
    }
  }
  EXPECT_EQ(other.connections(), 0);
}

/// A model, a name of a user, a message: whatever they hold, one request with the headers of the
/// client's own comes of it, or none.
TEST(InjectionMatrix, ReachesNoHeaderAndNoOtherPath) {
  const std::string evil = "a\r\nx-evil: 1\r\n\r\nGET /evil HTTP/1.1\r\n\r\n";
  for (const std::string& text : {evil, std::string("a\0b\x7f", 4), std::string("../../admin"),
                                  std::string("m?key=1#x"), std::string("m;x/../y")}) {
    Lanes lanes;
    for (Lane& lane : lanes.all()) lane.server().answer(good_answer(lane));
    ChatRequest request = service_request(text);
    request.model = text;
    for (Lane& lane : lanes.all()) lane.start({.max_retries = 0}, request);
    for (Lane& lane : lanes.all()) {
      SCOPED_TRACE(Lanes::where(lane) + ", " + text);
      const Service& service = lane.service();
      try {
        // The lane's own look at errors knows the usual model alone.
        lane.server().wait_for_requests(1, 0.2);
        for (const Request& sent : lane.server().requests()) {
          EXPECT_EQ(sent.headers.count("x-evil"), 0u);
          EXPECT_EQ(sent.target.find(".."), std::string::npos) << sent.target;
          EXPECT_EQ(sent.target.find("/evil"), std::string::npos) << sent.target;
          EXPECT_EQ(sent.target.find_first_of(";# \r\n"), std::string::npos) << sent.target;
          if (service.name != "gemini") {
            EXPECT_EQ(sent.target, lane.is_stream() ? service.stream_path : service.path);
          }
        }
        EXPECT_LE(lane.requests(), 1u);
      } catch (...) {
        FAIL();
      }
    }
  }
}

TEST(InjectionMatrix, OfKeysReachesNoSocket) {
  for (const std::string& wrong :
       {std::string("a\r\nx-evil: 1"), std::string("a\0b", 3), std::string("a\x7f")}) {
    for (const Service& service : services()) {
      FakeServer server;
      Client client;
      const Provider provider = client.provider(service.config_at(server.url(), wrong));
      EXPECT_EQ(error_of([&] { provider.chat(service_request()).get(); }).kind, ErrorKind::auth);
      EXPECT_EQ(listen_to(provider.stream(service_request())).error->kind, ErrorKind::auth);
      for (const char* header : {"x-user", "authorization"}) {
        ChatRequest request = service_request();
        request.headers = {{header, wrong}};
        const Provider good = client.provider(service.config_at(server.url(), marker_key()));
        EXPECT_EQ(error_of([&] { good.chat(request).get(); }).kind, ErrorKind::invalid_request);
      }
      ProviderConfig config = service.config_at(server.url(), marker_key());
      for (std::string* field : {&config.organization, &config.project, &config.api_version}) {
        ProviderConfig kept = config;
        *field = wrong;
        EXPECT_THROW(client.provider(config), ValueError) << service.name;
        config = std::move(kept);
      }
      EXPECT_EQ(server.connections(), 0) << service.name;
    }
  }
}

}  // namespace
}  // namespace taut::ai::test
