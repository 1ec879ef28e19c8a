// Where kernels report indices that are out of range; see Note [Index faults].

#include <atomic>
#include <mutex>

#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"

namespace taut::cuda {
namespace {

// One for each device. The report lies in host memory that kernels write through its device
// address.
struct FaultSlot {
  std::once_flag once;
  IndexFault* report = nullptr;
  IndexFaultSlot on_device;
};
FaultSlot slots[kMaxDevices];

void create(FaultSlot& slot) {
  void* report = nullptr;
  check("cudaHostAlloc",
        cudaHostAlloc(&report, sizeof(IndexFault), cudaHostAllocMapped | cudaHostAllocPortable));
  void* address = nullptr;
  check("cudaHostGetDevicePointer", cudaHostGetDevicePointer(&address, report, 0));
  void* claimed = nullptr;
  check("cudaMalloc", cudaMalloc(&claimed, sizeof(unsigned int)));
  check("cudaMemset", cudaMemset(claimed, 0, sizeof(unsigned int)));
  slot.on_device = {static_cast<unsigned int*>(claimed), static_cast<IndexFault*>(address)};
  slot.report = new (report) IndexFault;
}

// Takes the report, which is complete; then kernels may write the next.
IndexFault take(FaultSlot& slot, Device device) {
  const IndexFault found = *slot.report;
  const RuntimeGuard guard(device);
  check("cudaMemset", cudaMemset(slot.on_device.claimed, 0, sizeof(unsigned int)));
  return found;
}

}  // namespace

IndexFaultSlot index_fault() {
  FaultSlot& slot = slots[launch_device()];
  std::call_once(slot.once, [&] { create(slot); });
  return slot.on_device;
}

void throw_index_fault(Device device) {
  FaultSlot& slot = slots[device.index()];
  if (TAUT_LIKELY(slot.report == nullptr)) return;
  const std::atomic_ref complete(slot.report->complete);
  if (TAUT_LIKELY(complete.load(std::memory_order_acquire) == 0)) return;
  if (complete.exchange(0) == 0) return;  // another thread tells of it
  const IndexFault found = take(slot, device);
  if (found.expected != nullptr) {
    detail::raise<ValueError>(found.op, ": expected ", found.expected, "; got ", found.value,
                              " at position ", found.position);
  }
  detail::raise<IndexError>(
      found.op, ": index ", found.index, " is out of range for a dim of size ", found.size,
      "; it stands at position ", found.position, " of index tensor ", found.operand);
}

}  // namespace taut::cuda
