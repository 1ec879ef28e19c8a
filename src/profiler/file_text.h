#pragma once
// What the files of a profile share.

#include <cstdint>
#include <string>

namespace taut::profiler {

/// Nanoseconds as microseconds with three digits behind the point.
std::string microseconds(int64_t nanoseconds);

/// Writes a file that appears when it is complete; one that ends in ".gz" is compressed.
void write_text(const std::string& path, const std::string& text);

}  // namespace taut::profiler
