#include "taut/ai/cache.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <mutex>
#include <system_error>
#include <utility>

#include "src/ai/follow.h"
#include "src/ai/stream_relay.h"
#include "taut/ai/json_text.h"
#include "taut/base/check.h"

namespace taut::ai {
namespace {

// "Taut" in ASCII: says whose the file is. The version is that of the table and of the answers'
// JSON.
constexpr int kApplication = 0x54617574;
constexpr int kFormat = 1;
constexpr int kWaitForOthers = 5000;  // milliseconds

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

bool is_damage(int code) {
  const int primary = code & 0xFF;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

}  // namespace

/// The file and the statements on it. One thread at a time.
class ResponseCache::File {
 public:
  explicit File(CacheOptions options) : options_(std::move(options)) {
    TAUT_CHECK(!options_.path.empty(), ValueError, "cache: there is no path");
    TAUT_CHECK(options_.max_bytes > 0, ValueError, "cache: max_bytes: got ", options_.max_bytes,
               "; expected a positive number");
    TAUT_CHECK(!options_.max_age || *options_.max_age >= 0, ValueError, "cache: max_age: got ",
               options_.max_age.value_or(0), "; expected a number that is not negative");
    try {
      open();
    } catch (const FormatError&) {
      close();
      if (!options_.rebuild_if_broken) throw;
      remove_files();
      open();
    }
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { close(); }

  std::optional<ChatResponse> get(const std::string& key) {
    const std::lock_guard lock(mutex_);
    std::optional<ChatResponse> found;
    {
      Statement select(*this, "SELECT answer, created FROM answers WHERE key = ?");
      select.bind(1, key);
      if (select.step()) {
        const bool is_fresh =
            !options_.max_age || seconds_since_1970() - select.number(1) <= *options_.max_age;
        if (is_fresh) found = parsed(select.text(0));
      }
    }
    if (!found) {
      ++misses_;
      return std::nullopt;
    }
    ++hits_;
    Statement touch(*this,
                    "UPDATE answers SET used = (SELECT max(used) + 1 FROM answers) WHERE key = ?");
    touch.bind(1, key);
    touch.step();
    return found;
  }

  void put(const std::string& key, const std::string& answer) {
    const auto bytes = static_cast<int64_t>(answer.size());
    if (bytes > options_.max_bytes) return;
    const std::lock_guard lock(mutex_);
    Transaction transaction(*this);
    Statement insert(*this,
                     "INSERT OR REPLACE INTO answers (key, answer, bytes, created, used) VALUES "
                     "(?, ?, ?, ?, (SELECT coalesce(max(used), 0) + 1 FROM answers))");
    insert.bind(1, key);
    insert.bind(2, answer);
    insert.bind(3, bytes);
    insert.bind(4, seconds_since_1970());
    insert.step();
    while (total_bytes() > options_.max_bytes) {
      Statement(*this, "DELETE FROM answers WHERE used = (SELECT min(used) FROM answers)").step();
    }
    transaction.commit();
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    Statement(*this, "DELETE FROM answers").step();
  }

  CacheStatistics statistics() {
    const std::lock_guard lock(mutex_);
    CacheStatistics statistics;
    Statement count(*this, "SELECT count(*), coalesce(sum(bytes), 0) FROM answers");
    if (count.step()) {
      statistics.entries = static_cast<int64_t>(count.number(0));
      statistics.bytes = static_cast<int64_t>(count.number(1));
    }
    statistics.hits = hits_;
    statistics.misses = misses_;
    return statistics;
  }

 private:
  class Statement {
   public:
    Statement(File& file, const char* text) : file_(file) {
      file_.check(sqlite3_prepare_v2(file_.database_, text, -1, &statement_, nullptr));
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_finalize(statement_); }

    void bind(int place, const std::string& text) {
      file_.check(sqlite3_bind_text64(statement_, place, text.data(), text.size(), SQLITE_TRANSIENT,
                                      SQLITE_UTF8));
    }
    void bind(int place, int64_t number) {
      file_.check(sqlite3_bind_int64(statement_, place, number));
    }
    void bind(int place, double number) {
      file_.check(sqlite3_bind_double(statement_, place, number));
    }
    /// Whether there is a row.
    bool step() {
      const int code = sqlite3_step(statement_);
      if (code != SQLITE_ROW && code != SQLITE_DONE) file_.check(code);
      return code == SQLITE_ROW;
    }
    std::string text(int column) const {
      const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
      const int size = sqlite3_column_bytes(statement_, column);
      return bytes == nullptr ? std::string() : std::string(bytes, static_cast<size_t>(size));
    }
    double number(int column) const { return sqlite3_column_double(statement_, column); }

   private:
    File& file_;
    sqlite3_stmt* statement_ = nullptr;
  };

  /// Rolled back unless it is committed.
  class Transaction {
   public:
    explicit Transaction(File& file) : file_(file) { file_.execute("BEGIN IMMEDIATE"); }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction() {
      if (!is_done_) sqlite3_exec(file_.database_, "ROLLBACK", nullptr, nullptr, nullptr);
    }
    void commit() {
      file_.execute("COMMIT");
      is_done_ = true;
    }

   private:
    File& file_;
    bool is_done_ = false;
  };

  void open() {
    make_private();
    check(sqlite3_open_v2(options_.path.c_str(), &database_,
                          SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX,
                          nullptr));
    check(sqlite3_busy_timeout(database_, kWaitForOthers));
    execute("PRAGMA journal_mode = WAL");
    // What a loss of power takes was only a cache.
    execute("PRAGMA synchronous = NORMAL");
    Transaction transaction(*this);
    const int application = pragma("PRAGMA application_id");
    const int format = pragma("PRAGMA user_version");
    if (application == 0 && format == 0 && pragma("SELECT count(*) FROM sqlite_master") == 0) {
      // The answers come last, and the index has their sizes: to sum these up no answer is read.
      execute(
          "CREATE TABLE answers (key TEXT PRIMARY KEY, bytes INTEGER NOT NULL, created REAL NOT "
          "NULL, used INTEGER NOT NULL, answer TEXT NOT NULL) WITHOUT ROWID");
      execute("CREATE INDEX answers_by_use ON answers (used, bytes)");
      execute(concat("PRAGMA application_id = ", kApplication).c_str());
      execute(concat("PRAGMA user_version = ", kFormat).c_str());
    } else {
      TAUT_CHECK(application == kApplication, FormatError, "cache: ", options_.path,
                 " is a database of another program");
      TAUT_CHECK(format == kFormat, FormatError, "cache: ", options_.path, " has format ", format,
                 "; expected ", kFormat);
    }
    transaction.commit();
    Statement whole(*this, "PRAGMA quick_check(1)");
    TAUT_CHECK(whole.step() && whole.text(0) == "ok", FormatError, "cache: ", options_.path,
               " is damaged: ", whole.text(0));
  }

  /// Answers are nobody else's business.
  void make_private() const {
    const int file = ::open(options_.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) {
      const int reason = errno;
      throw IoError(concat("cache: cannot open ", options_.path, ": ",
                           std::generic_category().message(reason)));
    }
    ::close(file);
  }

  void close() {
    sqlite3_close(database_);
    database_ = nullptr;
  }

  void remove_files() const {
    for (const char* suffix : {"", "-wal", "-shm"}) ::unlink((options_.path + suffix).c_str());
  }

  void execute(const char* text) {
    check(sqlite3_exec(database_, text, nullptr, nullptr, nullptr));
  }

  int pragma(const char* text) {
    Statement statement(*this, text);
    return statement.step() ? static_cast<int>(statement.number(0)) : 0;
  }

  int64_t total_bytes() {
    Statement sum(*this, "SELECT coalesce(sum(bytes), 0) FROM answers");
    return sum.step() ? static_cast<int64_t>(sum.number(0)) : 0;
  }

  void check(int code) const {
    if (code == SQLITE_OK) return;
    const char* reason = database_ != nullptr ? sqlite3_errmsg(database_) : sqlite3_errstr(code);
    if (is_damage(code)) {
      throw FormatError(concat("cache: ", options_.path, " is damaged or no cache: ", reason));
    }
    throw IoError(concat("cache: ", options_.path, ": ", reason));
  }

  std::optional<ChatResponse> parsed(const std::string& text) const {
    try {
      ChatResponse response = chat_response_from_json(text);
      response.from_cache = true;
      return response;
    } catch (const ValueError& error) {
      throw FormatError(concat("cache: ", options_.path, ": an answer is damaged: ", error.what()));
    }
  }

  const CacheOptions options_;
  std::mutex mutex_;
  sqlite3* database_ = nullptr;
  int64_t hits_ = 0, misses_ = 0;
};

ResponseCache::ResponseCache(std::unique_ptr<File> file) : file_(std::move(file)) {}
ResponseCache::~ResponseCache() = default;

std::shared_ptr<ResponseCache> ResponseCache::open(CacheOptions options) {
  return std::shared_ptr<ResponseCache>(
      new ResponseCache(std::make_unique<File>(std::move(options))));
}

std::optional<ChatResponse> ResponseCache::get(std::string_view provider,
                                               const ChatRequest& request) {
  return file_->get(request_key(provider, request));
}

void ResponseCache::put(std::string_view provider, const ChatRequest& request,
                        const ChatResponse& response) {
  if (response.candidates.empty() || response.usage.partial || response.from_cache) return;
  for (const Candidate& candidate : response.candidates) {
    if (candidate.finish_reason == FinishReason::error) return;
  }
  ChatResponse kept = response;
  kept.headers.clear();
  kept.raw.clear();
  kept.cost.reset();
  kept.usage.cost.reset();
  kept.warnings.clear();
  file_->put(request_key(provider, request), to_json(kept));
}

void ResponseCache::clear() { file_->clear(); }

CacheStatistics ResponseCache::statistics() const { return file_->statistics(); }

namespace {

class CachedBackend final : public Backend {
 public:
  CachedBackend(std::shared_ptr<Backend> backend, std::shared_ptr<ResponseCache> cache)
      : backend_(std::move(backend)), cache_(std::move(cache)) {}

