#include "taut/io/safetensors.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include "taut/taut.h"

namespace taut {
namespace {

namespace fs = std::filesystem;

class SafetensorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "taut-io-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    fs::permissions(folder_, fs::perms::owner_all);
    fs::remove_all(folder_);
  }
  std::string path(const char* name = "file.safetensors") const { return folder_ / name; }
  size_t files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  void write(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  std::string read() const {
    std::ifstream file(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  fs::path folder_;
};

std::string with_length(const std::string& header, const std::string& data = {}) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
  return bytes + header + data;
}

StateDict one_of_each() {
  StateDict state;
  for (DType dtype :
       {kBool, kUInt8, kInt8, kInt16, kInt32, kInt64, kFloat16, kBFloat16, kFloat32, kFloat64}) {
    state.insert(std::string(name(dtype)),
                 tensor({1.0, 0.0, 1.0, 1.0, 0.0, 1.0}).view({2, 3}).to(dtype));
  }
  state.insert("scalar", tensor(3.5));
  state.insert("empty", empty({0, 4}));
  state.insert("turned", arange(6).view({2, 3}).t());
  state.insert("a \"quoted\" name\n\u00e9", ones({1}));
  return state;
}

TEST_F(SafetensorsTest, ComesBackAsItWas) {
  const StateDict state = one_of_each();
  save(state, path(), {{"format", "pt"}, {"note", "\"hi\"\n"}});
  Metadata metadata;
  const StateDict loaded = load(path(), metadata);
  EXPECT_EQ(loaded.keys(), state.keys());
  for (const auto& [key, tensor] : state) {
    EXPECT_EQ(loaded.at(key).dtype(), tensor.dtype()) << key;
    EXPECT_EQ(loaded.at(key).shape(), tensor.shape()) << key;
    EXPECT_TRUE(equal(loaded.at(key), tensor)) << key;
  }
  EXPECT_EQ(metadata, (Metadata{{"format", "pt"}, {"note", "\"hi\"\n"}}));
  EXPECT_EQ(files(), 1u);
  EXPECT_THROW(save(StateDict{{"x", Tensor()}}, path()), ValueError);
  EXPECT_THROW(save(StateDict{{"__metadata__", ones({1})}}, path()), ValueError);
}

TEST_F(SafetensorsTest, SavesModules) {
  const nn::Sequential model(nn::Linear(3, 4), nn::BatchNorm1d(4));
  save(model, path());
  nn::Sequential other(nn::Linear(3, 4), nn::BatchNorm1d(4));
  other.load_state_dict(load(path()));
  EXPECT_TRUE(equal(model.state_dict().at("0.weight"), other.state_dict().at("0.weight")));
}

TEST_F(SafetensorsTest, AWriteStaysInMemory) {
  save(StateDict{{"x", ones({1000})}}, path());
  const std::string before = read();
  const Tensor x = load(path()).at("x");
  x.fill_(7);
  EXPECT_EQ(x.sum().item<double>(), 7000.0);
  EXPECT_EQ(read(), before);
}

TEST_F(SafetensorsTest, TheFileMayBeReplacedWhileLoaded) {
  save(StateDict{{"x", ones({100000})}}, path());
  const Tensor x = load(path()).at("x");
  save(StateDict{{"x", zeros({2})}}, path());
  EXPECT_EQ(x.sum().item<double>(), 100000.0);
}

TEST_F(SafetensorsTest, SaysWhatIsMissing) {
  try {
    load(path("nothing"));
    FAIL();
  } catch (const IoError& error) {
    EXPECT_EQ(error.what(), "load: cannot open " + path("nothing") + ": No such file or directory");
  }
  EXPECT_THROW(load(folder_.string()), IoError);
  EXPECT_THROW(save(one_of_each(), path("no/such/folder")), IoError);
}

const char* const kEntry = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";

TEST_F(SafetensorsTest, RefusesBadFiles) {
  const std::string four(4, '\0');
  const auto object = [](const std::string& inside) { return "{" + inside + "}"; };
  const auto described = [&](const std::string& entry) {
    return with_length("{\"a\":" + entry + "}", "1234");
  };
  struct Case {
    std::string bytes;
    const char* problem;
  };
  const Case cases[] = {
      {"", "too short"},
      {"1234567", "too short"},
      {std::string("\xff\xff\xff\xff\xff\xff\xff\xff{}", 10), "at most 100000000"},
      {std::string("\x00\xe1\xf5\x05\x01\x00\x00\x00{}", 10), "at most"},
      {std::string("\x03\x00\x00\x00\x00\x00\x00\x00{}", 10), "in a file of 10"},
      {std::string(8, '\0'), "does not begin with {"},
      {with_length(" {}"), "does not begin with {"},
      {with_length("[]"), "does not begin with {"},
      {with_length("{"), "no JSON"},
      {with_length("{}x"), "no JSON"},
      {with_length("{\"a\":NaN}"), "no JSON"},
      {with_length("{\"\xff\":1}"), "no JSON"},
      {with_length(object(std::string(kEntry) + "," + kEntry), four), "comes twice"},
      {with_length("{\"__metadata__\":{\"a\":\"b\",\"a\":\"b\"}}"), "comes twice"},
      {with_length("{\"__metadata__\":{\"a\":1}}"), "no string"},
      {with_length("{\"__metadata__\":[]}"), "no object"},
      {with_length(std::string(100000, '[')), "does not begin with {"},
      {with_length("{\"a\":" + std::string(100000, '[') + "}"), "nested deeper"},
      {with_length("{\"a\":" + std::string(100000, '{') + "}"), ""},
      {described("1"), "not described"},
      {described(R"({"dtype":"F32","shape":[1]})"), "not described"},
      {described(R"({"dtype":"F32","shape":[1],"offsets":[0,4]})"), "not described"},
      {described(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})"), "not described"},
      {described(R"({"dtype":"Q4","shape":[1],"data_offsets":[0,4]})"), "unknown dtype \"Q4\""},
      {described(R"({"dtype":4,"shape":[1],"data_offsets":[0,4]})"), "no string"},
      {described(R"({"dtype":"F32","shape":1,"data_offsets":[0,4]})"), "no list"},
      {described(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})"), "no number"},
      {described(R"({"dtype":"F32","shape":[1.0],"data_offsets":[0,4]})"), "no number"},
      {described(R"({"dtype":"F32","shape":["1"],"data_offsets":[0,4]})"), "no number"},
      {described(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"), "dims"},
      {described(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]})"),
       "list of more than"},
      {described(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]})"),
       "too large"},
      {described(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})"),
       "too large"},
      {described(R"({"dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0]})"),
       "too large"},
      {described(R"({"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,4]})"),
       "too large"},
      {described(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})"),
       "expected 8 for F32 of shape (2,)"},
      {described(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})"), "ends before"},
      {described(R"({"dtype":"F32","shape":[1],"data_offsets":[0]})"), "two numbers"},
      {described(R"({"dtype":"F32","shape":[1],"data_offsets":[-4,0]})"), "two numbers"},
      {described(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), "from byte 4; expected 0"},
      {with_length(object(kEntry)), "4 bytes and 0 bytes of data"},
      {with_length(object(kEntry), "12345"), "4 bytes and 5 bytes of data"},
      {with_length("{}", "1"), "0 bytes and 1 bytes of data"},
      {with_length(
           object(std::string(kEntry) + R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})"),
           four),
       "from byte 0; expected 4"},
      {with_length(object(std::string(kEntry) +
                          R"(,"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]})"),
                   four + four + four),
       "from byte 8; expected 4"},
  };
  for (const Case& c : cases) {
    write(c.bytes);
    try {
      load(path());
      ADD_FAILURE() << "accepted; expected: " << c.problem;
    } catch (const FormatError& error) {
      EXPECT_NE(std::string(error.what()).find(c.problem), std::string::npos)
          << error.what() << " / " << c.problem;
      EXPECT_NE(std::string(error.what()).find(path()), std::string::npos);
    }
  }
  write(with_length(object(kEntry), four));
  EXPECT_EQ(load(path()).at("a").item<double>(), 0.0);
  write(with_length("{}"));
  EXPECT_TRUE(load(path()).empty());
}

