// What a profile tells of a GPU: kernels and copies, whose they are, on which clock, in graphs too.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "taut/core/cuda_graph.h"
#include "taut/taut.h"

namespace taut::profiler {
namespace {

namespace F = nn::functional;

class CudaProfiler : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
  }
  static TensorOptions gpu(DType dtype = kFloat32) { return TensorOptions(dtype).device(kCUDA); }

  template <class Work>
  static Trace profiled(const Work& work, ProfileOptions options = {}) {
    Profile profile(std::move(options));
    profile.start();
    work();
    profile.stop();
    return profile.trace();
  }
  // Whether kernels can be had at all; a machine may forbid it.
  static bool has_kernels(const Trace& trace) {
    for (const std::string& warning : trace.warnings) std::printf("%s\n", warning.c_str());
    return trace.warnings.empty();
  }
  static const AverageRow* row(const Averages& averages, std::string_view name) {
    for (const AverageRow& row : averages.rows) {
      if (row.name == name) return &row;
    }
    return nullptr;
  }
};

#define TAUT_NEED_KERNELS(trace) \
  if (!has_kernels(trace)) GTEST_SKIP() << "CUPTI is not to be had here"

TEST_F(CudaProfiler, KernelsBelongToTheirOpsAndModules) {
  nn::Linear layer(256, 512);
  layer.to(kCUDA);
  const Tensor x = randn({64, 256}, gpu());
  layer(x).sum().backward();
  const Trace trace = profiled([&] { F::relu(layer(x)).sum().backward(); });
  TAUT_NEED_KERNELS(trace);
  ASSERT_FALSE(trace.device_events.empty());
  for (const DeviceEvent& event : trace.device_events) {
    EXPECT_GE(event.event, 0) << event.name << " belongs to no op";
    EXPECT_GT(event.duration(), 0) << event.name;
    EXPECT_GT(event.block[0], 0) << event.name;
  }
  const Averages ops = trace.key_averages();
  for (const char* name : {"linear", "relu", "sum", "linear_backward", "relu_backward"}) {
    ASSERT_NE(row(ops, name), nullptr) << name;
    EXPECT_GT(row(ops, name)->device_time_total, 0) << name;
  }
  EXPECT_EQ(row(ops, "linear")->flops, 2.0 * 64 * 256 * 512);
  EXPECT_GT(row(ops, "linear")->flops_share(), 0);
  EXPECT_LT(row(ops, "linear")->flops_share(), 1.05);
  const Averages modules = trace.key_averages(GroupBy::module);
  ASSERT_NE(row(modules, "Linear"), nullptr);
  EXPECT_GT(row(modules, "Linear")->device_time_total, row(ops, "linear")->device_time_total);
}

// A kernel begins after the call that launched it, and ends before the wait for it does.
TEST_F(CudaProfiler, BothSidesGoByOneClock) {
  const Tensor x = randn({4096, 4096}, gpu());
  matmul(x, x);
  cuda::synchronize();
  const Trace trace = profiled([&] {
    for (int i = 0; i < 5; ++i) {
      matmul(x, x);
      cuda::synchronize();
    }
  });
  TAUT_NEED_KERNELS(trace);
  constexpr int64_t kTolerance = 20'000;  // ns
  int64_t previous_end = 0;
  int products = 0;
  for (const Event& op : trace.events) {
    if (op.name != "matmul") continue;
    ++products;
    ASSERT_FALSE(op.device_events.empty());
    int64_t last_end = 0;
    for (const int position : op.device_events) {
      const DeviceEvent& kernel = trace.device_events[static_cast<size_t>(position)];
      EXPECT_GT(kernel.start, op.start - kTolerance) << kernel.name;
      // The product before was waited for.
      EXPECT_GE(kernel.start, previous_end) << kernel.name;
      EXPECT_LE(kernel.end, trace.duration + kTolerance) << kernel.name;
      last_end = std::max(last_end, kernel.end);
    }
    // The wait ends after the kernel does, and then comes the next call.
    EXPECT_GT(op.start + kTolerance, previous_end);
    previous_end = last_end;
  }
  EXPECT_EQ(products, 5);
}

TEST_F(CudaProfiler, KernelsOfGraphsBelongToTheReplay) {
  const Tensor x = randn({128, 128}, gpu());
  Tensor y;
  cuda::Graph graph;
  const auto compute = [&] { y = softmax(matmul(x, x).mul(2), -1); };
  compute();
  graph.capture(compute);
  graph.replay();
  const Trace trace = profiled([&] {
    graph.replay();
    graph.replay();
  });
  TAUT_NEED_KERNELS(trace);
  const Averages ops = trace.key_averages();
  const AverageRow* replay = row(ops, "cuda_graph.replay");
  ASSERT_NE(replay, nullptr);
  EXPECT_EQ(replay->count, 2);
  const auto of_graph = std::count_if(trace.device_events.begin(), trace.device_events.end(),
                                      [](const DeviceEvent& event) { return event.graph != 0; });
  EXPECT_GE(of_graph, 6);
  EXPECT_GT(replay->self_device_time_total, 0);
}

