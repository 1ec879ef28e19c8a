#include <algorithm>

#include "src/io/files.h"
#include "taut/base/check.h"

#if defined(TAUT_HAS_ZLIB)
#include <zlib.h>
#endif

namespace taut::io {

#if defined(TAUT_HAS_ZLIB)

std::string gzipped(const std::string& contents) {
  constexpr int kGzipFormat = 16 + MAX_WBITS;
  z_stream stream{};
  TAUT_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipFormat, 8,
                          Z_DEFAULT_STRATEGY) == Z_OK,
             OutOfMemoryError, "gzip: there is no memory to compress with");
  std::string packed;
  char room[1 << 16];
  size_t taken = 0;
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    // In pieces: zlib counts what it is given in 32 bits.
    if (stream.avail_in == 0 && taken < contents.size()) {
      const size_t piece = std::min(contents.size() - taken, size_t{1} << 30);
      // zlib does not write to it.
      stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(contents.data() + taken));
      stream.avail_in = static_cast<uInt>(piece);
      taken += piece;
    }
    stream.next_out = reinterpret_cast<Bytef*>(room);
    stream.avail_out = sizeof room;
    status = deflate(&stream, taken == contents.size() ? Z_FINISH : Z_NO_FLUSH);
    packed.append(room, sizeof room - stream.avail_out);
  }
  deflateEnd(&stream);
  return packed;
}

#else

std::string gzipped(const std::string&) {
  throw NotImplementedError("gzip: this build has no zlib; write the file without .gz");
}

#endif

}  // namespace taut::io
