#include "kernels/api/simd_targets.h"
// Before Highway's headers.
#include <hwy/highway.h>

#include "taut/base/cpu.h"

namespace taut {

const char* simd_instruction_set() {
  // What was built and what the machine has; of Highway's bits the lowest is the best set.
  const auto both =
      static_cast<int64_t>(HWY_TARGETS) & static_cast<int64_t>(hwy::SupportedTargets());
  switch (both & -both) {
    case HWY_AVX3: return "AVX-512";
    case HWY_AVX2: return "AVX2";
    default: return hwy::TargetName(both & -both);
  }
}

}  // namespace taut
