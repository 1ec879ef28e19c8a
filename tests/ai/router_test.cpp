#include "taut/ai/router.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "src/ai/route_state.h"
#include "tests/ai/scripted_backend.h"

namespace taut::ai {
namespace {

using testing::answer;
using testing::details_from;
using testing::failure;
using testing::FakeClock;
using testing::question;
using testing::ScriptedBackend;

class RouterTest : public ::testing::Test {
 protected:
  std::shared_ptr<ScriptedBackend> add(const std::string& name) {
    auto backend = std::make_shared<ScriptedBackend>(name);
    backend->gives(name);
    return add(backend);
  }
  std::shared_ptr<ScriptedBackend> silent(const std::string& name) {
    return add(std::make_shared<ScriptedBackend>(name));
  }
  std::shared_ptr<ScriptedBackend> add(std::shared_ptr<ScriptedBackend> backend) {
    Target target;
    target.backend = backend;
    targets.push_back(std::move(target));
    return backend;
  }
  std::shared_ptr<Router> make() {
    return make_router(Router::State::create(targets, options, clock));
  }
  static ErrorDetails error_of(const Pending<ChatResponse>& call) {
    try {
      call.get();
    } catch (const ProviderError& error) {
      return error.details();
    }
    ADD_FAILURE() << "there was an answer";
    return {};
  }
  static std::string reasons(const RouteReport& report) { return describe(report); }

