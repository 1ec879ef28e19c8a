// Prints what Taut sends and reads, for the vendors' own libraries to judge.
//   taut_ai_requests requests           a line of JSON for each request of a list of calls
//   taut_ai_requests parse FOLDER FILE  what the answer or stream of a golden file says

#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "tests/ai/golden.h"
#include "tests/ai/response_summary.h"
#include "tests/ai/sample_requests.h"

namespace {

using namespace taut::ai;
using namespace taut::ai::testing;

void print_requests() {
  for (const SampleRequest& sample : sample_requests())
    std::cout << sent_for(sample).dump() << "\n";
}

void print_parsed(const std::string& folder, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const ProviderConfig config = config_of(folder);
  try {
    if (path.size() > 4 && path.substr(path.size() - 4) == ".sse") {
      const StreamRun run = run_stream(config, text);
      std::cout << summary_of(run.assembler->response()).dump(1) << "\n";
    } else {
      HttpAnswer answer;
      answer.status = 200;
      answer.body = text;
      std::cout << summary_of(handler_for(config).parse_chat(config, answer)).dump(1) << "\n";
    }
  } catch (const ProviderError& error) {
    std::cout << nlohmann::ordered_json{{"error", summary_of(error.details())}}.dump(1) << "\n";
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string command = count > 1 ? arguments[1] : "";
  if (command == "requests" && count == 2) {
    print_requests();
  } else if (command == "parse" && count == 4) {
    print_parsed(arguments[2], arguments[3]);
  } else {
    std::cerr << "usage: taut_ai_requests requests | taut_ai_requests parse FOLDER FILE\n";
    return 2;
  }
  return 0;
}
