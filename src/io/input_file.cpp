#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#if defined(TAUT_HAS_ZLIB)
#include <zlib.h>
#endif

#include "src/io/files.h"
#include "taut/base/check.h"

namespace taut::io {

#if defined(TAUT_HAS_ZLIB)

// zlib hands files that are not gzipped through as they are.
InputFile::InputFile(const std::string& path) : path_(path) {
  errno = 0;
  file_ = gzopen(path.c_str(), "rbe");
  TAUT_CHECK(file_ != nullptr, IoError, "read: cannot open ", path, ": ",
             std::generic_category().message(errno));
  gzbuffer(static_cast<gzFile>(file_), 1 << 16);
}

InputFile::~InputFile() { gzclose(static_cast<gzFile>(file_)); }

size_t InputFile::read(void* data, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    const auto wanted = static_cast<unsigned>(std::min<size_t>(bytes - done, 1 << 30));
    const int got = gzread(static_cast<gzFile>(file_), static_cast<char*>(data) + done, wanted);
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  int status = Z_OK;
  const char* problem = gzerror(static_cast<gzFile>(file_), &status);
  TAUT_CHECK(status != Z_ERRNO, IoError, "read: cannot read ", path_, ": ",
             std::generic_category().message(errno));
  TAUT_CHECK(status == Z_OK || status == Z_STREAM_END, FormatError, "read: ", path_,
             " is broken: ", problem);
  return done;
}

#else

InputFile::InputFile(const std::string& path) : path_(path) {
  std::FILE* file = std::fopen(path.c_str(), "rbe");
  TAUT_CHECK(file != nullptr, IoError, "read: cannot open ", path, ": ",
             std::generic_category().message(errno));
  file_ = file;
  const int first = std::fgetc(file);
  const int second = std::fgetc(file);
  std::rewind(file);
  if (first == 0x1f && second == 0x8b) {
    std::fclose(file);
    throw NotImplementedError(concat("read: ", path, " is gzipped, and this build has no zlib"));
  }
}

InputFile::~InputFile() { std::fclose(static_cast<std::FILE*>(file_)); }

size_t InputFile::read(void* data, size_t bytes) {
  auto* file = static_cast<std::FILE*>(file_);
  const size_t done = std::fread(data, 1, bytes, file);
  TAUT_CHECK(std::ferror(file) == 0, IoError, "read: cannot read ", path_, ": ",
             std::generic_category().message(errno));
  return done;
}

#endif

}  // namespace taut::io
