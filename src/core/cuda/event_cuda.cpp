// Marks in streams.

#include "src/core/cuda/context.h"
#include "taut/core/stream.h"

namespace taut::cuda {

// Made on the device of the stream at the first record.
struct Event::State {
  bool has_timing = false;
  bool is_blocking = false;
  Device device = kCUDA;
  cudaEvent_t event = nullptr;

  ~State() {
    if (event != nullptr) cudaEventDestroy(event);
  }

  void create_on(Device where) {
    if (event != nullptr && device == where) return;
    if (event != nullptr) {
      cudaEventDestroy(event);
      event = nullptr;
    }
    device = where;
    const unsigned flags = (has_timing ? cudaEventDefault : cudaEventDisableTiming) |
                           (is_blocking ? cudaEventBlockingSync : cudaEventDefault);
    check("event", cudaEventCreateWithFlags(&event, flags));
  }
};

Event::Event(bool enable_timing, bool blocking) : state_(std::make_shared<State>()) {
  state_->has_timing = enable_timing;
  state_->is_blocking = blocking;
}

void* Event::handle() const { return state_->event; }

void Event::record(const Stream& stream) {
  check_device(stream.device());
  const RuntimeGuard guard(stream.device());
  state_->create_on(stream.device());
  check("event.record", cudaEventRecord(state_->event, static_cast<cudaStream_t>(stream.handle())));
}

void Event::record() { record(current_stream()); }

bool Event::query() const {
  if (state_->event == nullptr) return true;
  const cudaError_t status = cudaEventQuery(state_->event);
  if (status == cudaErrorNotReady) return false;
  check("event.query", status);
  return true;
}

void Event::synchronize() const {
  if (state_->event == nullptr) return;
  check_can_wait("event.synchronize", state_->device);
  check("event.synchronize", cudaEventSynchronize(state_->event));
  throw_index_fault(state_->device);
}

double Event::elapsed_time(const Event& end) const {
  TAUT_CHECK(state_->has_timing && end.state_->has_timing, ValueError,
             "event.elapsed_time: both events must be made with enable_timing=True");
  TAUT_CHECK(state_->event != nullptr && end.state_->event != nullptr, ValueError,
             "event.elapsed_time: both events must be recorded first");
  float milliseconds = 0;
  check("event.elapsed_time",
        cudaEventElapsedTime(&milliseconds, state_->event, end.state_->event));
  return static_cast<double>(milliseconds);
}

}  // namespace taut::cuda
