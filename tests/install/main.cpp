// Uses an installed Taut: a function of the shared library, a header template across it, and an
// error thrown inside it and caught here by its type, which fails when the library hides what it
// must show.
#include <taut/base/config.h>
#include <taut/base/error.h>
#include <taut/base/parallel.h>

#include <atomic>
#include <cstdint>
#include <cstdio>

int main() {
  std::atomic<int64_t> sum{0};
  taut::parallel_for(100, 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum += i;
  });
  if (sum != 4950) {
    std::printf("parallel_for: expected 4950; got %lld\n", static_cast<long long>(sum));
    return 1;
  }
  try {
    taut::set_num_threads(0);
  } catch (const taut::ValueError& error) {
    std::printf("Taut %s works: %s\n", TAUT_VERSION, error.what());
    return 0;
  }
  std::printf("set_num_threads(0): expected a ValueError; got none\n");
  return 1;
}
