// CUPTI's activity records: kernels, copies, fills, and the calls that launched them.

#include "src/profiler/cupti.h"
#include "taut/core/cuda.h"
#include "taut/core/cuda_graph.h"

// Set by the build where it found cupti.h; what is here without says so.
#if defined(TAUT_HAS_CUPTI)
#include <cuda.h>
#include <cuda_runtime.h>
#include <cupti.h>
#include <cxxabi.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <utility>

#include "kernels/api/cuda_library.h"
#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"
#include "src/profiler/recorder.h"
#include "taut/base/check.h"
#endif

namespace taut::profiler {

#if defined(TAUT_HAS_CUPTI)

namespace {

// Records are laid out in the newest form that the library knows, whose beginning is that of the
// older ones; only fields that CUDA 12.0 had are read.
#if CUPTI_API_VERSION >= 130000
using KernelRecord = CUpti_ActivityKernel10;
using CopyRecord = CUpti_ActivityMemcpy6;
#else
using KernelRecord = CUpti_ActivityKernel9;
using CopyRecord = CUpti_ActivityMemcpy5;
#endif
using PeerCopyRecord = CUpti_ActivityMemcpyPtoP4;
using FillRecord = CUpti_ActivityMemset4;

constexpr size_t kBufferBytes = size_t{4} << 20;
constexpr size_t kBufferAlignment = 8;  // ACTIVITY_RECORD_ALIGNMENT of CUPTI's manual
constexpr auto kOwnIds = CUPTI_EXTERNAL_CORRELATION_KIND_CUSTOM0;

constexpr std::array kKinds = {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL,
                               CUPTI_ACTIVITY_KIND_MEMCPY,
                               CUPTI_ACTIVITY_KIND_MEMCPY2,
                               CUPTI_ACTIVITY_KIND_MEMSET,
                               CUPTI_ACTIVITY_KIND_RUNTIME,
                               CUPTI_ACTIVITY_KIND_DRIVER,
                               CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION};

// The functions of the library, which must be of the toolkit's major version.
struct Functions {
  std::string name = concat("libcupti.so.", CUDART_VERSION / 1000);
  kernels::cuda::CudaLibrary library{"CUPTI",
                                     {name.c_str(), concat("/usr/local/cuda/lib64/", name).c_str(),
                                      concat("/usr/local/cuda/extras/CUPTI/lib64/", name).c_str()}};
  decltype(&::cuptiActivityRegisterCallbacks) register_callbacks;
  decltype(&::cuptiActivityEnable) enable;
  decltype(&::cuptiActivityDisable) disable;
  decltype(&::cuptiActivityFlushAll) flush_all;
  decltype(&::cuptiActivityGetNextRecord) next_record;
  decltype(&::cuptiActivityGetNumDroppedRecords) count_dropped;
  decltype(&::cuptiActivityPushExternalCorrelationId) push_id;
  decltype(&::cuptiActivityPopExternalCorrelationId) pop_id;
  decltype(&::cuptiGetTimestamp) timestamp;
  decltype(&::cuptiGetCallbackName) callback_name;
  decltype(&::cuptiGetResultString) result_text;

  Functions() {
    library.find(register_callbacks, "cuptiActivityRegisterCallbacks");
    library.find(enable, "cuptiActivityEnable");
    library.find(disable, "cuptiActivityDisable");
    library.find(flush_all, "cuptiActivityFlushAll");
    library.find(next_record, "cuptiActivityGetNextRecord");
    library.find(count_dropped, "cuptiActivityGetNumDroppedRecords");
    library.find(push_id, "cuptiActivityPushExternalCorrelationId");
    library.find(pop_id, "cuptiActivityPopExternalCorrelationId");
    library.find(timestamp, "cuptiGetTimestamp");
    library.find(callback_name, "cuptiGetCallbackName");
    library.find(result_text, "cuptiGetResultString");
  }

  /// @throws CudaError in CUPTI's words.
  void check(const char* call, CUptiResult result) const {
    if (result == CUPTI_SUCCESS) return;
    const char* text = nullptr;
    result_text(result, &text);
    const bool is_forbidden = result == CUPTI_ERROR_INSUFFICIENT_PRIVILEGES ||
                              result == CUPTI_ERROR_VIRTUALIZED_DEVICE_INSUFFICIENT_PRIVILEGES;
    detail::raise<CudaError>(call, ": ", text == nullptr ? "unknown error" : text, " (",
                             static_cast<int>(result), ")",
                             is_forbidden ? "; the driver lets only administrators profile: see "
                                            "developer.nvidia.com/ERR_NVGPUCTRPERM"
                                          : "");
  }
};

// What CUPTI's clock is ahead of the monotonic one, of several readings the one that was quickest.
struct ClockOffset {
  int64_t at = 0;  // on CUPTI's clock
  int64_t offset = 0;

