#pragma once
// Compressed bodies, as servers send them.

#include <string>

namespace taut::ai::test {

std::string gzip(const std::string& text);
/// zlib's own form, which HTTP calls deflate.
std::string deflate(const std::string& text);

}  // namespace taut::ai::test