TEST_F(SafetensorsTest, ReadsElementsAtOddPlacesAndOddBools) {
  const std::string header = R"({"b":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3]},)"
                             R"("x":{"dtype":"I32","shape":[1],"data_offsets":[3,7]}})";
  write(with_length(header, std::string("\x00\x01\x07\x2a\x00\x00\x00", 7)));
  const StateDict state = load(path());
  EXPECT_EQ(state.at("x").item<int64_t>(), 42);
  EXPECT_EQ(state.at("b").sum().item<int64_t>(), 2);
}

TEST_F(SafetensorsTest, MutatedFilesAreReadOrRefused) {
  save(one_of_each(), path(), {{"k", "v"}});
  const std::string good = read();
  std::mt19937_64 rng(20240229);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1500);
  const char interesting[] = {'{', '}', '[', ']', '"', ',', ':', '0', '9', '-', '\\', '\0', '\xff'};
  int refused = 0;
  for (int round = 0; round < 20000 && std::chrono::steady_clock::now() < end; ++round) {
    std::string bad = good;
    for (uint64_t i = rng() % 4 + 1; i > 0 && !bad.empty(); --i) {
      const size_t at = rng() % bad.size();
      switch (rng() % 5) {
        case 0: bad[at] = static_cast<char>(rng()); break;
        case 1: bad[at] = interesting[rng() % sizeof(interesting)]; break;
        case 2: bad.erase(at, rng() % 9); break;
        case 3: bad.insert(at, bad.substr(rng() % bad.size(), rng() % 9)); break;
        default: bad.resize(at + 1); break;
      }
    }
    write(bad);
    try {
      // What is accepted must be readable to its last byte.
      for (const auto& [key, tensor] : load(path())) {
        if (tensor.numel() > 0) tensor.to(kFloat64).sum();
      }
    } catch (const FormatError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 0);
}

