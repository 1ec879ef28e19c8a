// Bodies that are compressed: as asked for, otherwise, wrongly, and to do harm. Whatever comes, it
// is the whole answer or an error.

#include <gtest/gtest.h>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"
#include "tests/ai/gzip.h"
#include "tests/ai/plain_protocol.h"

namespace taut::ai::test {
namespace {

/// A frame of Zstandard's with one block that is not compressed (RFC 8878).
std::string zstd(const std::string& text) {
  EXPECT_LT(text.size(), 256u);
  const auto size = static_cast<char>(text.size());
  const auto block = static_cast<uint32_t>(text.size() << 3 | 1);  // the last, raw
  std::string frame("\x28\xb5\x2f\xfd\x20",
                    5);  // the magic number; one segment, its size in a byte
  frame += size;
  for (int shift = 0; shift < 24; shift += 8) frame += static_cast<char>(block >> shift & 0xff);
  return frame + text;
}

/// A stream of Brotli's with one part that is not compressed (RFC 7932).
std::string brotli(const std::string& text) {
  // A window of 22 bits; not the last, a length of 16 bits, uncompressed.
  const auto head = static_cast<uint32_t>(0xb | (text.size() - 1) << 7 | 1 << 23);
  std::string stream;
  for (int shift = 0; shift < 24; shift += 8) stream += static_cast<char>(head >> shift & 0xff);
  return stream + text + '\x03';  // the last part, empty
}

std::string encoding(const std::string& names) { return "content-encoding: " + names + "\r\n"; }

class EncodingTest : public ::testing::Test {
 protected:
  Provider provider(const SizeLimits& limits = {}) {
    client_.emplace(ClientOptions{.max_retries = 0, .limits = limits}, plain_parts());
    return client_->provider(plain_config(server_.url()));
  }
  /// What a whole answer with this body says, or how it fails.
  Heard chat(const std::string& body, const std::string& names, const SizeLimits& limits = {}) {
    server_.answer(http(200, body, encoding(names)));
    Heard heard;
    try {
      heard.text = provider(limits).chat(plain_request()).get().text();
    } catch (...) {
      heard.error = details_of(std::current_exception());
    }
    return heard;
  }
  Heard stream(const std::string& body, const std::string& names, const SizeLimits& limits = {}) {
    server_.answer(http(200, body, encoding(names), "text/event-stream"));
    return listen_to(provider(limits).stream(plain_request()));
  }