// What runs while a graph is captured must not end the capture.
TEST_F(CudaProfiler, GraphsMayBeCapturedInAProfile) {
  const Tensor x = randn({64, 64}, gpu());
  Tensor y;
  cuda::Graph graph;
  y = x * 2 + 1;
  const Trace trace = profiled(
      [&] {
        graph.capture([&] { y = x * 2 + 1; });
        graph.replay();
      },
      {.profile_memory = true});
  EXPECT_LT((y - (x * 2 + 1)).abs().max().item<float>(), 1e-6f);
}

TEST_F(CudaProfiler, CopiesAndFills) {
  const Tensor host = ones({1 << 20});
  host.to(kCUDA);
  const Trace trace = profiled([&] { host.to(kCUDA).cpu(); });
  TAUT_NEED_KERNELS(trace);
  int64_t bytes = 0;
  for (const DeviceEvent& event : trace.device_events) {
    if (event.kind == DeviceEvent::Kind::memcpy) bytes += event.bytes;
  }
  EXPECT_EQ(bytes, 2 * 4 * (1 << 20));
}

TEST_F(CudaProfiler, NothingIsLostInALongRecording) {
  const Tensor x = randn({32}, gpu());
  x.mul(2);
  constexpr int kRounds = 50'000;  // more records than a buffer holds
  const Trace trace = profiled([&] {
    for (int i = 0; i < kRounds; ++i) x.mul(2);
  });
  TAUT_NEED_KERNELS(trace);
  EXPECT_EQ(trace.device_events.size(), static_cast<size_t>(kRounds));
  EXPECT_EQ(row(trace.key_averages(), "mul")->count, kRounds);
}

TEST_F(CudaProfiler, WarmUpAndEarlierWorkAreLeftOut) {
  const Tensor x = randn({512, 512}, gpu());
  ProfileOptions options;
  options.schedule = schedule({.wait = 1, .warmup = 1, .active = 1, .repeat = 1});
  Profile profile(options);
  profile.start();
  for (int i = 0; i < 4; ++i) {
    x.exp();
    if (i == 2) x.sin();
    profile.step();
  }
  profile.stop();
  const Trace& trace = profile.trace();
  TAUT_NEED_KERNELS(trace);
  EXPECT_EQ(trace.device_events.size(), 2u);
}

TEST_F(CudaProfiler, ThreadsAndStreams) {
  const Trace trace = profiled([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([] {
        const cuda::StreamGuard guard(cuda::Stream::from_pool());
        const Tensor x = randn({64, 64}, gpu());
        for (int i = 0; i < 20; ++i) x.sin();
        cuda::synchronize();
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  TAUT_NEED_KERNELS(trace);
  std::vector<int64_t> streams;
  for (const Event& event : trace.events) {
    if (event.name != "sin") continue;
    ASSERT_EQ(event.device_events.size(), 1u);
    streams.push_back(trace.device_events[static_cast<size_t>(event.device_events[0])].stream);
  }
  EXPECT_EQ(streams.size(), 60u);
  std::sort(streams.begin(), streams.end());
  EXPECT_EQ(std::unique(streams.begin(), streams.end()) - streams.begin(), 3);
}

TEST_F(CudaProfiler, Memory) {
  Tensor kept;
  const Trace trace =
      profiled([&] { kept = zeros({1 << 20}, gpu()).exp(); }, {.profile_memory = true});
  int64_t sum = 0;
  for (const MemoryEvent& event : trace.memory_events) {
    if (event.device.is_cuda()) sum += event.bytes;
  }
  EXPECT_EQ(sum, 4 << 20);
  const MemoryPeak peak = trace.memory_peak(Device(DeviceType::cuda, 0));
  EXPECT_GE(peak.bytes, 8 << 20);
  int64_t held = 0;
  for (const MemoryHolder& holder : peak.holders) held += holder.bytes;
  EXPECT_EQ(held, peak.bytes);
}

TEST_F(CudaProfiler, PeaksAreThoseOfTheChip) {
  const cuda::DeviceProperties properties = cuda::device_properties();
  EXPECT_GT(properties.clock_rate, 5e8);
  EXPECT_GT(properties.memory_bandwidth, 5e10);
  EXPECT_GT(peak_flops(kCUDA, kBFloat16), peak_flops(kCUDA, kFloat32));
  std::printf("%s\n", peak_source(kCUDA).c_str());
}

TEST_F(CudaProfiler, TheTraceIsWritten) {
  const Tensor x = randn({64, 64}, gpu());
  const Trace trace = profiled([&] { matmul(x, x); });
  const std::string path = std::filesystem::temp_directory_path() / "taut_gpu_profile.json";
  trace.export_chrome_trace(path);
  EXPECT_GT(std::filesystem::file_size(path), 1000u);
  std::filesystem::remove(path);
}

TEST_F(CudaProfiler, NvtxRangesChangeNothing) {
  EXPECT_TRUE(has_nvtx());
  const EmitNvtx emit;
  const Tensor x = randn({8}, gpu()).requires_grad_();
  x.sin().sum().backward();
  EXPECT_TRUE(x.grad().defined());
}

}  // namespace
}  // namespace taut::profiler
