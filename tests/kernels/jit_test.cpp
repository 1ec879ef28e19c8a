// Code compiled at run time: signatures, architectures, the cache on the disk, and NVRTC itself
// where it is installed; none of it needs a GPU.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "kernels/jit/code_cache.h"
#include "kernels/jit/compile.h"
#include "kernels/jit/signature.h"
#include "taut/base/check.h"

namespace taut::kernels::jit {
namespace {

namespace fs = std::filesystem;

// An empty folder, gone at the end of the test.
class Folder {
 public:
  Folder() {
    std::string name = fs::temp_directory_path() / "taut-jit-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }
  std::string path() const { return path_; }

 private:
  fs::path path_;
};

// Sets a variable of the environment for a scope; null unsets it.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    if (before != nullptr) before_ = before;
    was_set_ = before != nullptr;
    set(value);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { set(was_set_ ? before_.c_str() : nullptr); }

 private:
  void set(const char* value) {
    if (value == nullptr) {
      unsetenv(name_);
    } else {
      setenv(name_, value, 1);
    }
  }
  const char* name_;
  std::string before_;
  bool was_set_ = false;
};

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// ---- signatures -------------------------------------------------------------------------------

TEST(JitSignature, TellsPointersFromNumbers) {
  const auto parameters = parse_signature(
      "f",
      "void (*)(float const*, __half*, void const*, float**, int const volatile*, unsigned char, "
      "bool, long long, double, my::Pair<int, float>, __nv_bfloat16)");
  ASSERT_EQ(parameters.size(), 11u);
  EXPECT_EQ(parameters[0].type, "float const*");
  EXPECT_EQ(parameters[0].kind, ParameterKind::pointer);
  EXPECT_TRUE(parameters[0].is_const);
  EXPECT_EQ(parameters[0].number.kind, ParameterKind::floating);
  EXPECT_FALSE(parameters[1].is_const);
  EXPECT_EQ(parameters[1].number.kind, ParameterKind::half);
  EXPECT_TRUE(parameters[2].is_const);
  EXPECT_EQ(parameters[2].number.kind, ParameterKind::other);
  EXPECT_EQ(parameters[3].kind, ParameterKind::pointer);
  EXPECT_EQ(parameters[3].number.kind, ParameterKind::other);
  EXPECT_TRUE(parameters[4].is_const);
  EXPECT_EQ(parameters[4].number.bytes, 4u);
  EXPECT_EQ(parameters[5].kind, ParameterKind::integer);
  EXPECT_FALSE(parameters[5].number.is_signed);
  EXPECT_EQ(parameters[6].kind, ParameterKind::boolean);
  EXPECT_EQ(parameters[7].number.bytes, 8u);
  EXPECT_EQ(parameters[8].number.bytes, 8u);
  EXPECT_EQ(parameters[9].type, "my::Pair<int, float>");
  EXPECT_EQ(parameters[9].kind, ParameterKind::other);
  EXPECT_EQ(parameters[10].kind, ParameterKind::bfloat16);
}

TEST(JitSignature, MayBeEmptyAndMustReturnNothing) {
  EXPECT_TRUE(parse_signature("f", "void (*)()").empty());
  EXPECT_THROW(parse_signature("f", "int (*)(float)"), ValueError);
  EXPECT_THROW(parse_signature("f", ""), ValueError);
}

TEST(JitArchitecture, IsTheGpusOrTheNewestThatItRuns) {
  EXPECT_EQ(architecture_for(90, {75, 80, 90, 100}), "sm_90");
  EXPECT_EQ(architecture_for(89, {75, 80, 90}), "compute_80");
  EXPECT_EQ(architecture_for(120, {75, 80, 90}), "compute_90");
  EXPECT_THROW(architecture_for(50, {75, 80}), DeviceError);
}

// ---- the cache --------------------------------------------------------------------------------

const CompiledCode kCode{std::string("\x7f"
                                     "ELF\0code",
                                     9),
                         "_Z1fv", "void (*)()"};

TEST(JitCache, GivesBackWhatWasStored) {
  const Folder folder;
  const CodeCache cache(folder.path() + "/a/b");  // made when it is needed
  EXPECT_FALSE(cache.load("key"));
  cache.store("key", kCode);
  const auto found = cache.load("key");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->image, kCode.image);
  EXPECT_EQ(found->symbol, kCode.symbol);
  EXPECT_EQ(found->pointer, kCode.pointer);
  EXPECT_FALSE(cache.load("kez"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path() + "/a/b"), {}), 1);
}

