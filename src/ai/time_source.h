#pragma once
// Time and chance as the client sees them, so that tests can take their place.

#include <cstdint>
#include <mutex>
#include <random>
#include <string_view>

#include "taut/base/macros.h"

namespace taut::ai {

/// Called from many threads.
class TAUT_API TimeSource {
 public:
  virtual ~TimeSource() = default;
  /// Seconds that never go back.
  virtual double now() const;
  /// Seconds since 1970.
  virtual double wall_time() const;
  /// How long a pause before another attempt really takes: so many seconds.
  virtual double pause(double seconds) { return seconds; }
};

/// Numbers drawn evenly from [0, 1), from many threads.
class TAUT_API Chance {
 public:
  /// 0: another sequence each time.
  explicit Chance(uint64_t seed);
  double draw();

 private:
  std::mutex mutex_;
  std::mt19937_64 generator_;
};

/// The seconds since 1970 that an HTTP date, or one of RFC 3339, stands for; NaN for what is none.
TAUT_API double parse_date(std::string_view text);

}  // namespace taut::ai
