#pragma once
// The order of work on a GPU: streams, events, and what is current on this thread.
//   const cuda::Stream side = cuda::Stream::from_pool();
//   { cuda::StreamGuard guard(side);  y = exp(x); }      // runs beside the default stream
//   cuda::current_stream().wait(side);                   // what follows sees y

#include <cstdint>
#include <memory>

#include "taut/core/device.h"

namespace taut::cuda {

class Event;

/// A queue of work on one GPU: what is put on it runs in that order. A value; copies name the same
/// queue, which is never destroyed.
class TAUT_API Stream {
 public:
  /// The default stream of `device`, on which work goes unless something else is asked for.
  explicit Stream(Device device = kCUDA) : device_(device) {}
  /// One of 32 streams that each device keeps for each priority, handed out in turn; they run
  /// beside the default stream. A lower number is more urgent; numbers beyond what the device knows
  /// are clamped. @throws DeviceError without the device.
  static Stream from_pool(Device device = kCUDA, int priority = 0);
  /// A cudaStream_t that somebody else made and keeps alive.
  static Stream from_handle(Device device, void* handle) { return Stream(device, handle); }

  Device device() const { return device_; }
  /// A cudaStream_t; null for the default stream.
  void* handle() const { return handle_; }
  /// The number that it was made with, lower being more urgent.
  int priority() const;

  /// Waits until the work queued so far is done. @throws CudaError or IndexError from that work.
  void synchronize() const;
  /// Whether it is done already.
  bool query() const;
  /// Work queued on this stream from now on waits for the event, or for what `other` holds now.
  void wait(const Event& event) const;
  void wait(const Stream& other) const;

  friend bool operator==(const Stream& a, const Stream& b) {
    return a.device_ == b.device_ && a.handle_ == b.handle_;
  }

 private:
  Stream(Device device, void* handle) : device_(device), handle_(handle) {}

  Device device_;
  void* handle_ = nullptr;
};

/// A mark in a stream that others can wait for, and that tells the time when it was reached.
class TAUT_API Event {
 public:
  /// With `enable_timing` elapsed_time can be asked; with `blocking` a waiting thread sleeps.
  explicit Event(bool enable_timing = false, bool blocking = false);

  /// Marks the work that is on `stream` now; an earlier mark is forgotten.
  void record(const Stream& stream);
  /// On the current stream of the current device.
  void record();
  /// Whether the marked work is done; true when nothing was marked.
  bool query() const;
  /// Waits for the marked work. @throws CudaError or IndexError from it.
  void synchronize() const;
  /// Milliseconds from this mark to `end`, both done.
  /// @throws ValueError unless both were made with enable_timing and recorded.
  double elapsed_time(const Event& end) const;
  /// A cudaEvent_t; null before the first record.
  void* handle() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

/// The stream that this thread's work on `device` goes to.
TAUT_API Stream current_stream(Device device);
/// On the current device.
TAUT_API Stream current_stream();
/// Makes a stream this thread's current one on its device. @throws DeviceError without the device.
TAUT_API void set_stream(const Stream& stream);

/// The GPU that "cuda" without an index stands for on this thread.
TAUT_API int current_device();
/// @throws DeviceError without the device.
TAUT_API void set_device(int index);

/// Makes a stream and its device current for a scope.
class TAUT_API StreamGuard {
 public:
  explicit StreamGuard(const Stream& stream);
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;
  ~StreamGuard();

 private:
  Stream previous_;
  int previous_device_;
};

/// Makes a device current for a scope.
class TAUT_API DeviceGuard {
 public:
  explicit DeviceGuard(Device device);
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;
  ~DeviceGuard();

 private:
  int previous_;
};

}  // namespace taut::cuda
