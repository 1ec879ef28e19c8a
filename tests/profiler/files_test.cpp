// The files and the table of a profile.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "src/profiler/trace_builder.h"
#include "taut/autograd/backward.h"
#include "taut/ops/ops.h"
#include "taut/profiler/profiler.h"

namespace taut::profiler {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ProfileFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "taut-profile-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const char* name) const { return folder_ / name; }
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  fs::path folder_;
};

constexpr const char* kAwkward = "a \"quoted\\ name\"\n\t\x01 \xff end";

Trace small_trace() {
  Profile profile({.record_shapes = true, .profile_memory = true});
  profile.start();
  {
    const RecordFunction range(kAwkward);
    const Tensor x = ones({8, 8}).requires_grad_();
    taut::exp(matmul(x, x)).sum().backward();
  }
  profile.stop();
  return profile.trace();
}

// A trace with a GPU, made by hand of what CUPTI would have told.
Trace gpu_trace() {
  Recording recording;
  Event op;
  op.name = "matmul";
  op.thread = 7;
  op.start = 1000;
  op.end = 5000;
  op.flops = 2e6;
  op.bytes = 3e3;
  Event inner = op;
  inner.name = "inner";
  inner.parent = 0;
  inner.start = 2000;
  inner.end = 3000;
  inner.flops = inner.bytes = 0;
  recording.events = {op, inner};
  recording.external_ids = {11, 12};
  recording.direct_bytes = {0, 0};
  recording.origin = 1'000'000;
  recording.duration = 50'000;
  CuptiRecording gpus;
  const auto launch = [&](const char* name, int64_t start, uint32_t correlation) {
    LaunchEvent event;
    event.name = name;
    event.start = recording.origin + start;
    event.end = event.start + 100;
    event.thread = 99;
    event.correlation = correlation;
    gpus.launches.push_back(event);
  };
  const auto run = [&](const char* name, DeviceEvent::Kind kind, int64_t start, int64_t duration,
                       uint32_t correlation) {
    DeviceEvent event;
    event.name = name;
    event.kind = kind;
    event.start = recording.origin + start;
    event.end = event.start + duration;
    event.stream = 3;
    event.correlation = correlation;
    event.bytes = kind == DeviceEvent::Kind::kernel ? 0 : 4096;
    gpus.device_events.push_back(event);
  };
  launch("cuLaunchKernelEx", 1500, 1);
  launch("cudaMemcpyAsync", 2500, 2);
  launch("cudaGraphLaunch", 4000, 3);
  launch("cuLaunchKernelEx", -500, 4);  // before the recording
  run("gemm<float>", DeviceEvent::Kind::kernel, 6000, 2000, 1);
  run("Memcpy HtoD", DeviceEvent::Kind::memcpy, 9000, 500, 2);
  run("node", DeviceEvent::Kind::kernel, 9500, 250, 3);
  run("node", DeviceEvent::Kind::kernel, 9800, 250, 3);
  run("early", DeviceEvent::Kind::kernel, 100, 100, 4);
  run("nobody's", DeviceEvent::Kind::kernel, 20'000, 100, 5);
  gpus.external_ids = {{1, 11}, {2, 12}, {3, 11}};
  return build_trace(std::move(recording), std::move(gpus));
}

TEST_F(ProfileFiles, ChromeTraceIsJsonWhateverNamesHold) {
  small_trace().export_chrome_trace(path("trace.json"));
  const json trace = json::parse(text_of(path("trace.json")));
  std::map<std::string, int> categories;
  bool is_found = false;
  for (const json& event : trace.at("traceEvents")) {
    ++categories[event.value("cat", event.at("ph").get<std::string>())];
    if (event.at("ph") == "X") {
      EXPECT_GE(event.at("ts").get<double>(), 0);
      EXPECT_GE(event.at("dur").get<double>(), 0);
    }
    is_found = is_found || event.at("name") == "a \"quoted\\ name\"\n\t\x01 \xef\xbf\xbd end";
  }
  EXPECT_TRUE(is_found);
  EXPECT_GT(categories["cpu_op"], 4);
  EXPECT_EQ(categories["user_annotation"], 1);
  EXPECT_GT(categories["C"], 2);           // memory
  EXPECT_EQ(categories["fwdbwd"], 2 * 3);  // both ends of each arrow
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(ProfileFiles, ChromeTraceShowsGpus) {
  gpu_trace().export_chrome_trace(path("trace.json"));
  const json trace = json::parse(text_of(path("trace.json")));
  std::set<int64_t> starts, ends;
  std::map<std::string, json> bars;
  for (const json& event : trace.at("traceEvents")) {
    if (event.at("ph") == "s") starts.insert(event.at("id").get<int64_t>());
    if (event.at("ph") == "f") ends.insert(event.at("id").get<int64_t>());
    if (event.at("ph") == "X") bars[event.at("name")] = event;
  }
  EXPECT_EQ(starts.size(), 4u);
  EXPECT_EQ(starts, ends);
  const json& kernel = bars.at("gemm<float>");
  EXPECT_EQ(kernel.at("cat"), "kernel");
  EXPECT_EQ(kernel.at("pid"), 0);
  EXPECT_EQ(kernel.at("tid"), 3);
  EXPECT_DOUBLE_EQ(kernel.at("ts").get<double>(), 6.0);
  EXPECT_DOUBLE_EQ(kernel.at("dur").get<double>(), 2.0);
  EXPECT_EQ(kernel.at("args").at("Op"), "matmul");
  EXPECT_EQ(bars.at("Memcpy HtoD").at("cat"), "gpu_memcpy");
  EXPECT_EQ(bars.at("cudaGraphLaunch").at("cat"), "cuda_runtime");
  EXPECT_EQ(bars.at("cuLaunchKernelEx").at("cat"), "cuda_driver");
  EXPECT_FALSE(bars.contains("early"));
}

TEST_F(ProfileFiles, KernelsBelongToTheirOps) {
  const Trace trace = gpu_trace();
  ASSERT_EQ(trace.device_events.size(), 5u);
  EXPECT_EQ(trace.launches.size(), 3u);
  EXPECT_EQ(trace.launches[0].thread, 7);  // the op's, not CUPTI's
  const Averages ops = trace.key_averages();
  ASSERT_EQ(ops.rows.size(), 2u);
  EXPECT_EQ(ops.rows[0].name, "matmul");
  EXPECT_EQ(ops.rows[0].device_time_total, 2000 + 500 + 250 + 250);
  EXPECT_EQ(ops.rows[0].self_device_time_total, 2000 + 250 + 250);
  EXPECT_EQ(ops.rows[1].self_device_time_total, 500);
  EXPECT_EQ(ops.self_device_time_total, 3100);
  EXPECT_DOUBLE_EQ(ops.rows[0].flops_per_second(), 2e6 / 3000e-9);
  const Averages kernels = trace.key_averages(GroupBy::kernel);
  EXPECT_EQ(kernels.rows.size(), 4u);
  EXPECT_EQ(kernels.rows[2].name, "node");
  EXPECT_EQ(kernels.rows[2].count, 2);
}

TEST_F(ProfileFiles, CompressedTracesAreTheSame) {
  const Trace trace = small_trace();
  trace.export_chrome_trace(path("trace.json"));
  try {
    trace.export_chrome_trace(path("trace.json.gz"));
  } catch (const NotImplementedError&) {
    GTEST_SKIP() << "this build has no zlib";
  }
  const std::string command = "gzip -dc " + path("trace.json.gz") + " > " + path("unpacked.json");
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_EQ(text_of(path("unpacked.json")), text_of(path("trace.json")));
}

TEST_F(ProfileFiles, MemoryTimelines) {
  const Trace trace = small_trace();
  trace.export_memory_timeline(path("memory.json"));
  const json rows = json::parse(text_of(path("memory.json")));
  ASSERT_EQ(rows.size(), trace.memory_events.size());
  EXPECT_EQ(rows[0].at("device"), "cpu");
  EXPECT_EQ(rows[0].at("bytes").get<int64_t>(), trace.memory_events[0].bytes);
  trace.export_memory_timeline(path("memory.csv"));
  std::istringstream csv(text_of(path("memory.csv")));
  std::string line;
  std::getline(csv, line);
  EXPECT_EQ(line, "time_us,device,bytes,allocated,op,module,address");
  EXPECT_THROW(gpu_trace().export_memory_timeline(path("none.csv")), ValueError);
  EXPECT_THROW(trace.export_chrome_trace(path("no/such/folder.json")), IoError);
}

TEST_F(ProfileFiles, TablesSortAndCut) {
  const Averages averages = small_trace().key_averages();
  const std::string all = averages.table({.row_limit = -1});
  for (const char* text : {"Name", "Self CPU %", "# of Calls", "FLOP/s", "matmul", "exp_backward",
                           "Self CPU time total"}) {
    EXPECT_NE(all.find(text), std::string::npos) << text << "\n" << all;
  }
  EXPECT_EQ(all.find("Self CUDA"), std::string::npos) << all;
  const std::string one = averages.table({.sort_by = "flops", .row_limit = 2});
  EXPECT_NE(one.find("matmul"), std::string::npos) << one;
  EXPECT_EQ(one.find("exp"), std::string::npos) << one;
  const std::string narrow = averages.table({.max_name_column_width = 6});
  EXPECT_NE(narrow.find("mat..."), std::string::npos) << narrow;
  EXPECT_THROW(averages.table({.sort_by = "color"}), ValueError);
  const std::string gpu = gpu_trace().key_averages().table();
  EXPECT_NE(gpu.find("Self CUDA"), std::string::npos) << gpu;
}

TEST_F(ProfileFiles, ShapesMakeRowsOfTheirOwn) {
  Profile profile({.record_shapes = true});
  profile.start();
  for (const int64_t size : {2, 3, 3}) taut::exp(ones({size}));
  profile.stop();
  const Averages averages = profile.trace().key_averages(GroupBy::op, true);
  std::map<std::string, int64_t> counts;
  for (const AverageRow& row : averages.rows) {
    if (row.name == "exp") counts[row.input_shapes] = row.count;
  }
  EXPECT_EQ(counts, (std::map<std::string, int64_t>{{"[[2]]", 1}, {"[[3]]", 2}}));
}

}  // namespace
}  // namespace taut::profiler
