#include "src/ai/line_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "taut/base/check.h"

namespace taut::ai {

LineFile::LineFile(std::string path, std::string what)
    : path_(std::move(path)),
      what_(std::move(what)),
      file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (file_ < 0) fail("open", errno);
}

LineFile::~LineFile() { ::close(file_); }

void LineFile::add(std::string line) const {
  line.push_back('\n');
  size_t written = 0;
  while (written < line.size()) {
    const ssize_t count = ::write(file_, line.data() + written, line.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("write", errno);
    written += static_cast<size_t>(count);
  }
}

void LineFile::fail(const char* action, int reason) const {
  throw IoError(concat(what_, ": cannot ", action, " ", path_, ": ",
                       std::generic_category().message(reason)));
}

}  // namespace taut::ai
