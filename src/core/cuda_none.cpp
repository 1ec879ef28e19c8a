// A build without CUDA: no devices, and a clear error for whoever asks for one.

#include "src/core/cuda/captured_launches.h"
#include "src/core/cuda_runtime.h"
#include "taut/base/check.h"
#include "taut/core/cuda_graph.h"

namespace taut::cuda {
namespace {

[[noreturn]] void raise_not_built(Device device = kCUDA) {
  detail::raise<DeviceError>("device: ", device,
                             " is not available: this build of taut has no CUDA kernels; configure "
                             "with -DTAUT_WITH_CUDA=ON");
}

}  // namespace

int device_count() { return 0; }
bool is_available() { return false; }
bool is_built() { return false; }
DeviceProperties device_properties(Device device) { raise_not_built(device); }
void synchronize(Device device) { raise_not_built(device); }
void set_sync_debug_mode(bool) {}
bool sync_debug_mode() { return false; }

MemoryInfo mem_get_info(Device device) { raise_not_built(device); }
void set_per_process_memory_fraction(double, Device device) { raise_not_built(device); }
void record_stream(const Storage& storage, const Stream&) { raise_not_built(storage->device()); }
void set_memory_holder(const Storage&, const char*) {}
std::vector<MemoryBlockInfo> memory_snapshot(Device device) { raise_not_built(device); }
std::string memory_summary(Device device) { raise_not_built(device); }
Storage make_pinned_storage(size_t) { raise_not_built(); }
bool is_pinned(const Storage&) { return false; }

Stream Stream::from_pool(Device device, int) { raise_not_built(device); }
int Stream::priority() const { raise_not_built(device_); }
void Stream::synchronize() const { raise_not_built(device_); }
bool Stream::query() const { raise_not_built(device_); }
void Stream::wait(const Event&) const { raise_not_built(device_); }
void Stream::wait(const Stream&) const { raise_not_built(device_); }

struct Event::State {};
Event::Event(bool, bool) {}
void Event::record(const Stream& stream) { raise_not_built(stream.device()); }
void Event::record() { raise_not_built(); }
bool Event::query() const { return true; }
void Event::synchronize() const {}
double Event::elapsed_time(const Event&) const { raise_not_built(); }
void* Event::handle() const { return nullptr; }

Stream current_stream(Device device) { raise_not_built(device); }
Stream current_stream() { raise_not_built(); }
void set_stream(const Stream& stream) { raise_not_built(stream.device()); }
int current_device() { return 0; }
void set_device(int index) { raise_not_built(Device(DeviceType::cuda, index)); }
StreamGuard::StreamGuard(const Stream& stream) : previous_(stream), previous_device_(0) {
  raise_not_built(stream.device());
}
StreamGuard::~StreamGuard() = default;
DeviceGuard::DeviceGuard(Device device) : previous_(0) { raise_not_built(device); }
DeviceGuard::~DeviceGuard() = default;

Block allocate(Device device, size_t) { raise_not_built(device); }
MemoryStats memory_stats(Device device) { raise_not_built(device); }
bool has_memory(Device) { return false; }
void reset_peak_memory_stats(Device device) { raise_not_built(device); }
void empty_cache(Device device) { raise_not_built(device); }
void copy_bytes(const Storage& target, void*, const Storage& source, const void*, size_t, bool) {
  raise_not_built(target->device().is_cpu() ? source->device() : target->device());
}
void enter(Device device) { raise_not_built(device); }
uint64_t new_memory_pool() { raise_not_built(); }
uint64_t set_memory_pool(uint64_t) { raise_not_built(); }
void release_memory_pool(Device device, uint64_t) { raise_not_built(device); }

std::optional<CapturedRandom> capture_random(Device, const Generator&, uint64_t) { return {}; }
bool is_current_stream_capturing() { return false; }
uint64_t current_capture() { return 0; }
std::string capture_refusal() { return {}; }
void refuse_capture(const std::string& reason) { detail::raise<CudaError>(reason); }
void on_replay(Callback<void()>) {
  detail::raise<ValueError>("on_replay: this thread is not capturing a graph");
}
CapturedLaunches::~CapturedLaunches() = default;
struct Graph::State {};
Graph::Graph() = default;
Graph::Graph(Graph&&) noexcept = default;
Graph& Graph::operator=(Graph&&) noexcept = default;
Graph::~Graph() = default;
Stream Graph::side_stream() { raise_not_built(); }
void Graph::capture_begin() { raise_not_built(); }
void Graph::capture_end() { raise_not_built(); }
void Graph::abandon() noexcept {}
void Graph::replay() { detail::raise<ValueError>("graph: there is no capture to replay"); }
void Graph::reset() noexcept {}
bool Graph::has_capture() const { return false; }

}  // namespace taut::cuda
