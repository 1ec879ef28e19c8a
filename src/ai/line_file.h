#pragma once
// A file to which whole lines are added, by many threads and many processes.

#include <string>

namespace taut::ai {

class LineFile {
 public:
  /// Made where there is none, for its owner alone. `what` begins the messages of IoErrors.
  LineFile(std::string path, std::string what);
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile();

  /// At once: the system keeps what others add apart.
  void add(std::string line) const;

 private:
  [[noreturn]] void fail(const char* action, int reason) const;
  std::string path_, what_;
  int file_;
};

}  // namespace taut::ai