TEST(JitCache, TakesDamagedFilesForAbsentOnes) {
  const Folder folder;
  const CodeCache cache(folder.path());
  cache.store("key", kCode);
  const std::string path = cache.path_of("key");
  const std::string good = bytes_of(path);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string flipped = good;
    flipped[i] = static_cast<char>(flipped[i] ^ 0x20);
    write_bytes(path, flipped);
    EXPECT_FALSE(cache.load("key")) << "byte " << i;
    write_bytes(path, good.substr(0, i));
    EXPECT_FALSE(cache.load("key")) << "the first " << i << " bytes";
  }
  write_bytes(path, good + "x");
  EXPECT_FALSE(cache.load("key"));
  cache.store("key", kCode);
  EXPECT_TRUE(cache.load("key"));
}

TEST(JitCache, KeepsTheKeyItself) {
  const Folder folder;
  const CodeCache cache(folder.path());
  cache.store("one", kCode);
  fs::rename(cache.path_of("one"), cache.path_of("two"));  // as if their hashes were the same
  EXPECT_FALSE(cache.load("two"));
}

TEST(JitCache, DoesWithoutAFolder) {
  const CodeCache none("");
  none.store("key", kCode);
  EXPECT_FALSE(none.load("key"));
  const Folder folder;
  write_bytes(folder.path() + "/file", "");
  const CodeCache cannot(folder.path() + "/file/kernels");
  cannot.store("key", kCode);
  EXPECT_FALSE(cannot.load("key"));
}

TEST(JitCache, IsWhereTheEnvironmentSays) {
  const Environment home("HOME", "/own");
  {
    const Environment chosen("TAUT_CACHE_DIR", "/chosen");
    EXPECT_EQ(CodeCache::folder(), "/chosen/kernels");
  }
  {
    const Environment off("TAUT_CACHE_DIR", "");
    EXPECT_EQ(CodeCache::folder(), "");
  }
  const Environment chosen("TAUT_CACHE_DIR", nullptr);
  {
    const Environment xdg("XDG_CACHE_HOME", "/xdg");
    EXPECT_EQ(CodeCache::folder(), "/xdg/taut/kernels");
  }
  const Environment xdg("XDG_CACHE_HOME", nullptr);
  EXPECT_EQ(CodeCache::folder(), "/own/.cache/taut/kernels");
  const Environment homeless("HOME", nullptr);
  EXPECT_EQ(CodeCache::folder(), "");
}

TEST(JitCache, IsSharedByProcesses) {
  const Folder folder;
  const CodeCache cache(folder.path());
  const CompiledCode large{std::string(1 << 20, 'x'), "symbol", "void (*)()"};
  std::vector<pid_t> children;
  for (int child = 0; child < 4; ++child) {
    const pid_t id = fork();
    if (id == 0) {
      for (int round = 0; round < 10; ++round) cache.store("key", large);
      _exit(0);
    }
    children.push_back(id);
  }
  // Whatever is there is whole.
  for (int round = 0; round < 100; ++round) {
    if (fs::exists(cache.path_of("key"))) {
      EXPECT_TRUE(cache.load("key"));
    }
  }
  for (const pid_t id : children) waitpid(id, nullptr, 0);
  EXPECT_TRUE(cache.load("key"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

// ---- the compiler -----------------------------------------------------------------------------

class JitCompile : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_compiler()) GTEST_SKIP() << "no NVRTC";
    try {
      compiled({"#include <cuda_fp16.h>\n__global__ void f() {}", "f", {"-I."}, "sm_90"});
    } catch (const CudaError&) {
      GTEST_SKIP() << "NVRTC without the headers of the toolkit";
    }
  }
  const Folder folder_;
  const Environment environment_{"TAUT_CACHE_DIR", folder_.path().c_str()};
};

