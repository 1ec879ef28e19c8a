// Where kernels report indices that are out of range; see Note [Index faults].

#include <atomic>
#include <mutex>

#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"

namespace taut::cuda {
namespace {

// One for each device, in host memory that kernels write through its device address.
struct FaultSlot {
  std::once_flag once;
  IndexFault* host = nullptr;
  IndexFault* device = nullptr;
};
FaultSlot slots[kMaxDevices];

void create(FaultSlot& slot) {
  void* host = nullptr;
  check("cudaHostAlloc",
        cudaHostAlloc(&host, sizeof(IndexFault), cudaHostAllocMapped | cudaHostAllocPortable));
  void* device = nullptr;
  check("cudaHostGetDevicePointer", cudaHostGetDevicePointer(&device, host, 0));
  slot.host = new (host) IndexFault;
  slot.device = static_cast<IndexFault*>(device);
}

}  // namespace

IndexFault* index_fault() {
  FaultSlot& slot = slots[launch_device()];
  std::call_once(slot.once, [&] { create(slot); });
  return slot.device;
}

void throw_index_fault(Device device) {
  IndexFault* fault = slots[device.index()].host;
  if (TAUT_LIKELY(fault == nullptr)) return;
  if (TAUT_LIKELY(std::atomic_ref(fault->complete).load(std::memory_order_acquire) == 0)) return;
  const IndexFault found = *fault;
  std::atomic_ref(fault->complete).store(0);
  std::atomic_ref(fault->claimed).store(0);
  if (found.expected != nullptr) {
    detail::raise<ValueError>(found.op, ": expected ", found.expected, "; got ", found.value,
                              " at position ", found.position);
  }
  detail::raise<IndexError>(
      found.op, ": index ", found.index, " is out of range for a dim of size ", found.size,
      "; it stands at position ", found.position, " of index tensor ", found.operand);
}

}  // namespace taut::cuda
