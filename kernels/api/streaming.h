#pragma once
// Whether a result is written past the caches.
//
// Note [Streaming stores]
// A store to a line that is not in the cache first reads the line. A result that is larger than the
// caches gains nothing from that, as it is gone before anyone reads it; such results are written by
// streaming stores (hn::Stream), which move a third less. Their addresses must be aligned.

#include <algorithm>
#include <cstdint>

namespace taut::kernels {

/// Larger than what one core gets of the last-level cache on the machines of today. What the system
/// says of its caches is not asked: virtual machines have it wrong by a factor of ten.
inline bool is_streamed(int64_t bytes) { return bytes > (32 << 20); }

/// A copy by streaming stores; finish_streams() must follow.
void stream_bytes(void* target, const void* source, int64_t bytes);

/// Before another thread reads what this one has streamed.
void finish_streams();

/// `rows` rows of n results each, formed in their place or, where they are streamed, in a buffer in
/// the first cache: such rows may be read again while they are formed.
template <class T>
class ResultRows {
 public:
  ResultRows(T* results, int64_t rows, int64_t n)
      : results_(results),
        n_(n),
        streams_(n <= kBuffer && is_streamed(rows * n * static_cast<int64_t>(sizeof(T)))) {}

  /// Calls form(r, place) for the rows [begin, end); it writes row r to `place`.
  template <class Form>
  void form(int64_t begin, int64_t end, Form&& form) const {
    if (streams_) return form_and_stream(begin, end, form);
    for (int64_t r = begin; r < end; ++r) form(r, results_ + r * n_);
  }

 private:
  static constexpr int64_t kBuffer = static_cast<int64_t>((16 << 10) / sizeof(T));

  template <class Form>
  [[gnu::noinline]] void form_and_stream(int64_t begin, int64_t end, Form& form) const {
    alignas(64) T buffer[kBuffer];
    const int64_t group = std::max<int64_t>(1, kBuffer / 4 / n_);
    for (; begin < end; begin += group) {
      const int64_t rows = std::min(group, end - begin);
      for (int64_t r = 0; r < rows; ++r) form(begin + r, buffer + r * n_);
      stream_bytes(results_ + begin * n_, buffer, rows * n_ * static_cast<int64_t>(sizeof(T)));
    }
    finish_streams();
  }

  T* results_;
  int64_t n_;
  bool streams_;
};

}  // namespace taut::kernels