  static ClockOffset measure(const Functions& cupti) {
    ClockOffset best;
    int64_t shortest = INT64_MAX;
    for (int i = 0; i < 16; ++i) {
      const int64_t before = clock_now();
      uint64_t there = 0;
      cupti.check("cuptiGetTimestamp", cupti.timestamp(&there));
      const int64_t after = clock_now();
      if (after - before >= shortest) continue;
      shortest = after - before;
      best.at = static_cast<int64_t>(there);
      best.offset = best.at - (before + (after - before) / 2);
    }
    return best;
  }
};

// From CUPTI's clock to the monotonic one: the clocks may drift, so both ends are measured.
struct ClockMap {
  ClockOffset first, last;

  int64_t operator()(uint64_t time) const {
    const auto there = static_cast<int64_t>(time);
    const double span = static_cast<double>(last.at - first.at);
    const double part = span > 0 ? static_cast<double>(there - first.at) / span : 0;
    const double drift = part * static_cast<double>(last.offset - first.offset);
    return there - first.offset - static_cast<int64_t>(drift);
  }
};

std::string demangled(const char* name) {
  if (name == nullptr) return "unknown kernel";
  int status = 0;
  char* text = abi::__cxa_demangle(name, nullptr, nullptr, &status);
  std::string result = status == 0 && text != nullptr ? text : name;
  std::free(text);
  return result;
}

const char* memory_name(uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMORY_KIND_PAGEABLE: return "Pageable";
    case CUPTI_ACTIVITY_MEMORY_KIND_PINNED: return "Pinned";
    case CUPTI_ACTIVITY_MEMORY_KIND_DEVICE: return "Device";
    case CUPTI_ACTIVITY_MEMORY_KIND_ARRAY: return "Array";
    case CUPTI_ACTIVITY_MEMORY_KIND_MANAGED: return "Managed";
    default: return "Unknown";
  }
}

const char* direction_name(uint8_t kind) {
  switch (kind) {
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOD: return "HtoD";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOH: return "DtoH";
    case CUPTI_ACTIVITY_MEMCPY_KIND_DTOD: return "DtoD";
    case CUPTI_ACTIVITY_MEMCPY_KIND_HTOH: return "HtoH";
    case CUPTI_ACTIVITY_MEMCPY_KIND_PTOP: return "PtoP";
    default: return "copy";
  }
}

// Calls that ask and never wait, of which there are many and to which nobody looks.
bool is_noise(std::string_view name) {
  constexpr std::string_view kNames[] = {"cudaGetDevice",
                                         "cudaSetDevice",
                                         "cudaGetLastError",
                                         "cudaPeekAtLastError",
                                         "cudaDeviceGetAttribute",
                                         "cudaStreamIsCapturing",
                                         "cudaStreamGetCaptureInfo",
                                         "cudaEventQuery",
                                         "cudaFuncGetAttributes",
                                         "cuCtxGetCurrent",
                                         "cuCtxGetDevice",
                                         "cuCtxPushCurrent",
                                         "cuCtxPopCurrent",
                                         "cuDeviceGetAttribute",
                                         "cuStreamGetCaptureInfo",
                                         "cuStreamIsCapturing",
                                         "cuDevicePrimaryCtxGetState",
                                         "cuGetProcAddress"};
  for (const std::string_view noise : kNames) {
    if (name == noise) return true;
  }
  return false;
}

// "cudaLaunchKernel_v7000" is cudaLaunchKernel to everyone but CUPTI.
std::string without_version(std::string name) {
  const size_t at = name.rfind("_v");
  if (at == std::string::npos || at + 2 == name.size()) return name;
  for (size_t i = at + 2; i < name.size(); ++i) {
    if (name[i] < '0' || name[i] > '9') return name;
  }
  name.resize(at);
  return name;
}

class Cupti {
 public:
  void start() {
    if (!has_callbacks_) {
      functions_.check("cuptiActivityRegisterCallbacks",
                       functions_.register_callbacks(give_buffer, take_buffer));
      has_callbacks_ = true;
    }
    {
      const std::lock_guard lock(mutex_);
      recording_ = {};
    }
    size_t enabled = 0;
    try {
      for (; enabled < kKinds.size(); ++enabled) {
        functions_.check("cuptiActivityEnable", functions_.enable(kKinds[enabled]));
      }
      clocks_.first = ClockOffset::measure(functions_);
    } catch (...) {
      while (enabled-- > 0) functions_.disable(kKinds[enabled]);
      throw;
    }
    is_on_.store(true);
  }

