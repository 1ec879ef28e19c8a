// Devices, streams and what is current on this thread.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>

#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"
#include "src/core/cuda_runtime.h"
#include "taut/core/cuda.h"
#include "taut/core/stream.h"

namespace taut::cuda {
namespace {

// What is current on a thread. The runtime keeps a device of its own, which other libraries may
// change; make_current() sees to it that both agree when something is launched.
struct ThreadState {
  int device = 0;    // what "cuda" stands for
  int launched = 0;  // where the latest op went
  cudaStream_t streams[kMaxDevices] = {};
};
thread_local ThreadState state;

std::atomic<bool> sync_debug{[] {
  const char* text = std::getenv("TAUT_CUDA_SYNC");
  return text != nullptr && text[0] != '\0' && text[0] != '0';
}()};

constexpr int kStreamsOfPool = 32;

// The streams of one device, one set for each priority that the device knows.
class StreamPool {
 public:
  cudaStream_t next(Device device, int priority) {
    const std::lock_guard lock(mutex_);
    if (!has_range_) read_range(device);
    priority = std::min(std::max(priority, greatest_), least_);
    Level& level = levels_[static_cast<size_t>(least_ - priority)];
    cudaStream_t& stream = level.streams[level.next++ % kStreamsOfPool];
    if (stream == nullptr) {
      const RuntimeGuard guard(device);
      check("cudaStreamCreateWithPriority",
            cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, priority));
    }
    return stream;
  }

 private:
  static constexpr int kLevels = 8;
  struct Level {
    std::array<cudaStream_t, kStreamsOfPool> streams = {};
    unsigned next = 0;
  };

  void read_range(Device device) {
    const RuntimeGuard guard(device);
    check("cudaDeviceGetStreamPriorityRange",
          cudaDeviceGetStreamPriorityRange(&least_, &greatest_));
    greatest_ = std::max(greatest_, least_ - kLevels + 1);
    has_range_ = true;
  }

  std::mutex mutex_;
  bool has_range_ = false;
  int least_ = 0;
  int greatest_ = 0;
  std::array<Level, kLevels> levels_;
};

StreamPool& stream_pool(int device) {
  static auto& pools = *new std::array<StreamPool, kMaxDevices>;  // streams outlive every thread
  return pools[static_cast<size_t>(device)];
}

}  // namespace

int device_count() {
  static const int count = [] {
    int found = 0;
    if (cudaGetDeviceCount(&found) != cudaSuccess) {
      cudaGetLastError();
      found = 0;
    }
    return std::min(found, kMaxDevices);
  }();
  return count;
}

bool is_available() { return device_count() > 0; }
bool is_built() { return true; }

void check_device(Device device) {
  const int count = device_count();
  TAUT_CHECK(device.is_cuda(), DeviceError, "cuda: expected a GPU; got ", device);
  TAUT_CHECK(device.index() < count, DeviceError, "device: ", device,
             " is not there; this machine ",
             count == 0   ? concat("has no GPU that CUDA can use")
             : count == 1 ? concat("has one GPU, cuda:0")
                          : concat("has ", count, " GPUs, cuda:0 to cuda:", count - 1));
}

void make_current(Device device) {
  const int index = device.index();
  // With one GPU there is nothing that could be current but it.
  if (TAUT_UNLIKELY(device_count() != 1)) {
    int now = -1;
    check_device(device);
    check("cudaGetDevice", cudaGetDevice(&now));
    if (now != index) check("cudaSetDevice", cudaSetDevice(index));
  } else if (TAUT_UNLIKELY(index != 0)) {
    check_device(device);
  }
  state.launched = index;
}

void synchronize(Device device) {
  check_device(device);
  check_can_wait("synchronize", device);
  const RuntimeGuard guard(device);
  check("synchronize", cudaDeviceSynchronize());
  throw_index_fault(device);
}

// ---- what is current
// -----------------------------------------------------------------------------

int current_device() { return state.device; }

void set_device(int index) {
  TAUT_CHECK(index >= 0 && index < kMaxDevices, DeviceError, "set_device: there is no GPU ", index);
  check_device(Device(DeviceType::cuda, index));
  state.device = index;
  make_current(Device(DeviceType::cuda, index));
}

DeviceGuard::DeviceGuard(Device device) : previous_(current_device()) {
  set_device(device.index());
}
DeviceGuard::~DeviceGuard() { state.device = previous_; }

cudaStream_t stream_on(int device) { return state.streams[device]; }
void* launch_stream() { return state.streams[state.launched]; }
int launch_device() { return state.launched; }
bool is_launch_captured() { return is_captured(stream_on(state.launched)); }
void check_can_wait(const char* op) {
  check_can_wait(op, Device(DeviceType::cuda, state.launched));
}

Stream current_stream(Device device) {
  check_device(device);
  return Stream::from_handle(device, stream_on(device.index()));
}
Stream current_stream() { return current_stream(Device(DeviceType::cuda, current_device())); }

void set_stream(const Stream& stream) {
  check_device(stream.device());
  state.streams[stream.device().index()] = static_cast<cudaStream_t>(stream.handle());
}

StreamGuard::StreamGuard(const Stream& stream)
    : previous_(current_stream(stream.device())), previous_device_(current_device()) {
  set_stream(stream);
  state.device = stream.device().index();
}
StreamGuard::~StreamGuard() {
  state.streams[previous_.device().index()] = static_cast<cudaStream_t>(previous_.handle());
  state.device = previous_device_;
}

// ---- streams
// -------------------------------------------------------------------------------------

Stream Stream::from_pool(Device device, int priority) {
  check_device(device);
  return Stream(device, stream_pool(device.index()).next(device, priority));
}

int Stream::priority() const {
  check_device(device_);
  const RuntimeGuard guard(device_);
  int result = 0;
  check("stream.priority", cudaStreamGetPriority(static_cast<cudaStream_t>(handle_), &result));
  return result;
}

void Stream::synchronize() const {
  check_device(device_);
  check_can_wait("stream.synchronize", device_);
  const RuntimeGuard guard(device_);
  check("stream.synchronize", cudaStreamSynchronize(static_cast<cudaStream_t>(handle_)));
  throw_index_fault(device_);
}

bool Stream::query() const {
  check_device(device_);
  check_can_wait("stream.query", device_);
  const RuntimeGuard guard(device_);
  const cudaError_t status = cudaStreamQuery(static_cast<cudaStream_t>(handle_));
  if (status == cudaErrorNotReady) return false;
  check("stream.query", status);
  return true;
}

void Stream::wait(const Event& event) const {
  if (event.handle() == nullptr) return;
  const RuntimeGuard guard(device_);
  check("stream.wait", cudaStreamWaitEvent(static_cast<cudaStream_t>(handle_),
                                           static_cast<cudaEvent_t>(event.handle()), 0));
}

void Stream::wait(const Stream& other) const {
  if (*this == other) return;
  Event event;
  event.record(other);
  wait(event);
}

// ---- debugging
// -----------------------------------------------------------------------------------

void set_sync_debug_mode(bool enabled) { sync_debug.store(enabled); }
bool sync_debug_mode() { return sync_debug.load(); }

void synchronize_when_debugging(const char* op) {
  if (TAUT_LIKELY(!sync_debug.load(std::memory_order_relaxed))) return;
  const cudaStream_t stream = stream_on(state.launched);
  if (is_captured(stream)) return;
  check(op, cudaStreamSynchronize(stream));
  throw_index_fault(Device(DeviceType::cuda, state.launched));
}

}  // namespace taut::cuda
