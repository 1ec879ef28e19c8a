#include "src/profiler/recorder.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "src/core/cuda_runtime.h"
#include "src/core/memory_trace.h"
#include "src/profiler/cupti.h"
#include "src/profiler/nvtx.h"
#include "src/profiler/op_cost.h"
#include "taut/autograd/record.h"
#include "taut/core/cuda.h"

namespace taut::profiler {
namespace {

// What a scope has while it is open and after.
struct Entry {
  Event event;
  uint64_t external_id = 0;
  double direct_bytes = 0;
  bool has_record = false;
  bool is_marked = false;  // told to the GPU's tracer
};

// A thread's part of a recording; see Note [Logs of threads].
struct ThreadLog {
  std::mutex mutex;
  uint32_t session = 0;
  int64_t thread = syscall(SYS_gettid);
  bool is_orphan = false;      // its thread has ended
  std::deque<Entry> entries;   // which stay where they are as more come
  std::vector<uint32_t> open;  // positions of the entries that have not ended
  std::vector<MemoryEvent> memory;
  int64_t lost = 0;
  int stale_marks = 0;  // scopes that outlived their recording, which the GPU's tracer still has

  // Called by the log's own thread, whose marks are its own.
  void restart(uint32_t now) {
    for (; stale_marks > 0; --stale_marks) cupti_pop();
    session = now;
    entries.clear();
    open.clear();
    memory.clear();
    lost = 0;
  }
  Entry* innermost() { return open.empty() ? nullptr : &entries[open.back()]; }
};

constinit thread_local ThreadLog* thread_log = nullptr;

int device_key(Device device) { return device.is_cpu() ? -1 : device.index(); }

// Tokens: a bit for a range of NVTX, the recording, the position of the entry plus 1.
constexpr uint64_t kNvtxBit = uint64_t{1} << 63;
constexpr uint32_t kSessionMask = 0x7fffffff;

class Recorder {
 public:
  /// The log of this thread, made at its first need; null when the thread is at its end.
  ThreadLog* log() {
    ThreadLog* mine = thread_log;
    return TAUT_LIKELY(mine != nullptr) ? mine : join();
  }
  std::vector<std::shared_ptr<ThreadLog>> logs() {
    const std::lock_guard lock(mutex_);
    return logs_;
  }
  /// Forgets the logs of threads that have ended.
  void drop_orphans() {
    const std::lock_guard lock(mutex_);
    std::erase_if(logs_, [](const auto& log) {
      const std::lock_guard log_lock(log->mutex);
      return log->is_orphan;
    });
  }

  std::atomic<uint32_t> session{0};  // 0: no recording
  std::atomic<bool> nvtx{false};
  std::atomic<uint64_t> next_id{1};
  uint32_t last_session = 0;
  RecorderOptions options;
  bool marks_launches = false;
  int64_t origin = 0;
  std::map<int, int64_t> allocated_before;  // by device_key

 private:
  // What is still freed while a thread ends goes unseen.
  struct Owner {
    std::shared_ptr<ThreadLog> log;
    ~Owner() {
      thread_log = nullptr;
      const std::lock_guard lock(log->mutex);
      log->is_orphan = true;
    }
  };
  ThreadLog* join() {
    static constinit thread_local bool has_joined = false;
    if (has_joined) return nullptr;
    auto log = std::make_shared<ThreadLog>();
    {
      const std::lock_guard lock(mutex_);
      logs_.push_back(log);
    }
    static thread_local Owner owner;
    owner.log = std::move(log);
    has_joined = true;
    return thread_log = owner.log.get();
  }

