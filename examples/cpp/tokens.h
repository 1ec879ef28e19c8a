#pragma once
// Tokens for gpt2.cpp: those of a file, which is mapped and not read as a whole, or of a text that
// a byte-pair tokenizer takes apart. The tokenizer is sentencepiece's, where the program was built
// with it.

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <taut/taut.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#if TAUT_EXAMPLE_SENTENCEPIECE
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>
#endif

// A file of 16-bit tokens, mapped; llm.c's have a header.
class MappedTokens {
 public:
  explicit MappedTokens(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status {};
    if (file < 0 || ::fstat(file, &status) != 0) {
      throw taut::IoError(taut::concat("cannot open ", path, ": ", std::strerror(errno)));
    }
    bytes_ = static_cast<size_t>(status.st_size);
    if (bytes_ > 0) data_ = ::mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, file, 0);
    ::close(file);
    if (data_ == MAP_FAILED) throw taut::IoError("cannot map " + path);
  }
  MappedTokens(const MappedTokens&) = delete;
  MappedTokens& operator=(const MappedTokens&) = delete;
  ~MappedTokens() {
    if (bytes_ > 0 && data_ != MAP_FAILED) ::munmap(data_, bytes_);
  }

  const uint16_t* begin() const { return static_cast<const uint16_t*>(data_) + header() / 2; }
  size_t size() const { return (bytes_ - header()) / 2; }

 private:
  size_t header() const {
    constexpr int32_t kMagic = 20240520;
    constexpr size_t kHeader = 1024;
    int32_t first = 0;
    if (bytes_ >= kHeader) std::memcpy(&first, data_, sizeof first);
    return first == kMagic ? kHeader : 0;
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// Tokens wherever they lie.
class Tokens {
 public:
  explicit Tokens(std::unique_ptr<MappedTokens> file) : file_(std::move(file)) {}
  explicit Tokens(std::vector<uint16_t> own) : own_(std::move(own)) {}
  const uint16_t* begin() const { return file_ ? file_->begin() : own_.data(); }
  const uint16_t* end() const { return begin() + size(); }
  size_t size() const { return file_ ? file_->size() : own_.size(); }

 private:
  std::unique_ptr<MappedTokens> file_;
  std::vector<uint16_t> own_;
};

// Lines with what ends them, which sentencepiece takes one by one.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    const size_t next = end == std::string::npos ? text.size() : end + 1;
    lines.push_back(text.substr(begin, next - begin));
    begin = next;
  }
  return lines;
}

#if TAUT_EXAMPLE_SENTENCEPIECE

// A byte-pair tokenizer, which gives back every text as it was. Its model is a tensor of bytes.
class Tokenizer {
 public:
  explicit Tokenizer(const taut::Tensor& model)
      : model_(model), pieces_(std::make_shared<sentencepiece::SentencePieceProcessor>()) {
    const taut::Tensor bytes = model.to(taut::kCPU).contiguous();
    const std::string text(static_cast<const char*>(bytes.data_ptr()),
                           static_cast<size_t>(bytes.numel()));
    check(pieces_->LoadFromSerializedProto(text));
  }

  static Tokenizer learned(const std::string& text, int64_t vocabulary) {
    Lines lines(text);
    std::string model;
    check(sentencepiece::SentencePieceTrainer::Train({{"model_type", "bpe"},
                                                      {"vocab_size", std::to_string(vocabulary)},
                                                      {"hard_vocab_limit", "false"},
                                                      {"byte_fallback", "true"},
                                                      {"character_coverage", "1.0"},
                                                      {"normalization_rule_name", "identity"},
                                                      {"remove_extra_whitespaces", "false"},
                                                      {"add_dummy_prefix", "false"},
                                                      {"bos_id", "-1"},
                                                      {"eos_id", "-1"},
                                                      {"user_defined_symbols", "\n"},
                                                      {"max_sentence_length", "1048576"},
                                                      {"minloglevel", "2"}},
                                                     &lines, &model));
    const std::vector<int64_t> bytes(reinterpret_cast<const uint8_t*>(model.data()),
                                     reinterpret_cast<const uint8_t*>(model.data()) + model.size());
    return Tokenizer(taut::tensor(bytes, taut::TensorOptions(taut::kUInt8)));
  }

  int64_t size() const { return pieces_->GetPieceSize(); }
  const taut::Tensor& model() const { return model_; }

  std::vector<int64_t> encode(const std::string& text) const {
    std::vector<int64_t> tokens;
    for (const std::string& line : lines_of(text)) {
      const std::vector<int> found = pieces_->EncodeAsIds(line);
      tokens.insert(tokens.end(), found.begin(), found.end());
    }
    return tokens;
  }
  std::string decode(const std::vector<int64_t>& tokens) const {
    return pieces_->DecodeIds(std::vector<int>(tokens.begin(), tokens.end()));
  }

 private:
  // The lines of a text, without what ends them.
  class Lines : public sentencepiece::SentenceIterator {
   public:
    explicit Lines(const std::string& text) : lines_(lines_of(text)) { trim(); }
    bool done() const override { return at_ == lines_.size(); }
    void Next() override {
      ++at_;
      trim();
    }
    const std::string& value() const override { return lines_[at_]; }
    sentencepiece::util::Status status() const override { return {}; }

   private:
    void trim() {
      if (!done() && lines_[at_].ends_with('\n')) lines_[at_].pop_back();
    }
    std::vector<std::string> lines_;
    size_t at_ = 0;
  };

  static void check(const sentencepiece::util::Status& status) {
    if (!status.ok()) throw taut::ValueError("sentencepiece: " + status.ToString());
  }

  taut::Tensor model_;
  std::shared_ptr<sentencepiece::SentencePieceProcessor> pieces_;
};

#else

// Says that it is not there.
class Tokenizer {
 public:
  explicit Tokenizer(const taut::Tensor&) { missing(); }
  static Tokenizer learned(const std::string&, int64_t) { missing(); }
  int64_t size() const { missing(); }
  const taut::Tensor& model() const { missing(); }
  std::vector<int64_t> encode(const std::string&) const { missing(); }
  std::string decode(const std::vector<int64_t>&) const { missing(); }

 private:
  [[noreturn]] static void missing() {
    throw taut::NotImplementedError(
        "this program was built without sentencepiece, which splits text; install "
        "libsentencepiece-dev and build it again, or give it tokens");
  }
};

#endif

// The tokens of a file. Of a text they are those of `tokenizer`, which is learned where there is
// none.
inline Tokens read_tokens(const std::string& path, int64_t vocabulary,
                          std::optional<Tokenizer>& tokenizer) {
  if (path.ends_with(".bin")) {
    tokenizer.reset();
    return Tokens(std::make_unique<MappedTokens>(path));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw taut::IoError("cannot open " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!tokenizer) tokenizer = Tokenizer::learned(text, vocabulary);
  const std::vector<int64_t> tokens = tokenizer->encode(text);
  return Tokens(std::vector<uint16_t>(tokens.begin(), tokens.end()));
}
