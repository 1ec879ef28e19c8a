#include "taut/ai/secret.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "src/ai/key_text.h"
#include "taut/base/check.h"

namespace taut::ai {

void wipe(void* memory, size_t bytes) noexcept {
  if (bytes > 0) explicit_bzero(memory, bytes);
}

void wipe(std::string& text) noexcept {
  text.resize(text.capacity());
  wipe(text.data(), text.size());
  text.clear();
}

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

class TextSource final : public Secret::Source {
 public:
  explicit TextSource(std::string_view text) : text_(trimmed(text)) {}
  KeyText read() const override { return KeyText(text_.view()); }
  std::string what_is_missing() const override { return "the text of the key is empty"; }

 private:
  KeyText text_;
};

class EnvironmentSource final : public Secret::Source {
 public:
  EnvironmentSource(std::string_view name, std::string_view other) : name_(name), other_(other) {}

  KeyText read() const override {
    for (const std::string& name : {name_, other_}) {
      const char* value = name.empty() ? nullptr : std::getenv(name.c_str());
      if (value == nullptr) continue;
      const std::string_view text = trimmed(value);
      if (!text.empty()) return KeyText(text);
    }
    return {};
  }

  std::string what_is_missing() const override {
    if (other_.empty()) return name_ + " is not set";
    return "neither " + name_ + " nor " + other_ + " is set";
  }

 private:
  std::string name_, other_;
};

class CallbackSource final : public Secret::Source {
 public:
  explicit CallbackSource(Callback<std::string()> callback) : callback_(std::move(callback)) {}

  KeyText read() const override {
    std::string text = callback_();
    KeyText key(trimmed(text));
    wipe(text);
    return key;
  }
  std::string what_is_missing() const override { return "the callback gave no key"; }
  bool is_there() const override { return true; }

 private:
  Callback<std::string()> callback_;
};

class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

constexpr size_t kLargestKey = 16384;  // bytes

}  // namespace

Secret Secret::of(std::string_view text) {
  Secret secret;
  secret.source_ = std::make_shared<TextSource>(text);
  return secret;
}

Secret Secret::from_environment(std::string_view name, std::string_view other_name) {
  TAUT_CHECK(!name.empty(), ValueError,
             "from_environment: there is no variable to look at; got an empty name");
  Secret secret;
  secret.source_ = std::make_shared<EnvironmentSource>(name, other_name);
  return secret;
}

Secret Secret::from_file(const std::string& path) {
  const OpenFile file(path);
  struct stat status = {};
  if (file.descriptor() < 0 || ::fstat(file.descriptor(), &status) != 0) {
    throw IoError(concat("from_file: ", path, " cannot be read; got ", std::strerror(errno)));
  }
  TAUT_CHECK(S_ISREG(status.st_mode), IoError, "from_file: ", path, " is not a file");
  constexpr mode_t kOthers = S_IRWXG | S_IRWXO;
  TAUT_CHECK((status.st_mode & kOthers) == 0, ValueError, "from_file: ", path,
             " may be used by others than its owner; got mode ",
             std::string{static_cast<char>('0' + ((status.st_mode >> 6) & 7)),
                         static_cast<char>('0' + ((status.st_mode >> 3) & 7)),
                         static_cast<char>('0' + (status.st_mode & 7))},
             "; expected 600 or 400");
  std::string text(kLargestKey, '\0');
  const ssize_t bytes = ::read(file.descriptor(), text.data(), text.size());
  if (bytes < 0) {
    throw IoError(concat("from_file: ", path, " cannot be read; got ", std::strerror(errno)));
  }
  const std::string_view all(text.data(), static_cast<size_t>(bytes));
  Secret secret;
  secret.source_ = std::make_shared<TextSource>(all.substr(0, all.find('\n')));
  wipe(text);
  return secret;
}

Secret Secret::from_callback(Callback<std::string()> callback) {
  TAUT_CHECK(static_cast<bool>(callback), ValueError,
             "from_callback: there is nothing to call; got no function; expected one");
  Secret secret;
  secret.source_ = std::make_shared<CallbackSource>(std::move(callback));
  return secret;
}

Secret::operator bool() const { return source_ != nullptr; }

bool Secret::is_there() const { return source_ != nullptr && source_->is_there(); }

}  // namespace taut::ai