  std::mutex mutex_;
  std::vector<std::shared_ptr<ThreadLog>> logs_;
};

// Never destroyed: scopes may end while the process does.
Recorder& recorder() {
  static Recorder& instance = *new Recorder;
  return instance;
}

// Calls body(log) with the log of the recording that runs, locked; nothing when none runs.
template <class Body>
void with_log(const Body& body) noexcept {
  Recorder& self = recorder();
  if (self.session.load(std::memory_order_acquire) == 0) return;
  try {
    ThreadLog* const mine = self.log();
    if (mine == nullptr) return;
    ThreadLog& log = *mine;
    const std::lock_guard lock(log.mutex);
    // Asked again under the lock, which the end of a recording takes after it has set this to 0.
    const uint32_t session = self.session.load(std::memory_order_acquire);
    if (session == 0) return;
    if (log.session != session) log.restart(session);
    try {
      body(log);
    } catch (...) {
      ++log.lost;
    }
  } catch (...) {
    // No memory for a log: the recording goes on without this thread.
  }
}

std::string event_name(ScopeKind kind, const char* name, uint64_t sequence) {
  std::string result = name;
  if (kind == ScopeKind::backward && sequence != 0) result += "_backward";
  return result;
}

uint64_t begin(ScopeKind kind, const char* name, uint64_t sequence) noexcept {
  uint64_t token = 0;
  if (recorder().nvtx.load(std::memory_order_relaxed)) {
    nvtx_push(name);
    token = kNvtxBit;
  }
  with_log([&](ThreadLog& log) {
    const RecorderOptions& options = recorder().options;
    if (!options.scopes || (kind == ScopeKind::module && !options.with_modules)) return;
    Entry entry;
    entry.event.name = event_name(kind, name, sequence);
    entry.event.kind = kind;
    entry.event.thread = log.thread;
    entry.event.parent = log.open.empty() ? -1 : static_cast<int>(log.open.back());
    entry.event.sequence = sequence;
    entry.event.end = -1;
    log.open.reserve(log.open.size() + 1);
    log.entries.push_back(std::move(entry));
    const auto position = static_cast<uint32_t>(log.entries.size() - 1);
    log.open.push_back(position);
    Entry& made = log.entries.back();
    made.external_id = recorder().next_id.fetch_add(1, std::memory_order_relaxed);
    if (recorder().marks_launches) made.is_marked = cupti_push(made.external_id);
    autograd::set_ops_traced(true);
    token |= static_cast<uint64_t>(log.session) << 32 | (position + 1);
    // Last, so that a bar holds little of the profiler's own work.
    made.event.start = clock_now();
  });
  return token;
}

void end(uint64_t token) noexcept {
  const int64_t now = clock_now();
  if ((token & kNvtxBit) != 0) nvtx_pop();
  const auto position = static_cast<uint32_t>(token);
  if (position == 0) return;
  ThreadLog* const mine = thread_log;
  if (mine == nullptr) return;
  ThreadLog& log = *mine;
  const std::lock_guard lock(log.mutex);
  const bool is_known = log.session == (token >> 32 & kSessionMask);
  // A range of a user may end before those that began in it; they end with it.
  const auto found = std::find(log.open.begin(), log.open.end(), position - 1);
  if (is_known && found != log.open.end()) {
    for (auto at = found; at != log.open.end(); ++at) {
      Entry& entry = log.entries[*at];
      entry.event.end = now;
      if (entry.is_marked) cupti_pop();
    }
    log.open.erase(found, log.open.end());
  }
  if (log.open.empty()) autograd::set_ops_traced(false);
}

void add_cost(double flops, double bytes) noexcept {
  with_log([&](ThreadLog& log) {
    Entry* entry = log.innermost();
    if (entry == nullptr || !recorder().options.with_flops) return;
    entry->event.flops += flops;
    entry->event.bytes += bytes;
  });
}

void add_node(uint64_t sequence) noexcept {
  with_log([&](ThreadLog& log) {
    Entry* entry = log.innermost();
    if (entry != nullptr && entry->event.kind == ScopeKind::op) entry->event.sequence = sequence;
  });
}

void note_shapes(Event& event, autograd::TensorRefs inputs) {
  for (const autograd::TensorRef& input : inputs) {
    if (!input->defined()) {
      event.input_shapes.emplace_back();
      event.input_dtypes.push_back(DType::float32);
      continue;
    }
    const Dims& shape = input->shape();
    event.input_shapes.emplace_back(shape.begin(), shape.end());
    event.input_dtypes.push_back(input->dtype());
  }
}

// Where an op computes and in what: as its first output says, or else its first input.
void note_place(Event& event, const autograd::OpRecord& record) {
  for (const autograd::TensorRefs tensors : {record.outputs, record.inputs}) {
    for (const autograd::TensorRef& tensor : tensors) {
      if (!tensor->defined()) continue;
      event.device = tensor->device();
      event.dtype = tensor->dtype();
      return;
    }
  }
}

void describe(Event& event, const autograd::OpRecord& record) {
  note_place(event, record);
  const RecorderOptions& options = recorder().options;
  if (options.record_shapes) note_shapes(event, record.inputs);
  if (!options.with_flops) return;
  const OpCost cost = op_cost(record);
  event.flops += cost.flops;
  event.bytes += cost.bytes;
}

void on_op(const autograd::OpRecord& record) noexcept {
  with_log([&](ThreadLog& log) {
    Entry* scope = log.innermost();
    if (scope != nullptr && scope->event.kind == ScopeKind::op && !scope->has_record) {
      scope->has_record = true;
      describe(scope->event, record);
      return;
    }
    // An op without a scope of its own: it is known to have ended here.
    Entry entry;
    entry.event.name = record.name;
    entry.event.thread = log.thread;
    entry.event.parent = log.open.empty() ? -1 : static_cast<int>(log.open.back());
    entry.event.start = entry.event.end = clock_now();
    entry.has_record = true;
    describe(entry.event, record);
    log.entries.push_back(std::move(entry));
  });
}

void on_backward(const autograd::BackwardRecord& record) noexcept {
  with_log([&](ThreadLog& log) {
    Entry* scope = log.innermost();
    if (scope == nullptr || scope->event.kind != ScopeKind::backward) return;
    for (const Tensor& grad : record.grads) {
      if (!grad.defined()) continue;
      scope->event.device = grad.device();
      scope->event.dtype = grad.dtype();
    }
    if (recorder().options.with_flops) scope->direct_bytes = backward_bytes(record);
  });
}

void note_memory(Device device, const void* address, int64_t bytes) noexcept {
  with_log([&](ThreadLog& log) {
    MemoryEvent event;
    event.time = clock_now();
    event.device = device;
    event.address = reinterpret_cast<uintptr_t>(address);
    event.bytes = bytes;
    event.event = log.open.empty() ? -1 : static_cast<int>(log.open.back());
    log.memory.push_back(event);
    if (Entry* entry = log.innermost()) {
      (device.is_cpu() ? entry->event.cpu_memory : entry->event.cuda_memory) += bytes;
    }
  });
}

void on_allocate(Device device, const void* address, size_t bytes) noexcept {
  note_memory(device, address, static_cast<int64_t>(bytes));
}
void on_release(Device device, const void* address, size_t bytes) noexcept {
  note_memory(device, address, -static_cast<int64_t>(bytes));
}

constexpr TraceSink kTraceSink{begin, end, add_cost, add_node};
constexpr autograd::OpTracer kOpTracer{on_op, on_backward};
constexpr MemorySink kMemorySink{on_allocate, on_release};

void install() {
  const Recorder& self = recorder();
  const bool is_recording = self.session.load() != 0;
  const bool sees_scopes = is_recording && self.options.scopes;
  autograd::set_op_tracer(sees_scopes ? &kOpTracer : nullptr);
  set_memory_sink(is_recording && self.options.profile_memory ? &kMemorySink : nullptr);
  set_trace_sink(sees_scopes || self.nvtx.load() ? &kTraceSink : nullptr);
}

std::map<int, int64_t> allocated_now() {
  std::map<int, int64_t> result{{device_key(kCPU), memory_stats(kCPU).allocated}};
  for (int i = 0; i < cuda::device_count(); ++i) {
    const Device device(DeviceType::cuda, i);
    if (cuda::has_memory(device)) result[device_key(device)] = memory_stats(device).allocated;
  }
  return result;
}

// Moves a thread's part to the end of the recording; positions are counted anew.
void take_log(ThreadLog& log, uint32_t session, int64_t now, Recording& recording) {
  const std::lock_guard lock(log.mutex);
  if (log.session != session) return;
  const int base = static_cast<int>(recording.events.size());
  const int64_t origin = recorder().origin;
  for (Entry& entry : log.entries) {
    Event& event = entry.event;
    // What has not ended, or ended while the recording did, ends with it.
    event.start = std::min(event.start, now) - origin;
    event.end = (event.end < 0 ? now : std::min(event.end, now)) - origin;
    if (event.parent >= 0) event.parent += base;
    recording.external_ids.push_back(entry.external_id);
    recording.direct_bytes.push_back(entry.direct_bytes);
    recording.events.push_back(std::move(event));
  }
  for (MemoryEvent& event : log.memory) {
    event.time = std::min(event.time, now) - origin;
    if (event.event >= 0) event.event += base;
    recording.memory.push_back(event);
  }
  recording.lost += log.lost;
  for (const uint32_t position : log.open) log.stale_marks += log.entries[position].is_marked;
  log.open.clear();
  log.entries.clear();
  log.memory.clear();
  log.session = 0;  // scopes that are still open end without a trace
}

// In the order of time, with what each device has allocated.
void finish_memory(Recording& recording) {
  std::stable_sort(recording.memory.begin(), recording.memory.end(),
                   [](const MemoryEvent& a, const MemoryEvent& b) { return a.time < b.time; });
  std::map<int, int64_t> allocated = recorder().allocated_before;
  for (MemoryEvent& event : recording.memory) {
    event.allocated = allocated[device_key(event.device)] += event.bytes;
  }
}

}  // namespace

int64_t clock_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void start_recording(const RecorderOptions& options, bool marks_launches) {
  Recorder& self = recorder();
  self.drop_orphans();
  self.options = options;
  self.marks_launches = marks_launches;
  if (options.profile_memory) self.allocated_before = allocated_now();
  self.last_session = (self.last_session + 1) & kSessionMask;
  if (self.last_session == 0) self.last_session = 1;
  self.origin = clock_now();
  self.session.store(self.last_session, std::memory_order_release);
  install();
}

Recording stop_recording() {
  Recorder& self = recorder();
  const uint32_t session = self.session.exchange(0);
  install();
  Recording recording;
  const int64_t now = clock_now();
  recording.origin = self.origin;
  recording.duration = now - self.origin;
  for (const auto& log : self.logs()) take_log(*log, session, now, recording);
  finish_memory(recording);
  return recording;
}

void set_nvtx_ranges(bool enabled) {
  recorder().nvtx.store(enabled);
  install();
}
bool has_nvtx_ranges() { return recorder().nvtx.load(); }

}  // namespace taut::profiler
