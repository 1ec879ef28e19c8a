#pragma once
// Keys that no other run uses. Where TAUT_TEST_AI_RUN names a folder, they come from its file
// "marker", and tests/ai/search_for_keys.py looks for them in all that the run has written;
// otherwise they are drawn.

#include <string>
#include <string_view>

namespace taut::ai::test {

/// The folder of this run; empty where its files are not kept.
const std::string& run_folder();

/// The first of sixteen different keys, or another one: 40 hexadecimal digits. Each digit of the
/// marker is `number` further on.
std::string marker_key(int number = 0);

/// Whether a text holds eight bytes or more of a key.
bool shows_key(std::string_view text, std::string_view key);

/// Notes that a request with a key reached a server: a search that finds nothing means little where
/// no key was used. The count is written into the run's folder.
void count_marked(std::string_view request);

}  // namespace taut::ai::test
