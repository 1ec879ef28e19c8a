#include "tests/ai/golden.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/ai/response_summary.h"

namespace taut::ai::testing {
namespace {

const std::filesystem::path& root() {
  static const std::filesystem::path path = std::filesystem::path(TAUT_TEST_GOLDEN) / "ai";
  return path;
}

struct Folder {
  std::string_view name;
  Protocol protocol;
  Vendor vendor;
};

constexpr Folder kFolders[] = {
    {"openai", Protocol::openai_chat, Vendor::openai},
    {"openai_responses", Protocol::openai_responses, Vendor::openai},
    {"anthropic", Protocol::anthropic, Vendor::anthropic},
    {"gemini", Protocol::gemini, Vendor::gemini},
    {"xai", Protocol::openai_chat, Vendor::xai},
    {"perplexity", Protocol::openai_chat, Vendor::perplexity},
    {"vllm", Protocol::openai_chat, Vendor::vllm},
    {"ollama", Protocol::openai_chat, Vendor::ollama},
    {"llama_cpp", Protocol::openai_chat, Vendor::llama_cpp},
    {"other", Protocol::openai_chat, Vendor::other},
};

}  // namespace

std::string read_golden(const std::string& path) {
  std::ifstream file(root() / path, std::ios::binary);
  if (!file) throw std::runtime_error("there is no golden file " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<std::string> golden_files(std::string_view ending) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root())) {
    const std::string name = std::filesystem::relative(entry.path(), root()).generic_string();
    if (entry.is_regular_file() && name.size() > ending.size() &&
        name.compare(name.size() - ending.size(), ending.size(), ending) == 0) {
      files.push_back(name);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

ProviderConfig config_of(std::string_view folder) {
  for (const Folder& known : kFolders) {
    if (known.name != folder) continue;
    ProviderConfig config;
    config.name = folder;
    config.protocol = known.protocol;
    config.vendor = known.vendor;
    return config;
  }
  throw std::runtime_error("there is no provider of that name");
}

std::string folder_of(const std::string& file) { return file.substr(0, file.find('/')); }

const ProtocolHandler& handler_for(const ProviderConfig& config) {
  return handler_of(config.protocol);
}

namespace {

class Assembling final : public SseListener {
 public:
  explicit Assembling(StreamRun& run) : run_(run) {}
  void on_event(const SseEvent& event) override {
    if (!run_.assembler->is_complete()) run_.assembler->add(event, run_.events);
  }

 private:
  StreamRun& run_;
};

}  // namespace

StreamRun run_stream(const ProviderConfig& config, const Pieces& pieces) {
  StreamRun run;
  run.assembler = handler_for(config).assembler(config);
  Assembling assembling(run);
  SseParser parser{SizeLimits{}};
  for (const std::string_view piece : pieces) parser.add(piece, assembling);
  parser.finish(assembling);
  run.is_whole = run.assembler->is_complete() || run.assembler->ends_here();
  return run;
}

StreamRun run_stream(const ProviderConfig& config, std::string_view text) {
  return run_stream(config, Pieces{text});
}

std::string told_by(const StreamRun& run) {
  std::string told = summary_of(run.assembler->response()).dump();
  for (const StreamEvent& event : run.events) told += "\n" + summary_of(event).dump();
  return told;
}

}  // namespace taut::ai::testing
