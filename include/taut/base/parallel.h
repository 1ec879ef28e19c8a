#pragma once
// The one pool of CPU threads.
//   parallel_for(n, 4096, [&](int64_t begin, int64_t end) { ... });
// A call from inside a parallel region runs serially, and so does one while the threads work for
// another caller. A forked child has one thread until set_num_threads says otherwise.

#include <cstdint>
#include <type_traits>

#include "taut/base/macros.h"

namespace taut {

/// The number of threads that a CPU op may use: at first what OMP_NUM_THREADS says, or one for each
/// core that the process may use.
TAUT_API int get_num_threads();

/// Sets the number of threads that CPU ops use.
/// @throws ValueError unless threads >= 1.
TAUT_API void set_num_threads(int threads);

/// Whether the caller already runs inside a parallel_for.
TAUT_API bool in_parallel_region();

namespace detail {
using RangeFn = void (*)(void* context, int64_t begin, int64_t end);
TAUT_API void parallel_for(int64_t n, int64_t grain, RangeFn body, void* context);
}  // namespace detail

/// Calls body(begin, end) over [0, n) in chunks of at least `grain`, on several threads when there
/// is more than one chunk. The first exception that a chunk throws is rethrown in the caller.
template <class Body>
void parallel_for(int64_t n, int64_t grain, Body&& body) {
  if (n <= 0) return;
  if (n <= grain) {
    body(int64_t{0}, n);
    return;
  }
  using Plain = std::remove_reference_t<Body>;
  detail::parallel_for(
      n, grain,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<Plain*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace taut
