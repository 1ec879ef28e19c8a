#pragma once
// Notes which op's result each block of a GPU's memory holds, for memory_snapshot and
// memory_summary.

#include "taut/autograd/record.h"

namespace taut::cuda {

/// Watches the ops of this thread while it lives.
class TAUT_API MemoryHistory final : public autograd::OpObserver {
 public:
  void on_op(const autograd::OpRecord& record) override;
};

}  // namespace taut::cuda
