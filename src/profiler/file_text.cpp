#include "src/profiler/file_text.h"

#include <cstdio>

#include "src/io/files.h"

namespace taut::profiler {

std::string microseconds(int64_t nanoseconds) {
  const bool is_negative = nanoseconds < 0;
  const auto size = static_cast<unsigned long long>(is_negative ? -nanoseconds : nanoseconds);
  char text[40];
  std::snprintf(text, sizeof text, "%s%llu.%03llu", is_negative ? "-" : "", size / 1000,
                size % 1000);
  return text;
}

void write_text(const std::string& path, const std::string& text) {
  const std::string packed = path.ends_with(".gz") ? io::gzipped(text) : std::string();
  const std::string& contents = path.ends_with(".gz") ? packed : text;
  io::AtomicFile file(path);
  file.write(contents.data(), contents.size());
  file.commit();
}

}  // namespace taut::profiler
