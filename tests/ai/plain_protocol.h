#pragma once
// A protocol as small as one can be, to test what is the same for all protocols. Whole answers are
// lines:
//   answer: hello            stream events: data: hello        (text)
//   error: overloaded                       data: [finish]     (a clean end may follow)
//   next: /models?page=2                    data: [end]        (the end itself)
//                                           data: [error]      (the provider failed)

#include "src/ai/client_parts.h"
#include "src/ai/protocol.h"
#include "tests/ai/marker_key.h"

namespace taut::ai::test {

/// It says what a client needs to speak it. `time`: a clock of the test's own.
Client::Parts plain_parts(std::shared_ptr<TimeSource> time = std::make_shared<TimeSource>());

/// A provider at this address, whose key is `key` where it is not empty.
ProviderConfig plain_config(const std::string& url, const std::string& key = marker_key(),
                            const std::string& name = "plain");

ChatRequest plain_request(const std::string& text = "hello");

/// Pauses last no time; their lengths are kept.
class InstantTime final : public TimeSource {
 public:
  double pause(double seconds) override;
  std::vector<double> pauses() const;

 private:
  mutable std::mutex mutex_;
  std::vector<double> pauses_;
};

/// The kind of the error that `work` throws; a failure of the test where it throws none.
template <class Work>
ErrorDetails error_of(Work work);

ErrorDetails details_of(const std::exception_ptr& error);

template <class Work>
ErrorDetails error_of(Work work) {
  try {
    work();
  } catch (...) {
    return details_of(std::current_exception());
  }
  return details_of(nullptr);
}

/// Everything a stream says: its text, and then its end.
struct Heard {
  std::string text;
  std::optional<ErrorDetails> error;
};
Heard listen_to(const ChatStream& stream);

/// "data: a\n\ndata: b\n\n"
std::string events(const std::vector<std::string>& data);

}  // namespace taut::ai::test
