#pragma once
// The golden files of tests/golden/ai, by provider, and how they are read.

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/ai/protocol.h"

namespace taut::ai::testing {

std::string read_golden(const std::string& path);
/// Files below a folder that end so, as provider/name.
std::vector<std::string> golden_files(std::string_view ending);

/// The config that a folder of golden files stands for: openai, openai_responses, anthropic ...
ProviderConfig config_of(std::string_view folder);
std::string folder_of(const std::string& file);
const ProtocolHandler& handler_for(const ProviderConfig& config);

/// A stream put through the parser and the assembler in pieces.
struct StreamRun {
  std::unique_ptr<StreamAssembler> assembler;
  std::vector<StreamEvent> events;
  bool is_whole = false;  // whether it came to an end that the protocol allows
};
using Pieces = std::vector<std::string_view>;
/// Throws what the parser and the assembler throw.
StreamRun run_stream(const ProviderConfig& config, const Pieces& pieces);
StreamRun run_stream(const ProviderConfig& config, std::string_view text);

/// Everything that a run told, as text.
std::string told_by(const StreamRun& run);

}  // namespace taut::ai::testing