  CuptiRecording stop() {
    is_on_.store(false);
    try {
      wait_for_gpus();
    } catch (const CudaError&) {
      // A GPU that cannot be waited for has no more to tell.
    }
    functions_.flush_all(0);
    for (const CUpti_ActivityKind kind : kKinds) functions_.disable(kind);
    // What was not complete a moment ago.
    functions_.flush_all(CUPTI_ACTIVITY_FLAG_FLUSH_FORCED);
    clocks_.last = clocks_.first;
    try {
      clocks_.last = ClockOffset::measure(functions_);
    } catch (const CudaError&) {
      // The offset of the start has to do.
    }
    const std::lock_guard lock(mutex_);
    for (DeviceEvent& event : recording_.device_events) to_our_clock(event);
    for (LaunchEvent& event : recording_.launches) to_our_clock(event);
    return std::exchange(recording_, {});
  }

  bool push(uint64_t id) noexcept {
    return is_on_.load(std::memory_order_relaxed) &&
           functions_.push_id(kOwnIds, id) == CUPTI_SUCCESS;
  }
  void pop() noexcept {
    uint64_t id = 0;
    functions_.pop_id(kOwnIds, &id);
  }

  // Never destroyed: CUPTI's threads call into it to the end.
  static Cupti& instance() {
    static Cupti& cupti = *new Cupti;
    return cupti;
  }

 private:
  static void CUPTIAPI give_buffer(uint8_t** buffer, size_t* bytes, size_t* most_records) {
    *buffer = static_cast<uint8_t*>(std::aligned_alloc(kBufferAlignment, kBufferBytes));
    *bytes = *buffer == nullptr ? 0 : kBufferBytes;
    *most_records = 0;  // as many as fit
  }

  static void CUPTIAPI take_buffer(CUcontext context, uint32_t stream, uint8_t* buffer, size_t,
                                   size_t bytes) {
    Cupti& self = instance();
    try {
      const std::lock_guard lock(self.mutex_);
      self.read(buffer, bytes);
      size_t dropped = 0;
      if (self.functions_.count_dropped(context, stream, &dropped) == CUPTI_SUCCESS) {
        self.recording_.lost += static_cast<int64_t>(dropped);
      }
    } catch (...) {
      ++self.recording_.lost;  // no memory: nothing may be thrown into CUPTI
    }
    std::free(buffer);
  }

  void read(uint8_t* buffer, size_t bytes) {
    CUpti_Activity* record = nullptr;
    while (bytes > 0 && functions_.next_record(buffer, bytes, &record) == CUPTI_SUCCESS) {
      read(*record);
    }
  }

  void read(const CUpti_Activity& record) {
    switch (record.kind) {
      case CUPTI_ACTIVITY_KIND_KERNEL:
      case CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL:
        return read_kernel(reinterpret_cast<const KernelRecord&>(record));
      case CUPTI_ACTIVITY_KIND_MEMCPY:
        return read_copy(reinterpret_cast<const CopyRecord&>(record));
      case CUPTI_ACTIVITY_KIND_MEMCPY2:
        return read_copy(reinterpret_cast<const PeerCopyRecord&>(record));
      case CUPTI_ACTIVITY_KIND_MEMSET:
        return read_fill(reinterpret_cast<const FillRecord&>(record));
      case CUPTI_ACTIVITY_KIND_RUNTIME:
        return read_call(reinterpret_cast<const CUpti_ActivityAPI&>(record),
                         CUPTI_CB_DOMAIN_RUNTIME_API);
      case CUPTI_ACTIVITY_KIND_DRIVER:
        return read_call(reinterpret_cast<const CUpti_ActivityAPI&>(record),
                         CUPTI_CB_DOMAIN_DRIVER_API);
      case CUPTI_ACTIVITY_KIND_EXTERNAL_CORRELATION: {
        const auto& link = reinterpret_cast<const CUpti_ActivityExternalCorrelation&>(record);
        if (link.externalKind == kOwnIds) {
          recording_.external_ids[link.correlationId] = link.externalId;
        }
        return;
      }
      default: return;
    }
  }