  const std::string answer_ = "answer: hi\n";
  const std::string events_ = events({"hi", "[end]"});
  FakeServer server_;
  std::optional<Client> client_;
};

ErrorKind kind_of(const Heard& heard) {
  EXPECT_TRUE(heard.error) << heard.text;
  return heard.error ? heard.error->kind : ErrorKind::cancelled;
}

void expect_malformed(const Heard& heard) {
  EXPECT_EQ(kind_of(heard), ErrorKind::malformed_response);
  EXPECT_EQ(heard.text, "");
}

TEST_F(EncodingTest, WhatIsAskedFor) {
  EXPECT_EQ(chat(gzip(answer_), "gzip").text, "hi");
  EXPECT_EQ(chat(gzip(answer_), "GZIP").text, "hi");
  EXPECT_EQ(chat(gzip(answer_), "x-gzip").text, "hi");
  EXPECT_EQ(chat(deflate(answer_), "deflate").text, "hi");
  EXPECT_EQ(chat(answer_, "identity").text, "hi");
  EXPECT_EQ(server_.requests().at(0).headers.at("accept-encoding"), "gzip, deflate");
}

TEST_F(EncodingTest, StreamsAreNotAskedToBeCompressedButMayBe) {
  EXPECT_EQ(stream(gzip(events_), "gzip").text, "hi");
  EXPECT_EQ(server_.requests().at(0).headers.at("accept-encoding"), "identity");
  EXPECT_EQ(stream(deflate(events_), "deflate").text, "hi");
}

TEST_F(EncodingTest, ACompressedStreamByTheByte) {
  const std::string body = gzip(events({"one", " two", "[end]"}));
  server_.answer(
      Script{send(http_open(200, encoding("gzip"))), send_slowly(body, 1, 0.001), close()});
  EXPECT_EQ(listen_to(provider().stream(plain_request())).text, "one two");
}

TEST_F(EncodingTest, OneOverAnother) {
  EXPECT_EQ(chat(gzip(gzip(answer_)), "gzip, gzip").text, "hi");
  EXPECT_EQ(stream(gzip(deflate(events_)), "deflate, gzip").text, "hi");
  expect_malformed(chat(gzip(answer_), "gzip, gzip"));
  std::string many = answer_, names;
  for (int i = 0; i < 20; ++i) {
    many = gzip(many);
    names += i == 0 ? "gzip" : ", gzip";
  }
  expect_malformed(chat(many, names));
}

/// zlib's tools read such files to their end; libcurl stops after the first part. What is left out
/// must not be missed.
TEST_F(EncodingTest, PartsAfterTheFirstAreNeverLeftOutInSilence) {
  const std::string first = "text: " + std::string(50, 'x') + "\n";
  const Heard whole = chat(gzip(first) + gzip(answer_), "gzip");
  if (whole.error) {
    EXPECT_EQ(whole.error->kind, ErrorKind::malformed_response);
  } else {
    EXPECT_EQ(whole.text, "hi");
  }
  const Heard heard = stream(gzip(events({"hi"})) + gzip(events({" there", "[end]"})), "gzip");
  if (heard.error) {
    EXPECT_TRUE(heard.error->kind == ErrorKind::malformed_response ||
                heard.error->kind == ErrorKind::truncated_stream);
  } else {
    EXPECT_EQ(heard.text, "hi there");
  }
}

/// Whether libcurl knows these depends on how it was built.
TEST_F(EncodingTest, WhatIsNotAskedForIsReadOrRefused) {
  for (const bool is_zstd : {false, true}) {
    const std::string names = is_zstd ? "zstd" : "br";
    const Heard whole = chat(is_zstd ? zstd(answer_) : brotli(answer_), names);
    const Heard heard = stream(is_zstd ? zstd(events_) : brotli(events_), names);
    for (const Heard& one : {whole, heard}) {
      if (one.error) {
        expect_malformed(one);
      } else {
        EXPECT_EQ(one.text, "hi") << names;
      }
    }
    EXPECT_EQ(whole.error.has_value(), heard.error.has_value()) << names;
  }
}

TEST_F(EncodingTest, NamesThatNobodyKnows) {
  expect_malformed(chat(answer_, "rot13"));
  expect_malformed(stream(events_, "rot13"));
}

TEST_F(EncodingTest, WhatIsNotWhatItSays) {
  for (const char* name : {"gzip", "deflate", "br", "zstd"}) {
    expect_malformed(chat(answer_, name));
    expect_malformed(stream(events_, name));
  }
  expect_malformed(chat(zstd(answer_), "gzip"));
  // Compressed without a word: it is no answer of the protocol's.
  server_.answer(http(200, gzip(answer_)));
  EXPECT_EQ(error_of([&] { provider().chat(plain_request()).get(); }).kind,
            ErrorKind::malformed_response);
}

TEST_F(EncodingTest, WhatIsCut) {
  const std::string large = "text: " + std::string(2000, 'h') + "\n" + answer_;
  const std::string packed = gzip(large);
  // With the end of the answer missing, whatever the length says.
  for (size_t bytes = 1; bytes + 14 < packed.size(); ++bytes) {
    const Heard heard = chat(packed.substr(0, bytes), "gzip");
    ASSERT_EQ(kind_of(heard), ErrorKind::malformed_response) << bytes;
  }
  const std::string stream_bytes =
      gzip(events({"one", " two"}) + ": " + std::string(200, 'x') + "\n");
  const Heard heard = stream(stream_bytes.substr(0, stream_bytes.size() - 12), "gzip");
  EXPECT_EQ(kind_of(heard), ErrorKind::truncated_stream);
}

TEST_F(EncodingTest, EveryByteThatIsWrongIsNoticedOrDoesNotMatter) {
  const std::string packed = gzip(answer_);
  for (size_t at = 0; at < packed.size(); ++at) {
    std::string wrong = packed;
    wrong[at] = static_cast<char>(wrong[at] ^ 0x41);
    const Heard heard = chat(wrong, "gzip");
    if (heard.error) {
      EXPECT_EQ(heard.error->kind, ErrorKind::malformed_response) << at;
    } else {
      EXPECT_EQ(heard.text, "hi") << at;
    }
  }
}

TEST_F(EncodingTest, AFewBytesThatUnpackToMany) {
  const SizeLimits limits = {.json = int64_t{1} << 20, .stream = int64_t{1} << 20};
  const std::string bomb = gzip(std::string(size_t{50} << 20, 'x'));
  ASSERT_LT(bomb.size(), size_t{100} << 10);
  expect_malformed(chat(bomb, "gzip", limits));
  expect_malformed(stream(bomb, "gzip", limits));
  expect_malformed(chat(gzip(bomb), "gzip, gzip", limits));
}

TEST_F(EncodingTest, ErrorsThatUnpackToMany) {
  const std::string bomb = gzip("no" + std::string(size_t{50} << 20, 'x'));
  server_.answer(http(400, bomb, encoding("gzip")));
  const ErrorDetails error =
      error_of([&] { provider({.error_body = 1000}).chat(plain_request()).get(); });
  EXPECT_EQ(error.http_status, 400);
  EXPECT_TRUE(error.message.starts_with("noxx"));
  EXPECT_LE(error.message.size(), 4096u);
}

}  // namespace
}  // namespace taut::ai::test
