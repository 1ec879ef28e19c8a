#include "tests/ai/marker_key.h"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <random>

namespace taut::ai::test {

namespace {

// None of these is a digit of a number or of a digest: what looks like a piece of a key is one.
constexpr std::string_view kLetters = "ghjkmnpqrstvwxyz";
constexpr size_t kLength = 40;

std::string read_marker() {
  std::ifstream file(run_folder() + "/marker");
  std::string marker;
  file >> marker;
  if (marker.size() != kLength) {
    std::fprintf(stderr, "there is no marker in TAUT_TEST_AI_RUN\n");
    std::abort();
  }
  return marker;
}

std::string draw_marker() {
  std::random_device source;
  std::string marker;
  while (marker.size() < kLength) marker += kLetters[source() % kLetters.size()];
  return marker;
}

/// Written when the program ends.
struct MarkedRequests {
  std::atomic<int64_t> count{0};
  ~MarkedRequests() {
    if (!run_folder().empty()) std::ofstream(run_folder() + "/marked_requests") << count;
  }
};

}  // namespace

const std::string& run_folder() {
  static const std::string folder = [] {
    const char* value = std::getenv("TAUT_TEST_AI_RUN");
    return std::string(value == nullptr ? "" : value);
  }();
  return folder;
}

std::string marker_key(int number) {
  static const std::string marker = run_folder().empty() ? draw_marker() : read_marker();
  std::string key = marker;
  for (char& letter : key) {
    letter = kLetters[(kLetters.find(letter) + static_cast<size_t>(number)) % kLetters.size()];
  }
  return key;
}

bool shows_key(std::string_view text, std::string_view key) {
  for (size_t i = 0; i + 8 <= key.size(); ++i) {
    if (text.find(key.substr(i, 8)) != std::string_view::npos) return true;
  }
  return false;
}

void count_marked(std::string_view request) {
  run_folder();  // made before, so that it goes after
  static MarkedRequests marked;
  for (int number = 0; number < static_cast<int>(kLetters.size()); ++number) {
    if (request.find(marker_key(number)) == std::string_view::npos) continue;
    ++marked.count;
    return;
  }
}

}  // namespace taut::ai::test
