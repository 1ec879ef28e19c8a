#include "taut/io/tables.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "taut/taut.h"

namespace taut::io {
namespace {

class TablesTest : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  void write(const std::string& bytes, bool gzip = false) {
    const gzFile file = gzopen(path_.c_str(), gzip ? "wb" : "wbT");
    gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size()));
    gzclose(file);
  }
  const std::string path_ =
      std::filesystem::temp_directory_path() / ("taut-table-" + std::to_string(getpid()));
};

TEST_F(TablesTest, ReadsIdx) {
  const std::string bytes(
      "\0\0\x08\x02\0\0\0\x02\0\0\0\x03"
      "abcdef",
      18);
  for (bool gzip : {false, true}) {
    write(bytes, gzip);
    const Tensor x = load_idx(path_);
    EXPECT_EQ(x.dtype(), kUInt8);
    EXPECT_TRUE(equal(x.to(kInt64), tensor({97, 98, 99, 100, 101, 102}).view({2, 3})));
  }
  write(std::string("\0\0\x0c\x01\0\0\0\x01\xff\xff\xff\xfe", 12));
  EXPECT_EQ(load_idx(path_).item<int64_t>(), -2);
}

TEST_F(TablesTest, RefusesBadIdx) {
  const std::string bad[] = {
      "",
      std::string("\0\0\x08", 3),
      std::string("\1\0\x08\x01\0\0\0\0", 8),
      std::string("\0\0\x07\x01\0\0\0\0", 8),
      std::string("\0\0\x08\x09\0\0\0\0", 8),
      std::string("\0\0\x08\x01\0\0", 6),
      std::string("\0\0\x08\x01\0\0\0\x02"
                  "a",
                  9),
      std::string("\0\0\x08\x01\0\0\0\x01"
                  "ab",
                  10),
      std::string("\0\0\x0e\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16),
      std::string("\0\0\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff", 12)};
  for (const std::string& bytes : bad) {
    write(bytes);
    EXPECT_THROW(load_idx(path_), FormatError) << bytes.size();
  }
  write(std::string(1000, 'x'), true);
  std::filesystem::resize_file(path_, 15);
  EXPECT_THROW(load_idx(path_), FormatError);
  EXPECT_THROW(load_idx("/no/such/file"), IoError);
}

TEST_F(TablesTest, ReadsCsv) {
  write("x,y\r\n1, 2\r\n\n-3.5,4e2", true);
  EXPECT_TRUE(
      equal(load_csv(path_, ',', 1), tensor({1.0, 2.0, -3.5, 400.0}, kFloat64).view({2, 2})));
  write("1,2\n3\n");
  try {
    load_csv(path_);
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_EQ(error.what(), "load_csv: " + path_ + ", line 2: got 1 fields; expected 2");
  }
  for (const char* bad : {"1,x\n", "1,\n", "1 2\n", ",1\n"}) {
    write(bad);
    EXPECT_THROW(load_csv(path_), FormatError) << bad;
  }
}

}  // namespace
}  // namespace taut::io