  const std::string& name() const override { return backend_->name(); }
  bool is_ready() const override { return backend_->is_ready(); }

  Pending<ChatResponse> chat(const ChatRequest& request) const override {
    std::string trouble;
    if (std::optional<ChatResponse> kept = find(request, trouble)) {
      return finished_call(std::move(*kept));
    }
    return followed<ChatResponse>(
        backend_->chat(request),
        [cache = cache_, provider = name(), request, trouble](Outcome<ChatResponse>& outcome) {
          if (outcome.has_value()) keep(*cache, provider, request, outcome.value(), trouble);
        });
  }

  ChatStream stream(const ChatRequest& request) const override {
    std::string trouble;
    if (std::optional<ChatResponse> kept = find(request, trouble)) {
      return stream_of(std::move(*kept));
    }
    return tapped(backend_->stream(request), nullptr,
                  [cache = cache_, provider = name(), request, trouble](ChatResponse& response,
                                                                        std::exception_ptr error) {
                    if (!error) keep(*cache, provider, request, response, trouble);
                  });
  }

  Pending<EmbeddingResponse> embed(const EmbeddingRequest& request) const override {
    return backend_->embed(request);
  }

  Capabilities capabilities(const std::string& model) const override {
    return backend_->capabilities(model);
  }

 private:
  std::optional<ChatResponse> find(const ChatRequest& request, std::string& trouble) const {
    try {
      return cache_->get(name(), request);
    } catch (const IoError& error) {
      trouble = error.what();
      return std::nullopt;
    }
  }

  static void keep(ResponseCache& cache, const std::string& provider, const ChatRequest& request,
                   ChatResponse& response, const std::string& earlier_trouble) {
    if (!earlier_trouble.empty()) response.warnings.push_back(earlier_trouble);
    try {
      cache.put(provider, request, response);
    } catch (const IoError& error) {
      response.warnings.push_back(error.what());
    }
  }

  std::shared_ptr<Backend> backend_;
  std::shared_ptr<ResponseCache> cache_;
};

}  // namespace

std::shared_ptr<Backend> cached(std::shared_ptr<Backend> backend,
                                std::shared_ptr<ResponseCache> cache) {
  TAUT_CHECK(backend != nullptr && cache != nullptr, ValueError,
             "cached: expected a backend and a cache");
  return std::make_shared<CachedBackend>(std::move(backend), std::move(cache));
}

}  // namespace taut::ai
