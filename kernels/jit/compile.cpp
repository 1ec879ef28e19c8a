#include "kernels/jit/compile.h"

#include <map>
#include <memory>
#include <mutex>

#include "kernels/jit/code_cache.h"
#include "kernels/jit/nvrtc.h"
#include "taut/base/check.h"

namespace taut::kernels::jit {
namespace {

// The code of one key: the first who asks makes it, under the lock.
struct Entry {
  std::mutex mutex;
  std::unique_ptr<CompiledCode> code;
};

Entry& entry_of(const std::string& key) {
  static std::mutex mutex;
  static auto& entries = *new std::map<std::string, Entry>;  // the code outlives every thread
  const std::lock_guard lock(mutex);
  return entries[key];
}

std::string key_of(const CompileRequest& request) {
  std::string key = nvrtc_version();
  const auto add = [&key](std::string_view part) {
    key.push_back('\0');
    key.append(part);
  };
  add(request.architecture);
  add(request.name);
  for (const std::string& option : request.options) add(option);
  add(kPrelude);
  add(request.source);
  return key;
}

// Headers of the user's own are no part of the key: what they hold may have changed on the disk.
bool reads_other_files(const CompileRequest& request) {
  for (const std::string& option : request.options) {
    for (const char* reader : {"-I", "--include-path", "-include", "--pre-include", "-pch"}) {
      if (option.starts_with(reader)) return true;
    }
  }
  return false;
}

CompiledCode make_code(const CompileRequest& request, const std::string& key) {
  if (reads_other_files(request)) return run_nvrtc(request);
  const CodeCache cache(CodeCache::folder());
  if (std::optional<CompiledCode> found = cache.load(key)) return *std::move(found);
  CompiledCode code = run_nvrtc(request);
  cache.store(key, code);
  return code;
}

}  // namespace

const CompiledCode& compiled(const CompileRequest& request) {
  const std::string key = key_of(request);
  Entry& entry = entry_of(key);
  const std::lock_guard lock(entry.mutex);
  if (!entry.code) entry.code = std::make_unique<CompiledCode>(make_code(request, key));
  return *entry.code;
}

std::string architecture_for(int capability, const std::vector<int>& known) {
  int newest = 0;
  for (const int architecture : known) {
    if (architecture <= capability) newest = architecture;
  }
  TAUT_CHECK(newest > 0, DeviceError,
             "kernel: this NVRTC compiles for nothing as old as compute "
             "capability ",
             capability / 10, ".", capability % 10);
  return concat(newest == capability ? "sm_" : "compute_", newest);
}

std::string architecture_for(int capability) {
  return architecture_for(capability, nvrtc_architectures());
}

}  // namespace taut::kernels::jit
