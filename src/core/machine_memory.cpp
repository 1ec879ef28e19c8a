#include "src/core/machine_memory.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace taut::cpu {
namespace {

constexpr size_t kUnknown = std::numeric_limits<size_t>::max();

// Of a file that holds a number, or a word where there is no limit.
size_t limit_in(const char* path) {
  std::ifstream file(path);
  size_t limit = 0;
  return file >> limit ? limit : kUnknown;
}

size_t read_machine_memory() {
  struct sysinfo info = {};
  if (sysinfo(&info) != 0) return kUnknown;
  const size_t unit = info.mem_unit;
  const size_t group = std::min(limit_in("/sys/fs/cgroup/memory.max"),
                                limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
  return std::min<size_t>(info.totalram * unit, group) + info.totalswap * unit;
}

}  // namespace

size_t machine_memory() {
  static const size_t bytes = read_machine_memory();
  return bytes;
}

}  // namespace taut::cpu
