#include "taut/base/interrupt.h"

#include <atomic>

namespace taut {
namespace {

std::atomic<InterruptCheck> current_check{nullptr};

}  // namespace

void set_interrupt_check(InterruptCheck check) { current_check.store(check); }

void check_interrupt() {
  const InterruptCheck check = current_check.load(std::memory_order_relaxed);
  if (TAUT_UNLIKELY(check != nullptr)) check();
}

}  // namespace taut
