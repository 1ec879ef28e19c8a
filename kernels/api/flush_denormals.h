#pragma once
// Numbers too small for a full mantissa count as zero.
//   { const FlushDenormals flush; update(state); }
//
// What decays by a factor at each step ends among them and stays: 0.9 of the smallest ones rounds
// to themselves. A core takes a hundred cycles and more for an operation on one, so that training
// would slow down to a third where many units are dead.

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

namespace taut::kernels {

/// As long as it lives, on this thread: denormal operands and results are zero.
class FlushDenormals {
 public:
#if defined(__SSE__)
  FlushDenormals() : previous_(_mm_getcsr()) { _mm_setcsr(previous_ | kBoth); }
  ~FlushDenormals() { _mm_setcsr(previous_); }
#else
  FlushDenormals() {}  // such chips take no longer
  ~FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
#if defined(__SSE__)
  static constexpr unsigned kBoth = 0x8040;  // flush to zero, and denormals are zeros
  unsigned previous_;
#endif
};

}  // namespace taut::kernels
