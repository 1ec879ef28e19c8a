#pragma once
// A server of each vendor's: where its client sends what, and how it answers.

#include <string>
#include <vector>

#include "taut/ai/client.h"
#include "tests/ai/fake_server.h"

namespace taut::ai::test {

struct Service {
  std::string name;
  ProviderConfig (*config)();
  std::string base;  // of its paths
  std::string path, stream_path;
  std::string key_header, key_prefix;
  std::string answer;               // says "Hi there"
  std::vector<std::string> stream;  // the same in events; complete with the last alone
  std::string quota;                // the body of a 429 that no waiting helps
  std::string error_event;          // says within a stream that the vendor is overloaded
  size_t first_text = 0;            // events of the stream up to "Hi"

  /// A config for this address, with the key.
  ProviderConfig config_at(const std::string& url, const std::string& key) const;
  /// The first events of the stream, or all of them.
  std::string events(size_t count) const;
  std::string whole_stream() const { return events(stream.size()); }
};

/// OpenAI's two languages, Anthropic's, Gemini's, xAI's, Perplexity's and a compatible server's.
const std::vector<Service>& services();

/// What all of them understand.
ChatRequest service_request(const std::string& text = "Hello");

}  // namespace taut::ai::test
