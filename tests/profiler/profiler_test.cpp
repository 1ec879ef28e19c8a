// What a profile holds: scopes and how they lie in one another, costs, memory, schedules, threads.

#include "taut/profiler/profiler.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "taut/autograd/backward.h"
#include "taut/autograd/record.h"
#include "taut/nn/functional/activation.h"
#include "taut/nn/functional/conv.h"
#include "taut/nn/functional/softmax.h"
#include "taut/nn/modules/activation.h"
#include "taut/nn/modules/container.h"
#include "taut/nn/modules/linear.h"
#include "taut/ops/ops.h"
#include "taut/optim/optimizers.h"
#include "taut/profiler/peaks.h"

namespace taut::profiler {
namespace {

template <class Work>
Trace profiled(const Work& work, ProfileOptions options = {}) {
  Profile profile(std::move(options));
  profile.start();
  work();
  profile.stop();
  return profile.trace();
}

const Event* find(const Trace& trace, std::string_view name) {
  for (const Event& event : trace.events) {
    if (event.name == name) return &event;
  }
  return nullptr;
}

int64_t count(const Trace& trace, std::string_view name) {
  return std::count_if(trace.events.begin(), trace.events.end(),
                       [&](const Event& event) { return event.name == name; });
}

const Event& at(const Trace& trace, int position) {
  return trace.events.at(static_cast<size_t>(position));
}

const AverageRow* row(const Averages& averages, std::string_view name) {
  for (const AverageRow& row : averages.rows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

void expect_well_formed(const Trace& trace) {
  for (size_t i = 0; i < trace.events.size(); ++i) {
    const Event& event = trace.events[i];
    EXPECT_GE(event.start, 0) << event.name;
    EXPECT_LE(event.start, event.end) << event.name;
    EXPECT_LE(event.end, trace.duration) << event.name;
    if (event.parent < 0) continue;
    ASSERT_LT(event.parent, static_cast<int>(i)) << event.name;
    const Event& parent = at(trace, event.parent);
    EXPECT_EQ(parent.thread, event.thread);
    EXPECT_LE(parent.start, event.start) << parent.name << " around " << event.name;
    EXPECT_GE(parent.end, event.end) << parent.name << " around " << event.name;
  }
}

struct Block : nn::Module {
  std::shared_ptr<nn::Linear> inner = register_module<nn::Linear>("inner", 8, 8);
  Tensor forward(const Tensor& x) override { return taut::relu((*inner)(x)); }
};
struct Net : nn::Module {
  std::shared_ptr<nn::Sequential> blocks =
      register_module("blocks", std::make_shared<nn::Sequential>(Block(), Block()));
  std::shared_ptr<nn::Linear> head = register_module<nn::Linear>("head", 8, 2);
  Tensor forward(const Tensor& x) override { return (*head)((*blocks)(x)); }
};

std::vector<std::string> module_names(const Trace& trace) {
  std::vector<std::string> names;
  for (const Event& event : trace.events) {
    if (event.kind == ScopeKind::module) names.push_back(event.name);
  }
  return names;
}
using Names = std::vector<std::string>;

TEST(Profile, OpsAreBarsWithTheirWork) {
  const Tensor a = ones({4, 8}), b = ones({8, 16});
  const Trace trace = profiled([&] { taut::exp(matmul(a, b)); }, {.record_shapes = true});
  expect_well_formed(trace);
  const Event* product = find(trace, "matmul");
  ASSERT_NE(product, nullptr);
  EXPECT_GT(product->duration(), 0);
  EXPECT_EQ(product->flops, 2.0 * 4 * 8 * 16);
  EXPECT_EQ(product->bytes, 4.0 * (4 * 8 + 8 * 16 + 4 * 16));
  EXPECT_EQ(product->input_shapes, (std::vector<std::vector<int64_t>>{{4, 8}, {8, 16}}));
  EXPECT_EQ(product->dtype, kFloat32);
  const Event* pointwise = find(trace, "exp");
  ASSERT_NE(pointwise, nullptr);
  EXPECT_EQ(pointwise->flops, 0);
  EXPECT_EQ(pointwise->bytes, 4.0 * 2 * 4 * 16);
  EXPECT_GT(pointwise->start, product->start);
}

TEST(Profile, CountsConvolutionsAndWhatBroadcastsOnce) {
  const Tensor image = ones({2, 3, 8, 8}), filter = ones({4, 3, 3, 3}).requires_grad_();
  const Trace trace = profiled([&] {
    const Tensor output = nn::functional::conv2d(image, filter);
    output.sum().backward();
    ones({5, 1}) + ones({1, 7});
  });
  const double flops = 2.0 * (2 * 4 * 6 * 6) * (3 * 3 * 3);
  ASSERT_NE(find(trace, "convolution"), nullptr);
  EXPECT_EQ(find(trace, "convolution")->flops, flops);
  ASSERT_NE(find(trace, "convolution_backward_weight"), nullptr);
  EXPECT_EQ(find(trace, "convolution_backward_weight")->flops, flops);
  ASSERT_NE(find(trace, "add"), nullptr);
  EXPECT_EQ(find(trace, "add")->bytes, 4.0 * (5 + 7 + 35));
}

TEST(Profile, ViewsMoveNothingAndWritesInPlaceDo) {
  const Tensor x = ones({4, 6});
  const Trace trace = profiled([&] {
    x.t();
    x.mul_(2);
    x.view({24});
  });
  ASSERT_NE(find(trace, "transpose"), nullptr);
  EXPECT_EQ(find(trace, "transpose")->bytes, 0);
  ASSERT_NE(find(trace, "mul"), nullptr);
  EXPECT_EQ(find(trace, "mul")->bytes, 2 * 4.0 * 24);
}

TEST(Profile, BackwardKnowsItsOpAndItsModule) {
  Net net;
  const Tensor x = ones({3, 8});
  const Trace trace = profiled([&] { net(x).sum().backward(); });
  expect_well_formed(trace);
  int linked = 0;
  for (const Event& event : trace.events) {
    if (event.kind != ScopeKind::backward || event.name == "accumulate_grad") continue;
    ASSERT_GE(event.forward, 0) << event.name;
    const Event& forward = at(trace, event.forward);
    EXPECT_EQ(forward.name + "_backward", event.name);
    EXPECT_EQ(forward.sequence, event.sequence);
    EXPECT_EQ(forward.module, event.module);
    EXPECT_LE(forward.end, event.start);
    ++linked;
  }
  EXPECT_EQ(linked, 6);  // three linears, two relus, the sum
  EXPECT_EQ(count(trace, "linear_backward"), 3);
}

TEST(Profile, ModulesGoByTheirPath) {
  Net net;
  const Trace trace = profiled([&] { net(ones({3, 8})); });
  EXPECT_EQ(module_names(trace), (Names{"Net", "Net.blocks", "Net.blocks.0", "Net.blocks.0.inner",
                                        "Net.blocks.1", "Net.blocks.1.inner", "Net.head"}));
  const Event* relu = find(trace, "relu");
  ASSERT_NE(relu, nullptr);
  EXPECT_EQ(relu->module, "Net.blocks.0");
  const Averages averages = trace.key_averages(GroupBy::module);
  ASSERT_NE(row(averages, "Net"), nullptr);
  EXPECT_EQ(row(averages, "Net")->flops, 2.0 * 3 * (8 * 8 + 8 * 8 + 8 * 2));
  EXPECT_EQ(row(averages, "Net.blocks")->flops, 2.0 * 3 * 2 * 64);
  EXPECT_EQ(row(averages, "Net.blocks.1.inner")->count, 1);
  EXPECT_LE(row(averages, "Net.blocks.1")->cpu_time_total,
            row(averages, "Net.blocks")->cpu_time_total);
}

// One activation that the net has twice and a block of it, too.
struct Sharing : nn::Module {
  std::shared_ptr<nn::ReLU> act = std::make_shared<nn::ReLU>();
  std::shared_ptr<nn::Sequential> block =
      register_module("block", std::make_shared<nn::Sequential>(act));
  std::shared_ptr<nn::ReLU> first = register_module("first", act);
  std::shared_ptr<nn::ReLU> second = register_module("second", act);
  Tensor forward(const Tensor& x) override { return (*second)((*block)((*first)(x))); }
};

TEST(Profile, ASharedModuleGoesByWhereItIsCalledFrom) {
  Sharing net;
  const Trace trace = profiled([&] { net(ones({3})); });
  EXPECT_EQ(module_names(trace), (Names{"Sharing", "Sharing.first", "Sharing.block",
                                        "Sharing.block.0", "Sharing.first"}));
}

TEST(Profile, RootsThatShareAModuleEachHaveIt) {
  Net one, other;
  other.add_module("head", one.head);
  other.head = one.head;
  const Trace trace = profiled([&] {
    one(ones({3, 8}));
    other(ones({3, 8}));
    (*one.head)(ones({3, 8}));
  });
  const Names net = {"Net",          "Net.blocks",         "Net.blocks.0", "Net.blocks.0.inner",
                     "Net.blocks.1", "Net.blocks.1.inner", "Net.head"};
  Names expected = net;
  expected.insert(expected.end(), net.begin(), net.end());
  expected.emplace_back("Linear");
  EXPECT_EQ(module_names(trace), expected);
}

// Modules come, go and change their names between calls and within one.
struct Changing : nn::Module {
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (const auto& child : children()) y = (*child)(y);
    add_module("late", std::make_shared<nn::Tanh>());
    return (*find_child("late"))(y);
  }
};

TEST(Profile, PathsFollowTheTreeAsItChanges) {
  Changing net;
  net.register_module<nn::ReLU>("a");
  const Trace trace = profiled([&] {
    net(ones({3}));
    const std::shared_ptr<nn::Module> moved = net.find_child("a");
    net.unregister("a");
    net.unregister("late");
    net.add_module("b", moved);
    net(ones({3}));
    (*moved)(ones({3}));
  });
  EXPECT_EQ(module_names(trace), (Names{"Changing", "Changing.a", "Changing.late", "Changing",
                                        "Changing.b", "Changing.late", "ReLU"}));
}

// A module of one net may get the address of one that is gone.
TEST(Profile, NetsThatAreGoneLeaveNoPaths) {
  const Trace trace = profiled([&] {
    for (int i = 0; i < 20; ++i) {
      auto net = std::make_unique<Net>();
      (*net)(ones({3, 8}));
      net.reset();
      auto plain = std::make_unique<Block>();
      (*plain)(ones({3, 8}));
    }
  });
  EXPECT_EQ(count(trace, "Net.blocks.1.inner"), 20);
  EXPECT_EQ(count(trace, "Block.inner"), 20);
  EXPECT_EQ(module_names(trace).size(), size_t{20 * 9});
}

TEST(Profile, ThreadsFindPathsOfTheirOwn) {
  Net net;
  const Trace trace = profiled([&] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        const NoGradGuard no_grad;
        for (int k = 0; k < 10; ++k) net(ones({3, 8}));
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  EXPECT_EQ(count(trace, "Net.blocks.0.inner"), 40);
  EXPECT_EQ(count(trace, "Net.head"), 40);
  EXPECT_EQ(module_names(trace).size(), size_t{40 * 7});
}

TEST(Profile, ModulesMayBeLeftOut) {
  Net net;
  const Trace trace = profiled([&] { net(ones({3, 8})); }, {.with_modules = false});
  EXPECT_EQ(find(trace, "Net"), nullptr);
  EXPECT_EQ(count(trace, "linear"), 3);
}

TEST(Profile, CountsAddUp) {
  const Tensor x = ones({16, 16}).requires_grad_();
  const Trace trace = profiled([&] {
    for (int i = 0; i < 5; ++i) taut::tanh(matmul(x, x)).sum().backward();
  });
  const Averages averages = trace.key_averages();
  EXPECT_EQ(row(averages, "tanh")->count, 5);
  EXPECT_EQ(row(averages, "tanh_backward")->count, 5);
  // One forward and two backward, each of five rounds.
  EXPECT_EQ(row(averages, "matmul")->count, 15);
  EXPECT_EQ(row(averages, "matmul")->flops, 15 * 2.0 * 16 * 16 * 16);
  EXPECT_EQ(row(averages, "matmul_backward")->flops, 10 * 2.0 * 16 * 16 * 16);
  int64_t self = 0;
  for (const AverageRow& row : averages.rows) {
    EXPECT_GE(row.cpu_time_total, row.self_cpu_time_total) << row.name;
    self += row.self_cpu_time_total;
  }
  EXPECT_EQ(self, averages.self_cpu_time_total);
}

TEST(Profile, ABackwardFunctionThatCallsNoOpHasItsOwnBytes) {
  const Tensor x = ones({100}).requires_grad_();
  const Trace trace = profiled([&] { taut::exp(x).sum().backward(); });
  const Event* event = find(trace, "exp_backward");
  ASSERT_NE(event, nullptr);
  EXPECT_EQ(event->bytes,
            4.0 * (1 + 100 + 100));  // a broadcast gradient, the saved output, the result
}

TEST(Profile, SharesReferToMeasuredPeaks) {
  const Tensor a = ones({256, 256});
  const Trace trace = profiled([&] { matmul(a, a); });
  const Averages averages = trace.key_averages();
  const AverageRow* product = row(averages, "matmul");
  ASSERT_NE(product, nullptr);
  EXPECT_GT(product->flops_share(), 0);
  EXPECT_LT(product->flops_share(), 10);
  EXPECT_GT(product->bytes_share(), 0);
  EXPECT_NEAR(product->flops_floor, 1e9 * product->flops / peak_flops(kCPU, kFloat32), 1e-3);
  ASSERT_EQ(averages.peak_sources.size(), 1u);
  EXPECT_NE(averages.peak_sources[0].find("measured"), std::string::npos);
}

TEST(Profile, RangesOptimizersAndLoaders) {
  Net net;
  optim::AdamW optimizer(net.parameters(), {});
  net(ones({3, 8})).sum().backward();
  optimizer.step();  // makes its state
  const Trace trace = profiled([&] {
    const RecordFunction range("my \"range\"\n");
    net(ones({3, 8})).sum().backward();
    optimizer.step();
  });
  expect_well_formed(trace);
  const Event* range = find(trace, "my \"range\"\n");
  ASSERT_NE(range, nullptr);
  EXPECT_EQ(range->kind, ScopeKind::user);
  const Event* step = find(trace, "AdamW.step");
  ASSERT_NE(step, nullptr);
  EXPECT_EQ(step->kind, ScopeKind::optimizer);
  EXPECT_EQ(at(trace, step->parent).name, range->name);
  double parameters = 0;
  for (const Tensor& parameter : net.parameters()) {
    parameters += static_cast<double>(parameter.numel());
  }
  // The gradient is read; the parameter and two moments are read and written.
  EXPECT_EQ(row(trace.key_averages(), "AdamW.step")->bytes, 7 * 4 * parameters);
}

TEST(Profile, ThreadsAreRecordedAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  const Trace trace = profiled([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([] {
        const Tensor x = ones({8}).requires_grad_();
        for (int i = 0; i < kRounds; ++i) taut::sin(x).sum().backward();
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  expect_well_formed(trace);
  EXPECT_EQ(count(trace, "sin"), kThreads * kRounds);
  EXPECT_EQ(count(trace, "sin_backward"), kThreads * kRounds);
  std::vector<int64_t> seen;
  for (const Event& event : trace.events) {
    if (event.name == "sin_backward") {
      EXPECT_EQ(at(trace, event.forward).thread, event.thread);
    }
    if (std::find(seen.begin(), seen.end(), event.thread) == seen.end()) {
      seen.push_back(event.thread);
    }
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(kThreads));
}

// Scopes begin and end on other threads while recordings come and go.
TEST(Profile, RecordingsMayStartAndStopWhileThreadsWork) {
  std::atomic<bool> is_over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      const Tensor x = ones({4}).requires_grad_();
      while (!is_over.load()) {
        const RecordFunction range("outer");
        taut::cos(x * 2).sum().backward();
      }
    });
  }
  for (int i = 0; i < 30; ++i) {
    const Trace trace = profiled([] { std::this_thread::yield(); }, {.profile_memory = true});
    expect_well_formed(trace);
  }
  is_over = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(is_traced());
}

TEST(Profile, OneRunsAtATime) {
  Profile first, second;
  EXPECT_THROW(first.stop(), ValueError);
  EXPECT_THROW(first.step(), ValueError);
  EXPECT_THROW(first.trace(), ValueError);
  first.start();
  EXPECT_TRUE(is_profiling());
  EXPECT_THROW(first.start(), ValueError);
  EXPECT_THROW(second.start(), ValueError);
  ones({2}) + 1;
  first.stop();
  EXPECT_FALSE(is_profiling());
  EXPECT_EQ(count(first.trace(), "add"), 1);
  second.start();
  second.stop();
  EXPECT_EQ(count(second.trace(), "add"), 0);
  EXPECT_THROW(Profile({.cpu = false, .cuda = false}), ValueError);
}

TEST(Profile, AnErrorInTheBodyLeavesNothingOpen) {
  try {
    Profile profile;
    profile.start();
    const RecordFunction range("broken");
    matmul(ones({2, 3}), ones({2, 3}));
    FAIL();
  } catch (const ShapeError&) {
  }
  EXPECT_FALSE(is_profiling());
  EXPECT_FALSE(is_traced());
  EXPECT_EQ(count(profiled([] { ones({2}) + 1; }), "add"), 1);
}

TEST(Profile, ObserversOfAThreadSeeOpsToo) {
  struct Counter final : autograd::OpObserver {
    int ops = 0;
    void on_op(const autograd::OpRecord&) override {
      ++ops;
      ones({1}) * 3;  // what an observer computes is not observed
    }
  };
  Counter counter;
  const Trace trace = profiled([&] { ones({2}) + 1; });
  EXPECT_EQ(counter.ops, 2);
  EXPECT_EQ(count(trace, "add"), 1);
  ones({2}) + 1;
  EXPECT_EQ(counter.ops, 4);
}

TEST(Profile, MemoryAddsUp) {
  Tensor kept;
  const Trace trace = profiled(
      [&] {
        kept = taut::exp(ones({1000}));
        taut::sin(ones({5000}));
      },
      {.profile_memory = true});
  ASSERT_FALSE(trace.memory_events.empty());
  int64_t sum = 0;
  int64_t last = trace.memory_events[0].time;
  for (const MemoryEvent& event : trace.memory_events) {
    EXPECT_GE(event.time, last);
    last = event.time;
    sum += event.bytes;
  }
  EXPECT_GE(sum, 4000);
  EXPECT_LT(sum, 5000);
  EXPECT_EQ(trace.memory_events.back().allocated - trace.memory_events.front().allocated,
            sum - trace.memory_events.front().bytes);
  const Event* exp = find(trace, "exp");
  ASSERT_NE(exp, nullptr);
  EXPECT_GE(exp->cpu_memory, 4000);
  const MemoryPeak peak = trace.memory_peak();
  ASSERT_FALSE(peak.holders.empty());
  int64_t held = 0;
  for (const MemoryHolder& holder : peak.holders) held += holder.bytes;
  EXPECT_EQ(held, peak.bytes);
  const auto holds = [&](std::string_view name) {
    return std::any_of(peak.holders.begin(), peak.holders.end(),
                       [&](const MemoryHolder& holder) { return holder.name == name; });
  };
  EXPECT_TRUE(holds("sin"));
  EXPECT_TRUE(holds("exp"));
  EXPECT_THROW(profiled([] {}).memory_peak(), ValueError);
}

#if !defined(__SANITIZE_ADDRESS__)  // under which no block is kept
TEST(Profile, SmallBlocksComeBackToTheShortWay) {
  profiled([] { ones({4}); }, {.profile_memory = true});
  const int64_t before = memory_stats().system_allocations;
  for (int i = 0; i < 100; ++i) ones({4});
  EXPECT_EQ(memory_stats().system_allocations, before);
}
#endif

TEST(Schedule, IsPyTorchs) {
  const Schedule plan =
      schedule({.wait = 1, .warmup = 1, .active = 2, .repeat = 2, .skip_first = 1});
  using enum ProfilerAction;
  const ProfilerAction expected[] = {none, none,   warmup, record,          record_and_save,
                                     none, warmup, record, record_and_save, none,
                                     none};
  for (int64_t i = 0; i < 11; ++i) EXPECT_EQ(plan(i), expected[i]) << i;
  EXPECT_THROW(schedule({.active = 0}), ValueError);
  EXPECT_THROW(schedule({.wait = -1}), ValueError);
  EXPECT_THROW(plan(-1), ValueError);
}

TEST(Schedule, OnlyActiveStepsAreInTheTrace) {
  std::vector<std::vector<std::string>> cycles;
  ProfileOptions options;
  options.schedule = schedule({.wait = 1, .warmup = 1, .active = 2, .repeat = 2});
  options.on_trace_ready = [&](Profile& profile) {
    std::vector<std::string> steps;
    for (const Event& event : profile.trace().events) {
      if (event.name.starts_with("ProfilerStep#")) steps.push_back(event.name);
    }
    EXPECT_EQ(count(profile.trace(), "add"), 2);
    cycles.push_back(std::move(steps));
  };
  Profile profile(options);
  profile.start();
  for (int i = 0; i < 12; ++i) {
    ones({2}) + 1;
    profile.step();
  }
  profile.stop();
  EXPECT_EQ(cycles, (std::vector<std::vector<std::string>>{{"ProfilerStep#2", "ProfilerStep#3"},
                                                           {"ProfilerStep#6", "ProfilerStep#7"}}));
}

TEST(Schedule, AHandlerMayThrow) {
  ProfileOptions options;
  options.schedule = schedule({.active = 1});
  options.on_trace_ready = [](Profile&) { throw ValueError("no room"); };
  Profile profile(options);
  profile.start();
  EXPECT_THROW(profile.step(), ValueError);
  EXPECT_TRUE(profile.is_running());
  EXPECT_THROW(profile.stop(), ValueError);
  EXPECT_FALSE(is_profiling());
}

TEST(Scopes, EveryOpOfTheBodyIsInsideOne) {
  // An op that a record without a scope would show as a bar of no length.
  const Tensor x = ones({4, 4}).requires_grad_();
  const Trace trace = profiled([&] {
    const Tensor parts = cat({x, x}, 0);
    sum(nn::functional::softmax(parts, 1), {0}).backward(ones({4}));
    sort(x);
    topk(x, 2);
    cumsum(x, 0);
    x.unbind(0);
    x.split(2, 0);
    index_select(x, 0, tensor(std::vector<int64_t>{0, 1}));
    where(x > 0, x, x * 2);
    std::get<0>(max(x, 1));
    x.clone().fill_(1);
    empty({3});
    arange(5);
  });
  for (const Event& event : trace.events) EXPECT_GT(event.duration(), 0) << event.name;
  EXPECT_NE(find(trace, "cat"), nullptr);
  EXPECT_NE(find(trace, "unbind"), nullptr);
}

}  // namespace
}  // namespace taut::profiler
