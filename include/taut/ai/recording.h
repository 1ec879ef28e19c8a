#pragma once
// Calls that are written down, and answered from what was written: tests and reruns without a
// network.
//   std::shared_ptr<Backend> backend = recorded(provider, "calls.jsonl");   // once, with a key
//   std::shared_ptr<Backend> backend = replayed("calls.jsonl");             // and then offline
// The file has one JSON object a line. Keys and what looks like one are taken out; requests and
// answers are in it, so it is for its owner alone.

#include <memory>
#include <string>

#include "taut/ai/backend.h"

namespace taut::ai {

/// Adds every call that ends to the file, answers and errors alike. Throws IoError where it cannot
/// be opened; one that cannot be written later is a warning of the response.
TAUT_API std::shared_ptr<Backend> recorded(std::shared_ptr<Backend> backend,
                                           const std::string& path);

struct ReplayOptions {
  std::string name;  // of the backend; empty: as the recorded one was called
  bool repeats =
      true;  // whether the last answer to a request is given again when all have been given
};

/// Answers each request as it was answered when it was recorded, in the order of the recording
/// where it was made more than once. What was not recorded is ErrorKind::not_found. A recorded chat
/// may be read as a stream, and a stream as a chat. Throws IoError, and FormatError with the line
/// at fault.
TAUT_API std::shared_ptr<Backend> replayed(const std::string& path, ReplayOptions options = {});

}  // namespace taut::ai
