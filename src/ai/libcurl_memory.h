#pragma once
// How libcurl allocates: what it frees is wiped first, because its buffers hold the heads of
// requests, and those hold keys.

namespace taut::ai {

/// Starts libcurl, once in a program and before any thread of ours. Where somebody else has started
/// it before, it goes on as it is and wipes nothing. Throws IoError where it does not start.
void start_libcurl();

}  // namespace taut::ai
