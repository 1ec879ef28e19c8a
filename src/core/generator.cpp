#include "taut/core/generator.h"

#include <random>

namespace taut {
namespace {
std::atomic<bool> deterministic{false};
}

uint64_t Generator::seed() {
  std::random_device device;
  const uint64_t fresh = (static_cast<uint64_t>(device()) << 32) | device();
  manual_seed(fresh);
  return fresh;
}

Generator& default_generator() {
  static Generator generator;
  return generator;
}

void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

void use_deterministic_algorithms(bool enabled) { deterministic.store(enabled); }
bool are_deterministic_algorithms_enabled() { return deterministic.load(); }

}  // namespace taut
