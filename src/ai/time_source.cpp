#include "src/ai/time_source.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <limits>
#include <string>

namespace taut::ai {

double TimeSource::now() const {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

double TimeSource::wall_time() const {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(since).count();
}

namespace {

std::mt19937_64 make_generator(uint64_t seed) {
  if (seed != 0) return std::mt19937_64(seed);
  std::random_device device;
  std::seed_seq sequence{device(), device(), device(), device()};
  return std::mt19937_64(sequence);
}

}  // namespace

Chance::Chance(uint64_t seed) : generator_(make_generator(seed)) {}

double Chance::draw() {
  const std::lock_guard lock(mutex_);
  return static_cast<double>(generator_() >> 11) * 0x1p-53;
}

double parse_date(std::string_view text) {
  // RFC 9110, section 5.6.7 (IMF-fixdate and the two old forms), and RFC 3339 without its fraction.
  constexpr const char* kFormats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                      "%a %b %e %H:%M:%S %Y", "%Y-%m-%dT%H:%M:%S"};
  const std::string copy(text);
  for (const char* format : kFormats) {
    std::tm parts = {};
    const char* end = ::strptime(copy.c_str(), format, &parts);
    if (end == nullptr) continue;
    std::string_view rest(end);
    if (rest.starts_with('.')) {
      const size_t digits = rest.find_first_not_of("0123456789", 1);
      rest.remove_prefix(digits == std::string_view::npos ? rest.size() : digits);
    }
    double offset = 0;
    if ((rest.starts_with('+') || rest.starts_with('-')) && rest.size() == 6 && rest[3] == ':') {
      std::tm zone = {};
      const std::string hours(rest.substr(1));
      const char* zone_end = ::strptime(hours.c_str(), "%H:%M", &zone);
      if (zone_end == nullptr || *zone_end != '\0') continue;
      offset = (zone.tm_hour * 60 + zone.tm_min) * 60 * (rest[0] == '-' ? -1 : 1);
      rest = {};
    }
    if (!rest.empty() && rest != "Z" && rest != "z") continue;
    return static_cast<double>(::timegm(&parts)) - offset;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace taut::ai
