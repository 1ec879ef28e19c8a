#pragma once
// What calls took and cost: counted, held within a budget, and written down.
//   auto log = CallLog::open("calls.jsonl");
//   std::shared_ptr<Backend> backend = metered(provider, {.prices = prices, .budget = budget, .log
//   = log});
// The log has one JSON object a line: time, provider, model, task, status, usage, cost, seconds.
// Prompts and answers are in it only where `include_texts` is set; keys never are.

#include <memory>
#include <string>

#include "taut/ai/backend.h"
#include "taut/ai/budget.h"
#include "taut/ai/prices.h"

namespace taut::ai {

class LineFile;

/// Safe from many threads, and from many processes with the same file.
class TAUT_API CallLog {
 public:
  /// Adds to what is in the file. Throws IoError where it cannot be opened.
  static std::shared_ptr<CallLog> open(const std::string& path, bool include_texts = false);
  CallLog(const CallLog&) = delete;
  CallLog& operator=(const CallLog&) = delete;
  ~CallLog();

  /// One line. Throws IoError where it cannot be written.
  void add(const ChatRequest& request, const ChatResponse& response, bool is_stream);
  void add(const EmbeddingRequest& request, const EmbeddingResponse& response);
  void add_failure(const std::string& task, const ErrorDetails& details, double seconds,
                   bool is_stream);

 private:
  CallLog(std::unique_ptr<LineFile> file, bool include_texts);
  std::unique_ptr<LineFile> file_;
  bool include_texts_;
};

struct MeterOptions {
  std::shared_ptr<const PriceTable> prices;
  std::shared_ptr<Budget> budget;
  std::shared_ptr<CallLog> log;
};

/// The backend, with costs in its responses, calls held within the budget, and every call logged.
/// A log that cannot be written is a warning of the response.
TAUT_API std::shared_ptr<Backend> metered(std::shared_ptr<Backend> backend, MeterOptions options);

}  // namespace taut::ai
