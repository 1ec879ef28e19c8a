#pragma once
// Files as the loaders and savers see them: a whole file mapped, and a file that is replaced as a
// whole.

#include <cstddef>
#include <memory>
#include <string>

namespace taut::io {

/// A private, writable mapping of a whole file: writes stay in memory.
class MappedFile {
 public:
  /// @throws IoError with the path and the system's reason.
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  char* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
};

/// A file that appears under its name when commit() succeeded, and not before. The temporary file
/// lies in the same folder and goes away with this object.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t bytes);
  /// Flushes the file to the disk, gives it its name, and flushes the folder.
  void commit();

 private:
  [[noreturn]] void fail(const char* action) const;

  std::string path_;
  std::string folder_;
  std::string temporary_;
  int descriptor_ = -1;
};

/// The bytes of a file, unpacked when it is gzipped. @throws IoError when it cannot be read,
/// FormatError for a broken gzip file, NotImplementedError for a gzipped one in a build without
/// zlib.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  ~InputFile();

  /// Up to `bytes` bytes; fewer at the end of the file.
  size_t read(void* data, size_t bytes);

 private:
  std::string path_;
  void* file_ = nullptr;  // zlib's or the C library's
};

/// `contents` as a gzip file. @throws NotImplementedError in a build without zlib.
std::string gzipped(const std::string& contents);

}  // namespace taut::io
