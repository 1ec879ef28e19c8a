#pragma once
// Answers that are kept on the disk: the same request again costs nothing.
//   auto cache = ResponseCache::open({.path = "answers.sqlite"});
//   std::shared_ptr<Backend> backend = cached(provider, cache);
// An entry is found by a hash of the provider, the model and what the request means. Neither keys
// nor headers nor prompts are kept, but the answers are: the file is for its owner alone.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "taut/ai/backend.h"
#include "taut/ai/request.h"
#include "taut/ai/response.h"

namespace taut::ai {

struct CacheOptions {
  std::string path;  // of an SQLite file, which is made where there is none
  int64_t max_bytes = int64_t{256}
                      << 20;       // of answers: those not used for the longest time go first
  std::optional<double> max_age;   // seconds; older answers are not given
  bool rebuild_if_broken = false;  // begin anew where the file is damaged or of another format
};

struct CacheStatistics {
  int64_t entries = 0, bytes = 0;
  int64_t hits = 0, misses = 0;  // of this object
};

/// Safe from many threads, and from many processes with the same file.
class TAUT_API ResponseCache {
 public:
  /// Throws IoError where the file cannot be opened, and FormatError where it is no cache or
  /// damaged.
  static std::shared_ptr<ResponseCache> open(CacheOptions options);
  ResponseCache(const ResponseCache&) = delete;
  ResponseCache& operator=(const ResponseCache&) = delete;
  ~ResponseCache();

  /// The answer with from_cache set and without a cost, or nothing.
  std::optional<ChatResponse> get(std::string_view provider, const ChatRequest& request);
  /// Answers that failed, are partial or are larger than the cache are not kept.
  void put(std::string_view provider, const ChatRequest& request, const ChatResponse& response);
  void clear();
  CacheStatistics statistics() const;

 private:
  class File;
  explicit ResponseCache(std::unique_ptr<File> file);
  std::unique_ptr<File> file_;
};

/// A backend that looks into the cache first, and puts in what it had to ask for. Embeddings pass
/// by. A cache that cannot be read or written is as if it were empty: the response's warnings tell.
TAUT_API std::shared_ptr<Backend> cached(std::shared_ptr<Backend> backend,
                                         std::shared_ptr<ResponseCache> cache);

/// 64 hexadecimal digits that are the same for requests that mean the same, whatever their headers,
/// deadline, task and user are.
TAUT_API std::string request_key(std::string_view provider, const ChatRequest& request);
TAUT_API std::string request_key(std::string_view provider, const EmbeddingRequest& request);

}  // namespace taut::ai
