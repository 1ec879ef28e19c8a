// Bytes between the host and GPUs, and between GPUs.

#include "src/core/cuda/context.h"
#include "src/core/cuda/pinned_memory.h"
#include "src/core/cuda_runtime.h"

namespace taut::cuda {
namespace {

// The copy runs on the target's stream, after what the source's stream holds; what comes on the
// source's stream later waits for it, so that the source's memory is not used again too early.
void copy_between_gpus(Device target_device, void* to, Device source_device, const void* from,
                       size_t bytes) {
  const Stream target = current_stream(target_device);
  const Stream source = current_stream(source_device);
  target.wait(source);
  const RuntimeGuard guard(target_device);
  check("copy", cudaMemcpyPeerAsync(to, target_device.index(), from, source_device.index(), bytes,
                                    static_cast<cudaStream_t>(target.handle())));
  source.wait(target);
}

}  // namespace

void enter(Device device) { make_current(device); }

void copy_bytes(const Storage& target, void* to, const Storage& source, const void* from,
                size_t bytes, bool non_blocking) {
  const Device target_device = target->device();
  const Device source_device = source->device();
  if (target_device.is_cuda() && source_device.is_cuda()) {
    check_device(target_device);
    check_device(source_device);
    copy_between_gpus(target_device, to, source_device, from, bytes);
    return;
  }
  const Device gpu = target_device.is_cuda() ? target_device : source_device;
  check_device(gpu);
  const Storage& host = target_device.is_cuda() ? source : target;
  const bool must_wait = !non_blocking || !is_pinned(host);
  if (must_wait) check_can_wait("copy", gpu);
  const RuntimeGuard guard(gpu);
  const cudaStream_t stream = stream_on(gpu.index());
  check("copy", cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream));
  if (!must_wait) {
    record_pinned_use(host, gpu, stream);
    return;
  }
  // From pageable memory the bytes are on their way once the call returns.
  if (target_device.is_cuda() && !is_pinned(host)) return;
  check("copy", cudaStreamSynchronize(stream));
  throw_index_fault(gpu);
}

}  // namespace taut::cuda
