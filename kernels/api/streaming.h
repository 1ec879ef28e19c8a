#pragma once
// Whether a result is written past the caches.
//
// Note [Streaming stores]
// A store to a line that is not in the cache first reads the line. A result that is larger than the
// caches gains nothing from that, as it is gone before anyone reads it; such results are written by
// streaming stores (hn::Stream), which move a third less. Their addresses must be aligned.

#include <cstdint>

namespace taut::kernels {

/// Larger than what one core gets of the last-level cache on the machines of today. What the system
/// says of its caches is not asked: virtual machines have it wrong by a factor of ten.
inline bool is_streamed(int64_t bytes) { return bytes > (32 << 20); }

/// A copy by streaming stores; finish_streams() must follow.
void stream_bytes(void* target, const void* source, int64_t bytes);

/// Before another thread reads what this one has streamed.
void finish_streams();

}  // namespace taut::kernels
