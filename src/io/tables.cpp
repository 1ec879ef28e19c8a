#include "taut/io/tables.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include "src/io/files.h"
#include "taut/base/check.h"

namespace taut::io {
namespace {

constexpr size_t kChunk = size_t{1} << 20;

Tensor tensor_of(const void* data, const Dims& shape, DType dtype) {
  const size_t bytes = static_cast<size_t>(shape.numel()) * item_size(dtype);
  const Storage storage = make_storage(kCPU, bytes);
  if (bytes > 0) std::memcpy(storage->data(), data, bytes);
  return Tensor(TensorImpl::make(storage, Layout::contiguous(shape), dtype));
}

DType dtype_of_code(int code, const std::string& path) {
  switch (code) {
    case 0x08: return kUInt8;
    case 0x09: return kInt8;
    case 0x0b: return kInt16;
    case 0x0c: return kInt32;
    case 0x0d: return kFloat32;
    case 0x0e: return kFloat64;
    default: break;
  }
  TAUT_CHECK(false, FormatError, "load_idx: ", path, " has elements of the unknown type ", code);
  return kUInt8;
}

// Reads what is there in pieces, so that a file that promises much and holds little costs little.
std::vector<char> read_up_to(InputFile& file, uint64_t bytes) {
  std::vector<char> data;
  while (data.size() < bytes) {
    const size_t before = data.size();
    data.resize(before +
                static_cast<size_t>(std::min<uint64_t>(std::max(kChunk, before), bytes - before)));
    const size_t got = file.read(data.data() + before, data.size() - before);
    if (before + got < data.size()) {
      data.resize(before + got);
      break;
    }
  }
  return data;
}

}  // namespace

Tensor load_idx(const std::string& path) {
  InputFile file(path);
  unsigned char head[4];
  TAUT_CHECK(file.read(head, 4) == 4 && head[0] == 0 && head[1] == 0, FormatError,
             "load_idx: ", path, " is no IDX file");
  const DType dtype = dtype_of_code(head[2], path);
  const int rank = head[3];
  TAUT_CHECK(rank <= kMaxRank, FormatError, "load_idx: ", path, " has ", rank, " dims; at most ",
             kMaxRank);
  Dims shape;
  uint64_t bytes = item_size(dtype);
  for (int i = 0; i < rank; ++i) {
    unsigned char size[4];
    TAUT_CHECK(file.read(size, 4) == 4, FormatError, "load_idx: ", path, " ends in its header");
    const uint64_t n =
        uint64_t{size[0]} << 24 | uint64_t{size[1]} << 16 | uint64_t{size[2]} << 8 | size[3];
    shape.push_back(static_cast<int64_t>(n));
    TAUT_CHECK(!__builtin_mul_overflow(bytes, std::max<uint64_t>(n, 1), &bytes) &&
                   bytes <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
               FormatError, "load_idx: ", path, " has sizes whose product is too large");
  }
  if (shape.numel() == 0) bytes = 0;
  std::vector<char> data = read_up_to(file, bytes);
  TAUT_CHECK(data.size() == bytes, FormatError, "load_idx: ", path, " has ", data.size(),
             " bytes of data; expected ", bytes, " for shape ", shape);
  char more = 0;
  TAUT_CHECK(file.read(&more, 1) == 0, FormatError, "load_idx: ", path, " goes on after ", bytes,
             " bytes of data");
  // Elements are big-endian.
  const auto width = static_cast<std::ptrdiff_t>(item_size(dtype));
  if (width > 1) {
    for (auto at = data.begin(); at != data.end(); at += width) std::reverse(at, at + width);
  }
  return tensor_of(data.data(), shape, dtype);
}

Tensor load_csv(const std::string& path, char delimiter, int64_t skip_rows) {
  InputFile file(path);
  const std::vector<char> text = read_up_to(file, std::numeric_limits<uint32_t>::max());
  std::vector<double> values;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t line_number = 0;
  std::string_view rest(text.data(), text.size());
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (++line_number <= skip_rows || line.empty()) continue;
    int64_t in_line = 0;
    const char* next = line.data();
    const char* const stop = line.data() + line.size();
    while (true) {
      while (next != stop && *next == ' ') ++next;
      double value = 0;
      const auto result = std::from_chars(next, stop, value);
      next = result.ptr;
      while (next != stop && *next == ' ') ++next;
      TAUT_CHECK(result.ec == std::errc() && (next == stop || *next == delimiter), FormatError,
                 "load_csv: ", path, ", line ", line_number, ": field ", in_line + 1,
                 " is no number");
      values.push_back(value);
      ++in_line;
      if (next == stop) break;
      ++next;
    }
    if (rows == 0) columns = in_line;
    TAUT_CHECK(in_line == columns, FormatError, "load_csv: ", path, ", line ", line_number,
               ": got ", in_line, " fields; expected ", columns);
    ++rows;
  }
  return tensor_of(values.data(), {rows, columns}, kFloat64);
}

}  // namespace taut::io