constexpr const char* kSource = R"(#include <cuda_fp16.h>
extern "C" __global__ void plain(const float* __restrict__ x, float* y, const int n) {}
template <class T> struct Other { using type = T*; };
template <class T> __global__ void typed(typename Other<T>::type x, int64_t n, T a) {}
namespace inner { __global__ void nothing() {} }
)";

std::string pointer_of(const char* name) { return compiled({kSource, name, {}, "sm_90"}).pointer; }

TEST_F(JitCompile, SpellsTheTypesOfParameters) {
  EXPECT_EQ(pointer_of("plain"), "void (*)(float const*, float*, int)");
  EXPECT_EQ(pointer_of("typed<__half>"), "void (*)(__half*, long long, __half)");
  EXPECT_EQ(pointer_of("inner::nothing"), "void (*)()");
  EXPECT_EQ(compiled({kSource, "plain", {}, "sm_90"}).symbol, "plain");
}

TEST_F(JitCompile, GivesMachineCodeOrPtx) {
  const std::string cubin = compiled({kSource, "plain", {}, "sm_90"}).image;
  EXPECT_EQ(cubin.substr(0, 4),
            "\x7f"
            "ELF");
  const std::string ptx = compiled({kSource, "plain", {}, "compute_80"}).image;
  EXPECT_NE(ptx.find(".target sm_80"), std::string::npos);
  EXPECT_EQ(ptx.back(), '\0');
}

TEST_F(JitCompile, TellsErrorsByTheLinesOfTheSource) {
  try {
    compiled({"\n\n__global__ void f(int n) { wrong(n); }", "f", {}, "sm_90"});
    FAIL();
  } catch (const CudaError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("kernel f: NVRTC"), std::string::npos) << text;
    EXPECT_NE(text.find("sm_90"), std::string::npos) << text;
    EXPECT_NE(text.find("f.cu(3): error: identifier \"wrong\" is undefined"), std::string::npos)
        << text;
  }
  EXPECT_THROW(compiled({kSource, "absent", {}, "sm_90"}), CudaError);
  EXPECT_THROW(compiled({kSource, "plain", {"--no-such-option"}, "sm_90"}), CudaError);
}

TEST_F(JitCompile, TakesOptions) {
  const char* source = "__global__ void f(int x) { static_assert(LIMIT == 3); }";
  EXPECT_EQ(compiled({source, "f", {"-DLIMIT=3"}, "sm_90"}).pointer, "void (*)(int)");
  EXPECT_THROW(compiled({source, "f", {"-DLIMIT=4"}, "sm_90"}), CudaError);
  const char* standard =
      "#include <cuda/std/array>\n#include <cuda/std/cstdint>\n"
      "__global__ void f(cuda::std::array<int64_t, 2> x) {}";
  EXPECT_NE(compiled({standard, "f", {}, "sm_90"}).pointer.find("array<long long, "),
            std::string::npos);
  const char* old = "__global__ void f() { static_assert(__cplusplus == 201703L); }";
  compiled({old, "f", {"--std=c++17"}, "sm_90"});
}

TEST_F(JitCompile, IsDoneOnceInAProcessAndKeptOnTheDisk) {
  const CompileRequest request{kSource, "plain", {"-DIS_KEPT"}, "sm_90"};
  const CompiledCode& first = compiled(request);
  EXPECT_EQ(&first, &compiled(request));
  const std::string kernels = folder_.path() + "/kernels";
  ASSERT_EQ(std::distance(fs::directory_iterator(kernels), {}), 1);
  EXPECT_NE(&first, &compiled({kSource, "plain", {"-DIS_KEPT"}, "sm_80"}));
  EXPECT_EQ(std::distance(fs::directory_iterator(kernels), {}), 2);
}

TEST_F(JitCompile, KeepsNothingThatReadsOtherFiles) {
  const std::string option = "-I" + folder_.path();
  write_bytes(folder_.path() + "/size.h", "constexpr int kSize = 3;");
  const char* source = "#include <size.h>\n__global__ void f() { static_assert(kSize == 3); }";
  compiled({source, "f", {option}, "sm_90"});
  EXPECT_FALSE(fs::exists(folder_.path() + "/kernels"));
}

}  // namespace
}  // namespace taut::kernels::jit
