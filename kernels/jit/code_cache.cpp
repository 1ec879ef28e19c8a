#include "kernels/jit/code_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "taut/base/check.h"

namespace taut::kernels::jit {
namespace {

// A file is: the mark, then key, symbol, pointer type and image, each after its length in eight
// bytes, then a checksum of all that. The numbers are the machine's own: so is the code.
constexpr std::string_view kMark = "taut kernel 1\n";

// FNV-1a.
uint64_t hash_of(std::string_view text, uint64_t hash = 0xcbf29ce484222325u) {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

void append_hex(std::string& text, uint64_t number) {
  for (int shift = 60; shift >= 0; shift -= 4) text += "0123456789abcdef"[(number >> shift) & 15];
}

void append_bytes(std::string& text, uint64_t number) {
  char bytes[sizeof number];
  std::memcpy(bytes, &number, sizeof number);
  text.append(bytes, sizeof number);
}

std::string packed(const std::string& key, const CompiledCode& code) {
  std::string text(kMark);
  for (const std::string* part : {&key, &code.symbol, &code.pointer, &code.image}) {
    append_bytes(text, part->size());
    text += *part;
  }
  append_bytes(text, hash_of(text));
  return text;
}

// Takes parts off the front of a text; empty-handed when it ends too early.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::optional<uint64_t> number() {
    uint64_t value = 0;
    if (rest_.size() < sizeof value) return {};
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::optional<std::string> part() {
    const std::optional<uint64_t> size = number();
    if (!size || *size > rest_.size()) return {};
    std::string result(rest_.substr(0, *size));
    rest_.remove_prefix(*size);
    return result;
  }
  bool is_at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

std::optional<CompiledCode> unpacked(std::string_view text, const std::string& key) {
  if (text.size() < kMark.size() + sizeof(uint64_t) || !text.starts_with(kMark)) return {};
  const std::string_view body = text.substr(0, text.size() - sizeof(uint64_t));
  Reader checksum(text.substr(body.size()));
  if (checksum.number() != hash_of(body)) return {};
  Reader reader(body.substr(kMark.size()));
  const std::optional<std::string> found = reader.part();
  if (found != key) return {};  // another key whose file has the same name
  std::optional<std::string> symbol = reader.part();
  std::optional<std::string> pointer = reader.part();
  std::optional<std::string> image = reader.part();
  if (!symbol || !pointer || !image || !reader.is_at_end()) return {};
  return CompiledCode{*std::move(image), *std::move(symbol), *std::move(pointer)};
}

class File {
 public:
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  bool is_open() const { return descriptor_ >= 0; }
  /// Code is run as it is: a file that somebody else put there is not trusted.
  bool is_own() const {
    struct stat status {};
    return ::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode) &&
           status.st_uid == ::geteuid();
  }
  std::string read_all() const {
    std::string text;
    char buffer[1 << 16];
    for (;;) {
      const ssize_t count = ::read(descriptor_, buffer, sizeof buffer);
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return count == 0 ? text : std::string();
      text.append(buffer, static_cast<size_t>(count));
    }
  }
  bool write_all(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t count = ::write(descriptor_, text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      text.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }

 private:
  int descriptor_;
};

// Every folder on the way that is not there yet, for this user alone.
void make_folders(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    ::mkdir(path.substr(0, slash).c_str(), 0700);
    if (slash == std::string::npos) return;
  }
}

std::string set_variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : std::string(value);
}

}  // namespace

std::string CodeCache::folder() {
  if (const char* chosen = std::getenv("TAUT_CACHE_DIR")) {
    return *chosen == '\0' ? std::string() : concat(chosen, "/kernels");
  }
  const std::string cache = set_variable("XDG_CACHE_HOME");
  if (cache.starts_with('/')) return cache + "/taut/kernels";
  const std::string home = set_variable("HOME");
  return home.empty() ? std::string() : home + "/.cache/taut/kernels";
}

std::string CodeCache::path_of(const std::string& key) const {
  std::string path = folder_ + "/";
  append_hex(path, hash_of(key));
  append_hex(path, hash_of(key, 0x9e3779b97f4a7c15u));
  return path + ".bin";
}

std::optional<CompiledCode> CodeCache::load(const std::string& key) const {
  if (folder_.empty()) return {};
  const File file(::open(path_of(key).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open() || !file.is_own()) return {};
  return unpacked(file.read_all(), key);
}

void CodeCache::store(const std::string& key, const CompiledCode& code) const {
  if (folder_.empty()) return;
  make_folders(folder_);
  static std::atomic<uint32_t> counter{0};
  const std::string path = path_of(key);
  const std::string temporary =
      concat(path, ".", static_cast<int64_t>(::getpid()), "-", counter.fetch_add(1), ".tmp");
  bool is_written = false;
  {
    const File file(
        ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.is_open()) return;
    is_written = file.write_all(packed(key, code));
  }
  // No flush to the disk: a file that a power cut damages fails its checksum and is made anew.
  if (!is_written || ::rename(temporary.c_str(), path.c_str()) != 0) ::unlink(temporary.c_str());
}

}  // namespace taut::kernels::jit
