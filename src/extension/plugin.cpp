#include "taut/extension/plugin.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string_view>
#include <system_error>

#include "src/extension/op_registry.h"
#include "taut/base/check.h"
#include "taut/extension/plugin_abi.h"

/// Tells one copy of libtaut from another: a plugin finds the one that it is linked to.
extern "C" TAUT_API void taut_plugin_host() {}

namespace taut {
namespace {

std::string reason() { return std::generic_category().message(errno); }

std::string resolved(const std::string& path) {
  char buffer[PATH_MAX];
  TAUT_CHECK(::realpath(path.c_str(), buffer) != nullptr, IoError, "load_library: cannot open ",
             path, ": ", reason());
  return buffer;
}

// The bytes of a file, mapped for a scope.
class MappedBytes {
 public:
  explicit MappedBytes(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    TAUT_CHECK(file >= 0, IoError, "load_library: cannot open ", path, ": ", reason());
    struct stat status {};
    const bool is_file = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    size_ = is_file ? static_cast<size_t>(status.st_size) : 0;
    if (size_ > 0) data_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    TAUT_CHECK(is_file, IoError, "load_library: ", path, " is no regular file");
    TAUT_CHECK(data_ != MAP_FAILED, IoError, "load_library: cannot map ", path, ": ", reason());
  }
  MappedBytes(const MappedBytes&) = delete;
  MappedBytes& operator=(const MappedBytes&) = delete;
  ~MappedBytes() {
    if (size_ > 0 && data_ != MAP_FAILED) ::munmap(data_, size_);
  }
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// The mark in a library's data, up to its semicolon; empty when it has none.
std::string mark_of(const std::string& path) {
  const MappedBytes bytes(path);
  const std::string_view own = detail::kPluginAbi;
  const size_t begin = bytes.text().find(own.substr(0, own.find('=') + 1));
  if (begin == std::string_view::npos) return {};
  const std::string_view rest = bytes.text().substr(begin, 2 * own.size());
  return std::string(rest.substr(0, rest.find(';') + 1));
}

void check_mark(const std::string& path) {
  const std::string mark = mark_of(path);
  TAUT_CHECK(!mark.empty(), ValueError, "load_library: ", path,
             " is no plugin of Taut: none of its files includes taut/extension/custom_op.h");
  TAUT_CHECK(mark == detail::kPluginAbi, ValueError, "load_library: ", path,
             " was built for another Taut; got ", mark, " expected ", detail::kPluginAbi,
             " build it again with the headers of this one");
}

std::string file_of(const void* function) {
  Dl_info info{};
  return dladdr(function, &info) != 0 ? std::string(info.dli_fname) : std::string("?");
}

// Ops that register with another copy of the library would be found nowhere. A plugin that is
// linked to none has this one, by way of the program.
void check_host(const std::string& path, void* handle) {
  const void* own = reinterpret_cast<const void*>(&taut_plugin_host);
  const void* found = dlsym(handle, "taut_plugin_host");
  TAUT_CHECK(found == own || found == nullptr, ValueError, "load_library: ", path,
             " is linked to another libtaut; got ", file_of(found), "; expected ", file_of(own));
}

// What loading each library gave. Its initialisers run once, so a failure is told again.
struct Outcomes {
  std::recursive_mutex mutex;                          // a plugin may load another
  std::map<std::string, std::exception_ptr> failures;  // by path; null for a success
};
Outcomes& outcomes() {
  static auto& instance = *new Outcomes;
  return instance;
}

}  // namespace

std::vector<std::string> load_library(const std::string& path) {
  const std::string file = resolved(path);
  const std::lock_guard lock(outcomes().mutex);
  auto& failures = outcomes().failures;
  if (const auto known = failures.find(file); known != failures.end()) {
    if (known->second) std::rethrow_exception(known->second);
    return {};
  }
  check_mark(file);
  detail::PluginLoad load;
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    load.undo();
    detail::raise<IoError>("load_library: cannot load ", file, ": ", dlerror());
  }
  try {
    check_host(file, handle);
    if (load.failure()) std::rethrow_exception(load.failure());
  } catch (...) {
    load.undo();
    failures[file] = std::current_exception();
    throw;
  }
  failures[file] = nullptr;
  return load.names();
}

}  // namespace taut
