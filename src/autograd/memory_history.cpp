#include "taut/autograd/memory_history.h"

#include "taut/core/cuda.h"

namespace taut::cuda {

void MemoryHistory::on_op(const autograd::OpRecord& record) {
  for (const autograd::TensorRef& output : record.outputs) {
    if (!output->defined() || !output->is_cuda()) continue;
    // A view holds nothing of its own.
    if (!output->impl()->view_base) set_memory_holder(output->storage(), record.name);
  }
}

}  // namespace taut::cuda
