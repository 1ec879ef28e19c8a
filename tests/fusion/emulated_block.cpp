#include "tests/fusion/emulated_block.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "src/fusion/sources.h"
#include "taut/base/check.h"

namespace taut::fusion {
namespace {

namespace fs = std::filesystem;

// What CUDA gives a kernel. Threads are contexts of one thread of the host: each runs until it
// waits, for its warp or for the block.
constexpr const char* kDevice = R"cpp(
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>
#include <ucontext.h>
#define __device__
#define __host__
#define __global__
#define __shared__ static
#define __grid_constant__
#define __launch_bounds__(...)
  namespace emulated {
  struct Dim3 {
    unsigned x = 0, y = 0, z = 0;
  };
  enum State { running, at_warp, at_block, done };
  struct Thread {
    ucontext_t context;
    std::vector<char> stack;
    State state;
  };
  inline ucontext_t scheduler;
  inline std::vector<Thread> threads;
  inline unsigned current;
  inline unsigned long long slots[1024];
  inline void wait(State state) {
    threads[current].state = state;
    swapcontext(&threads[current].context, &scheduler);
  }
  }  // namespace emulated
  static thread_local emulated::Dim3 threadIdx, blockIdx, gridDim;
  inline void __syncthreads() { emulated::wait(emulated::at_block); }
  template <class T>
  T __shfl_xor_sync(unsigned, T value, int step) {
    const unsigned self = emulated::current;
    std::memcpy(&emulated::slots[self], &value, sizeof(value));
    emulated::wait(emulated::at_warp);
    T other;
    std::memcpy(&other, &emulated::slots[self ^ step], sizeof(other));
    emulated::wait(emulated::at_warp);
    return other;
  }
  namespace emulated {
  inline void (*body)(const void*);
  inline const void* argument;
  inline void enter() {
    body(argument);
    threads[current].state = done;
    swapcontext(&threads[current].context, &scheduler);
  }
  // A group that waits together goes on together; those that are done are not waited for.
  inline bool release(unsigned begin, unsigned end, State state) {
    bool any = false;
    for (unsigned i = begin; i < end; ++i) {
      if (threads[i].state == done) continue;
      if (threads[i].state != state) return false;
      any = true;
    }
    for (unsigned i = begin; i < end && any; ++i) {
      if (threads[i].state != done) threads[i].state = running;
    }
    return any;
  }
  inline bool run_block(unsigned count) {
    threads.resize(count);
    for (unsigned i = 0; i < count; ++i) {
      threads[i].stack.resize(1 << 16);
      getcontext(&threads[i].context);
      threads[i].context.uc_stack.ss_sp = threads[i].stack.data();
      threads[i].context.uc_stack.ss_size = threads[i].stack.size();
      threads[i].context.uc_link = &scheduler;
      makecontext(&threads[i].context, enter, 0);
      threads[i].state = running;
    }
    for (;;) {
      bool moved = false, left = false;
      for (unsigned i = 0; i < count; ++i) {
        if (threads[i].state != running) continue;
        moved = true;
        current = i;
        threadIdx.x = i;
        swapcontext(&scheduler, &threads[i].context);
      }
      for (unsigned first = 0; first < count; first += 32) {
        moved |= release(first, first + 32 < count ? first + 32 : count, at_warp);
      }
      moved |= release(0, count, at_block);
      for (unsigned i = 0; i < count; ++i) left |= threads[i].state != done;
      if (!left) return true;
      if (!moved) return false;  // threads wait for others that never come
    }
  }
  }  // namespace emulated
)cpp";

}  // namespace

std::string joined_source(const std::vector<KernelCode>& kernels) {
  std::set<kernels::Pointwise> all;
  for (int op = 0; op < kernels::kPointwiseCount; ++op) {
    all.insert(static_cast<kernels::Pointwise>(op));
  }
  std::string text = prelude(all);
  const std::string opening = "namespace taut::kernels::fusion {";
  for (size_t i = 0; i < kernels.size(); ++i) {
    std::string own = kernels[i].kernel;
    own.replace(own.find(opening), opening.size(),
                concat("namespace taut::kernels::fusion::k", i, " {"));
    text += own;
  }
  return text;
}

EmulatedKernels::EmulatedKernels(const std::vector<KernelCode>& kernels) {
  std::string name = fs::temp_directory_path() / "taut-fusion-XXXXXX";
  folder_ = mkdtemp(name.data());
  {
    std::ofstream source(folder_ + "/kernels.cpp");
    source << kDevice << joined_source(kernels);
    for (size_t i = 0; i < kernels.size(); ++i) {
      const std::string space = concat("taut::kernels::fusion::k", i);
      source << concat(
          "extern \"C\" bool run", i,
          "(const void* arguments, unsigned x, unsigned y, unsigned threads) {\n"
          "emulated::argument = arguments;\n"
          "emulated::body = [](const void* a) { ",
          space, "::fused(*static_cast<const ", space,
          "::Arguments*>(a)); };\n"
          "gridDim = {x, y, 1};\n"
          "for (unsigned j = 0; j < y; ++j) for (unsigned i = 0; i < x; ++i) {\n"
          "blockIdx = {i, j, 0};\nif (!emulated::run_block(threads)) return false;\n}\nreturn "
          "true;\n}\n");
    }
  }
  const std::string command =
      concat("g++ -std=c++20 -O0 -w -shared -fPIC -ffp-contract=off -o ", folder_, "/kernels.so ",
             folder_, "/kernels.cpp 2> ", folder_, "/log");
  if (std::system(command.c_str()) != 0) {
    std::stringstream log;
    log << std::ifstream(folder_ + "/log").rdbuf();
    detail::raise<ValueError>("the kernels do not compile:\n", log.str().substr(0, 4000));
  }
  library_ = dlopen((folder_ + "/kernels.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  TAUT_CHECK(library_ != nullptr, ValueError, "dlopen: ", dlerror());
}

EmulatedKernels::~EmulatedKernels() {
  if (library_ != nullptr) dlclose(library_);
  fs::remove_all(folder_);
}

void EmulatedKernels::run(size_t which, const KernelCode& code, KernelArguments arguments) const {
  using Entry = bool (*)(const void*, unsigned, unsigned, unsigned);
  const auto entry = reinterpret_cast<Entry>(dlsym(library_, concat("run", which).c_str()));
  const bool is_done = entry(&arguments, code.grid[0], code.grid[1], code.threads);
  TAUT_CHECK(is_done, ValueError, "kernel ", which, ": its threads wait for each other");
}

}  // namespace taut::fusion
