#include "src/io/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

#include "taut/base/check.h"

namespace taut::io {
namespace {

[[noreturn]] void fail_on(const char* op, const char* action, const std::string& path) {
  const int reason = errno;
  throw IoError(
      concat(op, ": cannot ", action, " ", path, ": ", std::generic_category().message(reason)));
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) fail_on("load", "open", path);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) fail_on("load", "look at", path);
  TAUT_CHECK(S_ISREG(status.st_mode), IoError, "load: ", path, " is no regular file");
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE, file.get(), 0);
  if (mapped == MAP_FAILED) fail_on("load", "map", path);
  data_ = static_cast<char*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
  const size_t slash = path.rfind('/');
  folder_ = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  // A name that nothing else has: other saves of this process and of others may be under way.
  static std::atomic<uint32_t> counter{0};
  do {
    temporary_ =
        concat(path, ".", static_cast<int64_t>(::getpid()), "-", counter.fetch_add(1), ".tmp");
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) {
    temporary_.clear();
    fail_on("save", "create a file beside", path);
  }
  // The new file keeps the rights of the one that it replaces. Without them it is still a good
  // file.
  struct stat old {};
  if (::stat(path.c_str(), &old) == 0 && ::fchmod(descriptor_, old.st_mode & 0777) != 0) errno = 0;
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* action) const { fail_on("save", action, path_); }

void AtomicFile::write(const void* data, size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    // Linux writes at most 2 GiB at a time.
    const ssize_t written = ::write(descriptor_, next, std::min<size_t>(bytes, size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write");
    next += written;
    bytes -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail("flush");
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) fail("close");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("rename a file to");
  temporary_.clear();
  // From here on the new file is in place; the flush of the folder makes that last through a power
  // cut.
  const Descriptor folder(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || (::fsync(folder.get()) != 0 && errno != EINVAL && errno != EROFS)) {
    fail("flush the folder of");
  }
}

}  // namespace taut::io
