// Uses an installed libtaut_ai without a network: a function of one's own behind a router, and an
// error caught by its type.
#include <taut/ai/router.h>

#include <cstdio>
#include <memory>

namespace ai = taut::ai;

int main() {
  const std::shared_ptr<ai::Backend> echo =
      ai::local_backend("echo", [](const ai::ChatRequest& request) {
        ai::ChatResponse response;
        response.candidates.resize(1);
        response.candidates[0].parts = request.messages.back().parts;
        return response;
      });
  const auto router = ai::Router::create({{.backend = echo, .model = "any"}});
  const ai::ChatResponse response = router->chat({.messages = {ai::Message::user("hello")}}).get();
  if (response.text() != "hello") {
    std::printf("chat: expected hello; got %s\n", response.text().c_str());
    return 1;
  }
  try {
    router->embed({.model = "any", .inputs = {"hello"}}).get();
  } catch (const ai::ProviderError& error) {
    std::printf("libtaut_ai works: %s\n", error.what());
    return 0;
  }
  std::printf("embed: expected a ProviderError; got none\n");
  return 1;
}