  std::shared_ptr<FakeClock> clock = std::make_shared<FakeClock>();
  std::vector<Target> targets;
  RouterOptions options;
};

// ---- Strategies

TEST_F(RouterTest, PriorityAsksTheFirst) {
  const auto a = add("a"), b = add("b");
  const auto router = make();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(router->chat(question()).get().text(), "a");
  EXPECT_EQ(b->calls(), 0);
}

TEST_F(RouterTest, OrderComesBeforeTheStrategy) {
  add("a"), add("b"), add("c");
  targets[0].order = 1;
  targets[1].order = 0;
  targets[2].order = 0;
  options.strategy = Strategy::weighted;
  options.seed = 3;
  const auto router = make();
  for (int i = 0; i < 20; ++i) EXPECT_NE(router->chat(question()).get().text(), "a");
}

TEST_F(RouterTest, WeightsAreKeptToAndTheSameSeedDrawsTheSame) {
  add("a"), add("b"), add("c"), add("never");
  targets[0].weight = 1;
  targets[1].weight = 3;
  targets[2].weight = 6;
  targets[3].weight = 0;
  options.strategy = Strategy::weighted;
  options.seed = 42;
  const auto run = [&] {
    const auto router = make();
    std::string drawn;
    for (int i = 0; i < 4000; ++i) drawn += router->chat(question()).get().text()[0];
    return drawn;
  };
  const std::string drawn = run();
  std::map<char, int> counts;
  for (char c : drawn) ++counts[c];
  // Five standard deviations of a binomial of 4000: at most 158.
  EXPECT_NEAR(counts['a'], 400, 100);
  EXPECT_NEAR(counts['b'], 1200, 150);
  EXPECT_NEAR(counts['c'], 2400, 158);
  EXPECT_EQ(counts['n'], 0);
  EXPECT_EQ(drawn, run());
}

TEST_F(RouterTest, LeastInflightAsksTheIdlestOne) {
  const auto a = silent("a"), b = silent("b");
  a->holds(), b->holds();
  options.strategy = Strategy::least_inflight;
  const auto router = make();
  std::vector<Pending<ChatResponse>> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(router->chat(question()));
  EXPECT_EQ(a->calls(), 3);
  EXPECT_EQ(b->calls(), 3);
  a->release(answer("done"));
  calls.push_back(router->chat(question()));
  EXPECT_EQ(a->calls(), 4);
  for (int i = 0; i < 3; ++i) a->release(answer("a"));
  for (int i = 0; i < 3; ++i) b->release(answer("b"));
  for (const auto& call : calls) call.get();
  EXPECT_EQ(router->targets()[0].in_flight, 0);
}

TEST_F(RouterTest, LowestLatencyTriesAllAndThenAsksTheFastest) {
  const auto slow = silent("slow"), fast = silent("fast");
  slow->holds(), fast->holds();
  options.strategy = Strategy::lowest_latency;
  const auto router = make();
  const auto call = [&](const std::shared_ptr<ScriptedBackend>& expected, double seconds) {
    const int before = expected->calls();
    const auto pending = router->chat(question());
    ASSERT_EQ(expected->calls(), before + 1);
    clock->move(seconds);
    expected->release(answer("x"));
    pending.get();
  };
  call(slow, 3);
  call(fast, 1);
  call(fast, 1);
  call(fast, 20);  // the average is 6.7 s now
  call(slow, 3);
  EXPECT_NEAR(*router->targets()[1].latency, 1 + 0.3 * 19, 1e-9);
}

TEST_F(RouterTest, LowestCostAsksTheCheapestForThisRequest) {
  add("dear"), add("cheap"), add("unknown");
  options.strategy = Strategy::lowest_cost;
  options.prices = std::make_shared<PriceTable>(PriceTable::from_json(R"({"date": "d", "prices": [
    {"provider": "dear", "model": "m", "input": 5, "output": 5},
    {"provider": "cheap", "model": "m", "input": 1, "output": 1}]})"));
  const auto router = make();
  const ChatResponse response = router->chat(question()).get();
  EXPECT_EQ(response.text(), "cheap");
  EXPECT_NEAR(*response.cost, 15e-6, 1e-12);
  EXPECT_NEAR(*response.route->cost, 15e-6, 1e-12);
}

// ---- Who is left out

TEST_F(RouterTest, TheReportSaysWhyEachWasLeftOut) {
  add("off"), add("keyless"), add("other_task"), add("blind"), add("narrow"), add("fit");
  targets[0].is_enabled = false;
  static_cast<ScriptedBackend&>(*targets[1].backend).has_key = false;
  targets[2].tasks = {"labels"};
  static_cast<ScriptedBackend&>(*targets[3].backend).can()[Feature::tools] = Answer::no;
  targets[4].context_window = 10;
  const auto router = make();
  ChatRequest request = question(std::string(400, 'x'));
  request.tools.push_back({.name = "f", .description = "", .parameters = "", .strict = false});
  request.task = "insight";
  const ChatResponse response = router->chat(request).get();
  EXPECT_EQ(response.text(), "fit");
  const std::string text = reasons(*response.route);
  for (const char* expected :
       {"off: not asked: it is switched off", "keyless: not asked: it has no key",
        "other_task: not asked: it is not for the task 'insight'",
        "blind: not asked: its model lacks tools", "narrow: not asked: it sees 10 tokens",
        "answered by fit"}) {
    EXPECT_NE(text.find(expected), std::string::npos) << expected << "\n" << text;
  }
}

TEST_F(RouterTest, WhenNobodyIsFitTheErrorSaysOfWhatKind) {
  const auto a = add("a");
  a->can()[Feature::images] = Answer::no;
  const auto router = make();
  ChatRequest request = question();
  request.messages[0].parts.push_back(
      ImagePart{.url = "https://x.org/i.png", .media_type = "", .bytes = "", .detail = ""});
  EXPECT_EQ(error_of(router->chat(request)).kind, ErrorKind::unsupported_parameter);
  request = question();
  request.max_output_tokens = 1000000;
  targets[0].context_window = 1000;
  EXPECT_EQ(error_of(make()->chat(request)).kind, ErrorKind::context_length);
  EXPECT_EQ(a->calls(), 0);
}

TEST_F(RouterTest, ConcurrencyAndRatesAreKeptTo) {
  const auto a = silent("a"), b = add("b");
  a->holds();
  targets[0].max_concurrent = 2;
  targets[1].requests_per_minute = 1;
  const auto router = make();
  const auto first = router->chat(question()), second = router->chat(question());
  EXPECT_EQ(router->chat(question()).get().text(), "b");
  const ErrorDetails details = error_of(router->chat(question()));
  EXPECT_EQ(details.kind, ErrorKind::no_healthy_provider);
  EXPECT_DOUBLE_EQ(*details.retry_after, 60);
  EXPECT_NE(details.message.find("2 calls are under way"), std::string::npos) << details.message;
  clock->move(60);
  EXPECT_EQ(router->chat(question()).get().text(), "b");
  a->release(answer("a"));
  a->release(answer("a"));
  first.get(), second.get();
}

// ---- Falling back

struct Row {
  ErrorKind kind;
  bool falls_back;
};

class FallbackTest : public RouterTest, public ::testing::WithParamInterface<Row> {};

TEST_P(FallbackTest, ByKind) {
  silent("a")->fails(GetParam().kind);
  const auto b = add("b");
  const auto router = make();
  const auto call = router->chat(question());
  if (GetParam().falls_back) {
    const ChatResponse response = call.get();
    EXPECT_EQ(response.text(), "b");
    ASSERT_EQ(response.route->steps.size(), 2u);
    EXPECT_EQ(response.route->steps[0].outcome, RouteStep::Outcome::failed);
    EXPECT_EQ(response.route->steps[0].error, GetParam().kind);
    EXPECT_EQ(response.route->answered_by, "b");
  } else {
    EXPECT_EQ(error_of(call).kind, GetParam().kind);
    EXPECT_EQ(b->calls(), 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Table, FallbackTest,
    ::testing::Values(Row{ErrorKind::connection, true}, Row{ErrorKind::timeout_connect, true},
                      Row{ErrorKind::timeout_first_byte, true}, Row{ErrorKind::timeout_idle, true},
                      Row{ErrorKind::timeout_total, false}, Row{ErrorKind::truncated_stream, true},
                      Row{ErrorKind::stream_error, true}, Row{ErrorKind::rate_limited, true},
                      Row{ErrorKind::quota_exhausted, true}, Row{ErrorKind::overloaded, true},
                      Row{ErrorKind::server_error, true}, Row{ErrorKind::auth, true},
                      Row{ErrorKind::permission, true}, Row{ErrorKind::not_found, true},
                      Row{ErrorKind::invalid_request, false},
                      Row{ErrorKind::unsupported_parameter, true},
                      Row{ErrorKind::content_policy, false},
                      Row{ErrorKind::request_too_large, false},
                      Row{ErrorKind::malformed_response, true}, Row{ErrorKind::tls_verify, true},
                      Row{ErrorKind::cancelled, false}, Row{ErrorKind::budget_exceeded, false}),
    [](const auto& row) { return std::string(name(row.param.kind)); });

TEST_F(RouterTest, AnUnsupportedParameterGoesOnlyToWhoSurelyHasIt) {
  silent("a")->fails(ErrorKind::unsupported_parameter);
  const auto unsure = add("unsure");
  unsure->can()[Feature::temperature] = Answer::unknown;
  const auto sure = add("sure");
  ChatRequest request = question();
  request.temperature = 0.5;
  EXPECT_EQ(make()->chat(request).get().text(), "sure");
  EXPECT_EQ(unsure->calls(), 0);
}

TEST_F(RouterTest, ALongContextGoesOnlyToLargerWindows) {
  silent("a")->fails(ErrorKind::context_length);
  add("same"), add("unknown"), add("large");
  targets[0].context_window = 8000;
  targets[1].context_window = 8000;
  targets[3].context_window = 100000;
  const ChatResponse response = make()->chat(question()).get();
  EXPECT_EQ(response.text(), "large");
}

TEST_F(RouterTest, ContentPolicyFallsBackWhereTheCallerSaysSo) {
  silent("a")->fails(ErrorKind::content_policy);
  add("b");
  options.fallback_on_content_policy = true;
  EXPECT_EQ(make()->chat(question()).get().text(), "b");
}

TEST_F(RouterTest, NobodyLeftTellsWhatEachOneSaid) {
  silent("a")->fails(failure(ErrorKind::overloaded));
  silent("b")->fails(failure(ErrorKind::rate_limited, 30.0));
  const auto router = make();
  const ErrorDetails details = error_of(router->chat(question()));
  EXPECT_EQ(details.kind, ErrorKind::no_healthy_provider);
  EXPECT_EQ(details.attempts, 2);
  EXPECT_NE(details.message.find("a: overloaded: scripted; b: rate_limited: scripted"),
            std::string::npos)
      << details.message;
  EXPECT_EQ(router->last_report().steps.size(), 2u);
}

TEST_F(RouterTest, NoMoreTargetsAreAskedThanAllowed) {
  for (const char* name : {"a", "b", "c", "d"}) silent(name)->fails(ErrorKind::server_error);
  options.max_targets = 2;
  EXPECT_EQ(error_of(make()->chat(question())).attempts, 2);
}

TEST_F(RouterTest, TheTargetsModelTakesThePlaceOfTheRequests) {
  const auto a = add("a");
  targets[0].model = "own-model";
  const auto router = make();
  router->chat(question()).get();
  EXPECT_EQ(a->last_request().model, "own-model");
  EXPECT_EQ(router->targets()[0].name, "a/own-model");
}

// ---- Circuits

TEST_F(RouterTest, AnOpenCircuitIsLeftAloneAndProbedOnce) {
  const auto a = silent("a");
  for (int i = 0; i < 5; ++i) a->fails(ErrorKind::server_error);
  a->gives("a is back");
  add("b");
  const auto router = make();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(router->chat(question()).get().text(), "b");
  EXPECT_EQ(a->calls(), 5);
  EXPECT_TRUE(router->targets()[0].is_open);
  clock->move(5);
  const ChatResponse response = router->chat(question()).get();
  EXPECT_EQ(response.text(), "a is back");
  EXPECT_TRUE(response.route->steps.back().is_probe);
  EXPECT_FALSE(router->targets()[0].is_open);
}

TEST_F(RouterTest, OneProbeUnderSixtyFourThreads) {
  const auto a = silent("a");
  a->fails(failure(ErrorKind::rate_limited, 10.0));
  const auto b = add("b");
  const auto router = make();
  router->chat(question()).get();
  clock->move(10);
  a->holds();
  std::vector<std::thread> threads;
  std::atomic<int> answered{0};
  std::mutex mutex;
  std::vector<Pending<ChatResponse>> calls;
  for (int i = 0; i < 64; ++i) {
    threads.emplace_back([&] {
      const auto call = router->chat(question());
      call.then([&](Outcome<ChatResponse> outcome) { answered += outcome.has_value(); });
      const std::lock_guard lock(mutex);
      calls.push_back(call);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(a->calls(), 2) << "the one that failed, and one probe";
  EXPECT_EQ(answered, 63);
  a->release(answer("a"));
  for (const auto& call : calls) call.get();
  EXPECT_EQ(b->calls(), 64);
}

TEST_F(RouterTest, AProbeThatIsCancelledIsNoVerdict) {
  for (const bool is_stream : {false, true}) {
    targets.clear();
    const auto a = silent("a");
    a->fails(failure(ErrorKind::rate_limited, 10.0));
    add("b");
    const auto router = make();
    router->chat(question()).get();
    clock->move(10);
    a->holds();
    if (is_stream) {
      router->stream(question()).cancel();
    } else {
      router->chat(question()).cancel();
      a->release(answer("too late"));
    }
    EXPECT_EQ(a->cancels(), 1);
    EXPECT_TRUE(router->targets()[0].is_open) << "nothing was learnt";
    const Pending<ChatResponse> next = router->chat(question());
    EXPECT_EQ(a->calls(), 3) << "and the next may ask";
    a->release(answer("a is back"));
    EXPECT_EQ(next.get().text(), "a is back");
  }
}

TEST_F(RouterTest, AKeyIsTheBackendsWhateverTheModel) {
  const auto a = silent("a");
  a->fails(ErrorKind::auth);
  targets[0].model = "one";
  targets.push_back(targets[0]);
  targets[1].model = "two";
  add("b");
  const auto router = make();
  EXPECT_EQ(router->chat(question()).get().text(), "b");
  EXPECT_EQ(a->calls(), 1);
  EXPECT_TRUE(router->targets()[1].is_open);
  a->gives("a");
  router->reset("a/one");
  router->chat(question()).get();
  EXPECT_EQ(a->calls(), 2);
  EXPECT_THROW(router->reset("nobody"), ValueError);
}

TEST_F(RouterTest, WhenAllAreOpenTheErrorSaysForHowLong) {
  silent("a")->fails(failure(ErrorKind::rate_limited, 40.0));
  silent("b")->fails(failure(ErrorKind::rate_limited, 20.0));
  const auto router = make();
  error_of(router->chat(question()));
  const ErrorDetails details = error_of(router->chat(question()));
  EXPECT_EQ(details.kind, ErrorKind::no_healthy_provider);
  EXPECT_EQ(details.attempts, 0);
  EXPECT_DOUBLE_EQ(*details.retry_after, 20);
}

TEST_F(RouterTest, TheDesperateAskTheOneThatClosesFirst) {
  const auto a = silent("a"), b = silent("b");
  a->fails(failure(ErrorKind::rate_limited, 40.0));
  b->fails(failure(ErrorKind::rate_limited, 20.0)).gives("b");
  options.allow_desperate = true;
  const auto router = make();
  error_of(router->chat(question()));
  EXPECT_EQ(router->chat(question()).get().text(), "b");
  EXPECT_EQ(a->calls(), 1);
}

// ---- Time

TEST_F(RouterTest, TheDeadlineHoldsAcrossFallbacks) {
  const auto a = silent("a"), b = silent("b");
  a->holds(), b->holds();
  const auto router = make();
  ChatRequest request = question();
  request.deadline = 10;
  const auto call = router->chat(request);
  EXPECT_DOUBLE_EQ(*a->last_request().deadline, 10);
  clock->move(4);
  a->release(Outcome<ChatResponse>(failure(ErrorKind::overloaded)));
  EXPECT_DOUBLE_EQ(*b->last_request().deadline, 6);
  clock->move(5.9);
  EXPECT_FALSE(call.is_done());
  clock->move(0.2);
  ASSERT_TRUE(call.is_done());
  const ErrorDetails details = error_of(call);
  EXPECT_EQ(details.kind, ErrorKind::timeout_total);
  EXPECT_NE(details.message.find("overloaded"), std::string::npos) << details.message;
  EXPECT_EQ(b->cancels(), 1);
  EXPECT_EQ(clock->alarms(), 0u);
  EXPECT_EQ(router->targets()[1].in_flight, 0);
}

TEST_F(RouterTest, ASecondTargetIsAskedWhereTheFirstIsSlow) {
  const auto a = silent("a"), b = silent("b");
  a->holds(), b->holds();
  options.hedge_after = 2;
  const auto router = make();
  const auto call = router->chat(question());
  clock->move(1.9);
  EXPECT_EQ(b->calls(), 0);
  clock->move(0.2);
  EXPECT_EQ(b->calls(), 1);
  b->release(answer("b"));
  const ChatResponse response = call.get();
  EXPECT_EQ(response.text(), "b");
  EXPECT_EQ(a->cancels(), 1);
  EXPECT_TRUE(response.route->steps.back().is_hedge);
  EXPECT_EQ(response.route->steps.front().outcome, RouteStep::Outcome::called_off);
  EXPECT_EQ(router->targets()[0].in_flight, 0);
  EXPECT_FALSE(router->targets()[0].is_open) << "being slow once is no failure";
}

TEST_F(RouterTest, AHedgeThatFailsLeavesTheFirstAlone) {
  const auto a = silent("a"), b = silent("b");
  a->holds();
  b->fails(ErrorKind::server_error);
  options.hedge_after = 1;
  const auto router = make();
  const auto call = router->chat(question());
  clock->move(1);
  EXPECT_EQ(b->calls(), 1);
  EXPECT_FALSE(call.is_done());
  a->release(answer("a"));
  EXPECT_EQ(call.get().text(), "a");
}

TEST_F(RouterTest, AHedgeWithNobodyToAskDoesNothing) {
  const auto a = silent("a");
  a->holds();
  options.hedge_after = 1;
  const auto router = make();
  const auto call = router->chat(question());
  clock->move(10);
  EXPECT_FALSE(call.is_done());
  a->release(answer("a"));
  EXPECT_EQ(call.get().text(), "a");
}

TEST_F(RouterTest, CancellingCancelsTheTarget) {
  const auto a = silent("a"), b = add("b");
  a->holds();
  const auto router = make();
  const auto call = router->chat(question());
  call.cancel();
  EXPECT_EQ(error_of(call).kind, ErrorKind::cancelled);
  EXPECT_EQ(a->cancels(), 1);
  EXPECT_EQ(b->calls(), 0);
  EXPECT_EQ(router->targets()[0].in_flight, 0);
}

// ---- Budgets

TEST_F(RouterTest, AnotherTargetIsAskedWhereTheFirstIsOverItsBudget) {
  add("dear"), add("cheap");
  options.budget = Budget::create(
      {.run = {}, .providers = {{"dear", {.dollars = {}, .tokens = 5000}}}, .tasks = {}});
  const auto router = make();
  EXPECT_EQ(router->chat(question()).get().text(), "dear");
  EXPECT_EQ(options.budget->spent_by_provider("dear").tokens, 15);
  ChatRequest large = question();
  large.max_output_tokens = 6000;
  const ChatResponse response = router->chat(large).get();
  EXPECT_EQ(response.text(), "cheap");
  EXPECT_NE(reasons(*response.route).find("budget: the provider dear"), std::string::npos);
}

TEST_F(RouterTest, WhereAllAreOverItTheBudgetIsTheError) {
  const auto a = add("a");
  options.budget =
      Budget::create({.run = {.dollars = {}, .tokens = 10}, .providers = {}, .tasks = {}});
  EXPECT_EQ(error_of(make()->chat(question())).kind, ErrorKind::budget_exceeded);
  EXPECT_EQ(a->calls(), 0);
}

TEST_F(RouterTest, WhatFailsBeforeTheProviderWorkedCostsNothing) {
  silent("a")->fails(ErrorKind::overloaded);
  silent("b")->fails(ErrorKind::timeout_first_byte);
  add("c");
  options.budget = Budget::create({});
  ChatRequest request = question();
  request.max_output_tokens = 100;
  make()->chat(request).get();
  EXPECT_EQ(options.budget->spent_by_provider("a").tokens, 0);
  EXPECT_EQ(options.budget->spent_by_provider("b").tokens, estimated_input_tokens(request) + 100);
  EXPECT_EQ(options.budget->spent_by_provider("c").tokens, 15);
  EXPECT_EQ(options.budget->spent().reserved_tokens, 0);
}

TEST_F(RouterTest, ACancelledCallIsSpentAsReserved) {
  silent("a")->holds();
  options.budget = Budget::create({});
  ChatRequest request = question();
  request.max_output_tokens = 100;
  const auto router = make();
  router->chat(request).cancel();
  EXPECT_EQ(options.budget->spent().tokens, estimated_input_tokens(request) + 100);
  EXPECT_EQ(options.budget->spent().reserved_tokens, 0);
}

TEST_F(RouterTest, ThreadsNeverPassTheBudgetTogether) {
  add("a"), add("b");
  options.budget =
      Budget::create({.run = {.dollars = {}, .tokens = 3000}, .providers = {}, .tasks = {}});
  const auto router = make();
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        ChatRequest request = question();
        request.max_output_tokens = 5;
        try {
          router->chat(request).get();
          ++answered;
        } catch (const ProviderError& error) {
          EXPECT_EQ(error.kind(), ErrorKind::budget_exceeded);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // An answer takes 15 tokens, more than the 11 that are set aside.
  EXPECT_LE(options.budget->spent().tokens, 3000 + 8 * 15);
  EXPECT_GE(options.budget->spent().tokens, 3000 - 11);
  EXPECT_EQ(answered * 15, options.budget->spent().tokens);
}

// ---- Where nobody answers

TEST_F(RouterTest, TheLastResortAnswersWithAWarning) {
  silent("a")->fails(ErrorKind::connection);
  auto local = std::make_shared<ScriptedBackend>("local");
  local->gives("by rule");
  options.last_resort = local;
  const ChatResponse response = make()->chat(question()).get();
  EXPECT_EQ(response.text(), "by rule");
  EXPECT_TRUE(response.route->is_degraded);
  ASSERT_EQ(response.warnings.size(), 1u);
  EXPECT_NE(response.warnings[0].find("last resort"), std::string::npos);
}

TEST_F(RouterTest, ALocalBackendNeedsNoNetwork) {
  silent("a")->fails(ErrorKind::connection);
  options.last_resort = local_backend("rule", [](const ChatRequest& request) {
    return answer("echo " + request.messages[0].text());
  });
  EXPECT_EQ(make()->chat(question("hello")).get().text(), "echo hello");
}

// ---- Streams

std::string read_all(const ChatStream& stream, int* restarts = nullptr) {
  std::string text;
  while (const std::optional<StreamEvent> event = stream.next()) {
    if (event->kind == StreamEvent::Kind::text) text += event->text;
    if (event->kind == StreamEvent::Kind::restart) {
      text.clear();
      if (restarts != nullptr) ++*restarts;
    }
  }
  return text;
}

StreamEvent piece(const std::string& text) {
  StreamEvent event;
  event.text = text;
  return event;
}

StreamEvent usage_event() {
  StreamEvent event;
  event.kind = StreamEvent::Kind::usage;
  event.usage.edit().input_total = 7;
  return event;
}

TEST_F(RouterTest, AStreamIsCarriedThrough) {
  add("a");
  const auto router = make();
  const ChatStream stream = router->stream(question());
  EXPECT_EQ(read_all(stream), "a");
  const ChatResponse response = stream.response();
  EXPECT_EQ(response.text(), "a");
  EXPECT_EQ(response.route->answered_by, "a");
  EXPECT_EQ(router->targets()[0].in_flight, 0);
}

TEST_F(RouterTest, AStreamThatFailsBeforeItBeganFallsBack) {
  silent("a")->fails(ErrorKind::overloaded);
  silent("b")->streams({usage_event()}, failure(ErrorKind::stream_error));
  add("c");
  int restarts = 0;
  EXPECT_EQ(read_all(make()->stream(question()), &restarts), "c");
  EXPECT_EQ(restarts, 0) << "the reader has seen nothing that is to be forgotten";
}

TEST_F(RouterTest, AStreamThatBreaksIsNotReplayedInSilence) {
  silent("a")->streams({piece("half")}, failure(ErrorKind::truncated_stream, {}, true));
  const auto b = add("b");
  const auto router = make();
  const ChatStream stream = router->stream(question());
  EXPECT_EQ(stream.next()->text, "half");
  EXPECT_THROW(stream.next(), ProviderError);
  EXPECT_EQ(b->calls(), 0);
  EXPECT_EQ(router->last_report().steps[0].error, ErrorKind::truncated_stream);
}

TEST_F(RouterTest, AStreamBeginsAnewWhereTheCallerAllowsIt) {
  silent("a")->streams({piece("half")}, failure(ErrorKind::truncated_stream, {}, true));
  add("b");
  options.restart_streams = true;
  const auto router = make();
  const ChatStream stream = router->stream(question());
  int restarts = 0;
  EXPECT_EQ(read_all(stream, &restarts), "b");
  EXPECT_EQ(restarts, 1);
  EXPECT_EQ(stream.response().text(), "b");
  EXPECT_EQ(stream.response().route->steps.size(), 2u);
}

TEST_F(RouterTest, AStreamWithNobodyLeftEndsWithTheError) {
  silent("a")->fails(ErrorKind::server_error);
  const ChatStream stream = make()->stream(question());
  try {
    stream.next();
    FAIL();
  } catch (const ProviderError& error) {
    EXPECT_EQ(error.kind(), ErrorKind::no_healthy_provider);
  }
}

TEST_F(RouterTest, AStreamThatIsCancelledCancelsItsTarget) {
  const auto a = silent("a");
  a->holds();
  options.budget = Budget::create({});
  const auto router = make();
  {
    const ChatStream stream = router->stream(question());
    stream.cancel();
    EXPECT_THROW(stream.next(), ProviderError);
  }
  EXPECT_EQ(a->cancels(), 1);
  EXPECT_EQ(router->targets()[0].in_flight, 0);
  EXPECT_GT(options.budget->spent().tokens, 0);
}

TEST_F(RouterTest, AStreamThatIsDroppedCancelsItsTarget) {
  const auto a = silent("a");
  a->holds();
  const auto router = make();
  { const ChatStream stream = router->stream(question()); }
  EXPECT_EQ(a->cancels(), 1);
  EXPECT_EQ(router->targets()[0].in_flight, 0);
}

TEST_F(RouterTest, SlowStreamsAreHedgedUpToTheirFirstEvent) {
  const auto a = silent("a");
  a->holds();
  add("b");
  options.hedge_after = 1;
  const auto router = make();
  const ChatStream stream = router->stream(question());
  clock->move(1);
  EXPECT_EQ(read_all(stream), "b");
  EXPECT_EQ(a->cancels(), 1);
}

// ---- The rest

TEST_F(RouterTest, EmbeddingsAreRouted) {
  add("a");
  EmbeddingRequest request;
  request.model = "e";
  request.inputs = {"x", "y"};
  EXPECT_EQ(make()->embed(request).get().embeddings.size(), 2u);
}

TEST_F(RouterTest, ARouterIsABackendOfAnother) {
  add("inner");
  options.name = "inner router";
  const auto inner = make();
  targets.clear();
  options.name = "outer";
  silent("broken")->fails(ErrorKind::connection);
  targets.push_back({.backend = inner,
                     .model = "",
                     .name = "",
                     .context_window = {},
                     .tasks = {},
                     .max_concurrent = {},
                     .requests_per_minute = {},
                     .tokens_per_minute = {}});
  EXPECT_EQ(make()->chat(question()).get().text(), "inner");
}

TEST_F(RouterTest, CapabilitiesAreThoseOfTheBest) {
  const auto a = add("a"), b = add("b");
  a->can()[Feature::tools] = Answer::no;
  b->can()[Feature::tools] = Answer::unknown;
  a->can()[Feature::images] = Answer::no;
  b->can()[Feature::images] = Answer::no;
  const Capabilities all = make()->capabilities("m");
  EXPECT_EQ(all[Feature::tools], Answer::unknown);
  EXPECT_EQ(all[Feature::images], Answer::no);
  EXPECT_EQ(all[Feature::seed], Answer::yes);
}

TEST_F(RouterTest, ReportsAreToldOnce) {
  add("a");
  int reports = 0;
  options.on_report = [&](const RouteReport& report) {
    ++reports;
    EXPECT_EQ(report.answered_by, "a");
    throw std::runtime_error("of no consequence");
  };
  const auto router = make();
  router->chat(question()).get();
  EXPECT_EQ(reports, 1);
  EXPECT_NE(to_json(router->last_report()).find("\"answered_by\":\"a\""), std::string::npos);
}

TEST_F(RouterTest, OptionsThatMakeNoSenseAreRefused) {
  EXPECT_THROW(make(), ValueError) << "no targets";
  add("a");
  targets.push_back(targets[0]);
  EXPECT_THROW(make(), ValueError) << "two of one name";
  targets[1].name = "b";
  EXPECT_NO_THROW(make());
  targets[1].weight = -1;
  EXPECT_THROW(make(), ValueError);
  targets[1].weight = 1;
  targets[1].backend = nullptr;
  EXPECT_THROW(make(), ValueError);
  targets.pop_back();
  options.deadline = 0;
  EXPECT_THROW(make(), ValueError);
}

}  // namespace
}  // namespace taut::ai