// Runs `body` in a child process; true when it ended by itself with status 0.
template <class Body>
bool in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    int status = 1;
    try {
      status = body();
    } catch (...) {
    }
    _exit(status);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(SafetensorsTest, AKilledSaveLeavesTheOldFileWhole) {
  save(StateDict{{"x", ones({1000})}}, path());
  const Tensor big = ones({1 << 20});
  for (int delay : {0, 200, 500, 1000, 2000, 4000}) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) save(StateDict{{"x", big}}, path());
    }
    usleep(static_cast<useconds_t>(delay));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const Tensor x = load(path()).at("x");
    EXPECT_EQ(x.sum().item<double>(), static_cast<double>(x.numel()));
  }
}

TEST_F(SafetensorsTest, AFullDiskLeavesTheOldFileAlone) {
  save(StateDict{{"x", ones({10})}}, path());
  const std::string before = read();
  const Tensor big = ones({1 << 20});
  EXPECT_TRUE(in_child([&] {
    // A limit on the size of files fails a write as a full disk does.
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100000, 100000};
    setrlimit(RLIMIT_FSIZE, &limit);
    try {
      save(StateDict{{"x", big}}, path());
    } catch (const IoError& error) {
      return std::string(error.what()) == "save: cannot write " + path() + ": File too large" ? 0
                                                                                              : 2;
    }
    return 3;
  }));
  EXPECT_EQ(read(), before);
  EXPECT_EQ(files(), 1u);
}

TEST_F(SafetensorsTest, AReadOnlyFolderIsAnIoError) {
  fs::permissions(folder_, fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_TRUE(in_child([&] {
    if (geteuid() == 0 && setuid(65534) != 0) return 4;  // root may write everywhere
    try {
      save(StateDict{{"x", ones({1})}}, path());
    } catch (const IoError& error) {
      return std::string(error.what()).find("Permission denied") != std::string::npos ? 0 : 2;
    }
    return 3;
  }));
}

TEST_F(SafetensorsTest, HoldsAnOptimizer) {
  nn::Linear layer(2, 2);
  optim::AdamW optimizer(layer.parameters(), {.lr = 0.25});
  layer(ones({1, 2})).sum().backward();
  optimizer.step();
  save(optim::to_tensors(optimizer.state_dict()), path());
  optim::AdamW other(layer.parameters());
  other.load_state_dict(optim::from_tensors(load(path())));
  EXPECT_EQ(other.param_groups()[0].options.number("lr"), 0.25);
  EXPECT_TRUE(equal(other.state_of(layer.weight).tensor("exp_avg"),
                    optimizer.state_of(layer.weight).tensor("exp_avg")));
}

}  // namespace
}  // namespace taut
