#pragma once
// What this process uses by now.

#include <cstdint>

namespace taut::ai::test {

/// Sanitizers make a program many times slower, and keep what it frees.
bool is_sanitized();

double cpu_seconds();
int64_t open_files();
/// Bytes of memory that are in the machine's RAM.
int64_t resident_bytes();
/// Bytes that were asked of the allocator and not given back.
int64_t allocated_bytes();

}  // namespace taut::ai::test