  // What all records of work on a GPU have. One without times was not measured.
  template <class Record>
  DeviceEvent* add(const Record& record, DeviceEvent::Kind kind) {
    if (record.start == 0 || record.end == 0) {
      ++recording_.lost;
      return nullptr;
    }
    DeviceEvent& event = recording_.device_events.emplace_back();
    event.kind = kind;
    event.start = static_cast<int64_t>(record.start);
    event.end = static_cast<int64_t>(record.end);
    event.device = static_cast<int>(record.deviceId);
    event.stream = record.streamId;
    event.correlation = record.correlationId;
    event.graph = record.graphNodeId != 0 ? record.graphId : 0;
    return &event;
  }

  void read_kernel(const KernelRecord& record) {
    DeviceEvent* event = add(record, DeviceEvent::Kind::kernel);
    if (event == nullptr) return;
    event->name = demangled(record.name);
    event->grid[0] = record.gridX;
    event->grid[1] = record.gridY;
    event->grid[2] = record.gridZ;
    event->block[0] = record.blockX;
    event->block[1] = record.blockY;
    event->block[2] = record.blockZ;
    event->registers = record.registersPerThread;
    event->shared_memory = int64_t{record.staticSharedMemory} + record.dynamicSharedMemory;
  }

  template <class Record>
  void read_copy(const Record& record) {
    DeviceEvent* event = add(record, DeviceEvent::Kind::memcpy);
    if (event == nullptr) return;
    event->bytes = static_cast<int64_t>(record.bytes);
    event->name = concat("Memcpy ", direction_name(record.copyKind), " (",
                         memory_name(record.srcKind), " -> ", memory_name(record.dstKind), ")");
  }

  void read_fill(const FillRecord& record) {
    DeviceEvent* event = add(record, DeviceEvent::Kind::memset);
    if (event == nullptr) return;
    event->bytes = static_cast<int64_t>(record.bytes);
    event->name = "Memset (Device)";
  }

  void read_call(const CUpti_ActivityAPI& record, CUpti_CallbackDomain domain) {
    const std::string& name = name_of(domain, record.cbid);
    if (is_noise(name)) return;
    LaunchEvent& event = recording_.launches.emplace_back();
    event.name = name;
    event.start = static_cast<int64_t>(record.start);
    event.end = static_cast<int64_t>(record.end);
    event.thread = record.threadId;
    event.correlation = record.correlationId;
  }

  const std::string& name_of(CUpti_CallbackDomain domain, CUpti_CallbackId id) {
    std::string& name = names_[static_cast<uint64_t>(domain) << 32 | id];
    if (name.empty()) {
      const char* text = nullptr;
      const bool is_known = functions_.callback_name(domain, id, &text) == CUPTI_SUCCESS;
      name = is_known && text != nullptr ? without_version(text) : concat("call ", id);
    }
    return name;
  }

  template <class TimedEvent>
  void to_our_clock(TimedEvent& event) const {
    event.start = clocks_(static_cast<uint64_t>(event.start));
    event.end = clocks_(static_cast<uint64_t>(event.end));
  }

  // Waits for the devices that were used; errors of their kernels are for others to find. A stream
  // that is being captured holds no work, and waiting would end the capture.
  static void wait_for_gpus() {
    if (cuda::is_current_stream_capturing()) return;
    const auto is_used = reinterpret_cast<decltype(&::cuDevicePrimaryCtxGetState)>(
        cuda::find_driver_function("cuDevicePrimaryCtxGetState", 12000));
    for (int i = 0; i < cuda::device_count(); ++i) {
      unsigned flags = 0;
      int is_active = 0;
      if (is_used != nullptr) is_used(i, &flags, &is_active);
      if (is_active == 0) continue;
      const cuda::RuntimeGuard guard(Device(DeviceType::cuda, i));
      cudaDeviceSynchronize();
    }
  }

  const Functions functions_;
  bool has_callbacks_ = false;
  std::atomic<bool> is_on_{false};
  ClockMap clocks_;
  std::mutex mutex_;  // of what follows, which CUPTI's threads write
  CuptiRecording recording_;
  std::unordered_map<uint64_t, std::string> names_;
};

}  // namespace

std::string cupti_start() {
  if (!cuda::is_available()) return "there is no GPU that CUDA can use";
  try {
    Cupti::instance().start();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

CuptiRecording cupti_stop() { return Cupti::instance().stop(); }
bool cupti_push(uint64_t external_id) noexcept { return Cupti::instance().push(external_id); }
void cupti_pop() noexcept { Cupti::instance().pop(); }

#else

std::string cupti_start() {
  return "this build of taut has no CUPTI: its headers were not found when it was configured";
}
CuptiRecording cupti_stop() { return {}; }
bool cupti_push(uint64_t) noexcept { return false; }
void cupti_pop() noexcept {}

#endif

}  // namespace taut::profiler
