#include "src/ops/precision.h"

#include <atomic>

#include "taut/base/check.h"
#include "taut/ops/matmul.h"

namespace taut {
namespace {

using kernels::Float32Precision;

std::atomic<Float32Precision> chosen{Float32Precision::highest};

constexpr std::string_view kNames[] = {"highest", "high", "medium"};

}  // namespace

void set_float32_matmul_precision(std::string_view precision) {
  for (int i = 0; i < 3; ++i) {
    if (kNames[i] == precision) {
      chosen.store(static_cast<Float32Precision>(i), std::memory_order_relaxed);
      return;
    }
  }
  detail::raise<ValueError>(
      "set_float32_matmul_precision: expected \"highest\", \"high\" or "
      "\"medium\"; got \"",
      precision, "\"");
}

std::string_view get_float32_matmul_precision() {
  return kNames[static_cast<int>(chosen.load(std::memory_order_relaxed))];
}

namespace ops {

Float32Precision float32_precision() { return chosen.load(std::memory_order_relaxed); }

}  // namespace ops
}  // namespace taut
