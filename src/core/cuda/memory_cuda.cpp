// The memory of GPUs: an allocator for each, what it tells, and scratch memory for kernels.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "src/core/cuda/caching_allocator.h"
#include "src/core/cuda/context.h"
#include "src/core/cuda/launch_context.h"
#include "src/core/cuda/virtual_memory.h"
#include "src/core/cuda_runtime.h"
#include "src/core/memory_trace.h"

namespace taut::cuda {
namespace {

std::atomic<uint64_t> next_pool{1};
thread_local uint64_t current_pool = 0;

bool is_caching_wanted() {
  const char* text = std::getenv("TAUT_CUDA_CACHING");
  return text == nullptr || std::string_view(text) != "0";
}

// Made at first use and never destroyed: tensors may outlive every static object.
struct Slot {
  std::once_flag once;
  std::atomic<CachingAllocator*> allocator{nullptr};
};
Slot slots[kMaxDevices];

CachingAllocator& allocator_of(int index) {
  Slot& slot = slots[index];
  CachingAllocator* allocator = slot.allocator.load(std::memory_order_acquire);
  if (TAUT_LIKELY(allocator != nullptr)) return *allocator;
  const Device device(DeviceType::cuda, index);
  check_device(device);
  std::call_once(slot.once, [&] {
    slot.allocator.store(
        new CachingAllocator(device.str(), make_device_memory(device), is_caching_wanted()));
  });
  return *slot.allocator.load();
}

CachingAllocator& allocator_of(Device device) {
  if (TAUT_UNLIKELY(!device.is_cuda() || device.index() >= kMaxDevices)) check_device(device);
  return allocator_of(device.index());
}

Device device_of(const CachingAllocator* allocator) {
  int index = 0;
  while (slots[index].allocator.load(std::memory_order_acquire) != allocator) ++index;
  return Device(DeviceType::cuda, index);
}

void release(void*, size_t, void* context) noexcept {
  if (context == nullptr) return;
  auto* block = static_cast<MemoryBlock*>(context);
  if (const MemorySink* sink = memory_sink()) {
    sink->on_release(device_of(block->owner), block->address, block->size);
  }
  block->owner->free(block);
}

// For the current stream and pool of this thread.
MemoryBlock* take(CachingAllocator& allocator, int device, size_t bytes) {
  try {
    MemoryBlock* block = allocator.allocate(bytes, stream_on(device), current_pool);
    if (const MemorySink* sink = memory_sink()) {
      sink->on_allocate(Device(DeviceType::cuda, device), block->address, block->size);
    }
    return block;
  } catch (const OutOfMemoryError& error) {
    note_capture_refusal(error.what());  // without a graph there may be enough
    throw;
  }
}

MemoryBlock* block_of(const Storage& storage) {
  return storage->block().release == &release ? static_cast<MemoryBlock*>(storage->block().context)
                                              : nullptr;
}

const char* name_of(BlockState state) {
  switch (state) {
    case BlockState::used: return "used";
    case BlockState::waiting: return "waiting";
    default: return "free";
  }
}

std::string in_units(int64_t bytes) {
  char text[32];
  const double value = static_cast<double>(bytes);
  if (bytes >= int64_t{1} << 30) {
    std::snprintf(text, sizeof text, "%.2f GiB", value / (1 << 30));
  } else if (bytes >= 1 << 20) {
    std::snprintf(text, sizeof text, "%.2f MiB", value / (1 << 20));
  } else {
    std::snprintf(text, sizeof text, "%.2f KiB", value / (1 << 10));
  }
  return text;
}

std::string line(const char* name, const std::string& now, const std::string& peak) {
  char text[96];
  std::snprintf(text, sizeof text, "| %-26s | %14s | %14s |\n", name, now.c_str(), peak.c_str());
  return text;
}

// The largest blocks in use, by the op that made them.
std::string largest_holders(std::vector<MemoryBlockInfo> blocks) {
  std::erase_if(blocks, [](const MemoryBlockInfo& block) { return block.state != "used"; });
  const size_t shown = std::min<size_t>(blocks.size(), 10);
  std::partial_sort(blocks.begin(), blocks.begin() + static_cast<std::ptrdiff_t>(shown),
                    blocks.end(), [](const auto& a, const auto& b) { return a.size > b.size; });
  std::string result;
  for (size_t i = 0; i < shown; ++i) {
    result += line(i == 0 ? "largest blocks, and of what" : "", in_units(blocks[i].size),
                   blocks[i].holder.empty() ? "-" : blocks[i].holder);
  }
  return result;
}

}  // namespace

Block allocate(Device device, size_t bytes) {
  CachingAllocator& allocator = allocator_of(device);
  Block block{.data = nullptr, .bytes = bytes, .release = &release, .context = nullptr};
  if (bytes == 0) return block;
  MemoryBlock* taken = take(allocator, device.index(), bytes);
  block.data = taken->address;
  block.context = taken;
  return block;
}

MemoryStats memory_stats(Device device) { return allocator_of(device).stats(); }
bool has_memory(Device device) {
  return slots[device.index()].allocator.load(std::memory_order_acquire) != nullptr;
}
void reset_peak_memory_stats(Device device) { allocator_of(device).reset_peaks(); }
void empty_cache(Device device) { allocator_of(device).empty_cache(); }

MemoryInfo mem_get_info(Device device) {
  check_device(device);
  const RuntimeGuard guard(device);
  size_t free = 0;
  size_t total = 0;
  check("mem_get_info", cudaMemGetInfo(&free, &total));
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

namespace {

// 0 for what the driver does not tell.
double attribute(cudaDeviceAttr which, Device device) {
  int value = 0;
  if (cudaDeviceGetAttribute(&value, which, device.index()) == cudaSuccess) return value;
  cudaGetLastError();
  return 0;
}

}  // namespace

DeviceProperties device_properties(Device device) {
  check_device(device);
  cudaDeviceProp found{};
  check("device_properties", cudaGetDeviceProperties(&found, device.index()));
  return {.name = found.name,
          .major = found.major,
          .minor = found.minor,
          .total_memory = static_cast<int64_t>(found.totalGlobalMem),
          .multi_processor_count = found.multiProcessorCount,
          .l2_cache_size = found.l2CacheSize,
          .clock_rate = 1e3 * attribute(cudaDevAttrClockRate, device),
          // Both edges of the clock carry data.
          .memory_bandwidth = 2e3 * attribute(cudaDevAttrMemoryClockRate, device) *
                              attribute(cudaDevAttrGlobalMemoryBusWidth, device) / 8};
}

void set_per_process_memory_fraction(double fraction, Device device) {
  TAUT_CHECK(fraction > 0 && fraction <= 1, ValueError,
             "set_per_process_memory_fraction: expected a fraction in (0, 1]; got ", fraction);
  const auto total = static_cast<double>(mem_get_info(device).total);
  allocator_of(device).set_limit(fraction == 1 ? 0 : static_cast<size_t>(fraction * total));
}

void record_stream(const Storage& storage, const Stream& stream) {
  TAUT_CHECK(storage->device().is_cuda() && stream.device() == storage->device(), DeviceError,
             "record_stream: the tensor is on ", storage->device(), ", the stream on ",
             stream.device());
  if (MemoryBlock* block = block_of(storage)) block->owner->record_stream(block, stream.handle());
}

// ---- who holds what
// ------------------------------------------------------------------------------

void set_memory_holder(const Storage& storage, const char* op) {
  if (MemoryBlock* block = block_of(storage)) block->owner->set_holder(block, op);
}

std::vector<MemoryBlockInfo> memory_snapshot(Device device) {
  std::vector<MemoryBlockInfo> result;
  for (const BlockReport& block : allocator_of(device).snapshot()) {
    result.push_back({.address = block.address,
                      .size = static_cast<int64_t>(block.size),
                      .requested = static_cast<int64_t>(block.requested),
                      .state = name_of(block.state),
                      .stream = block.stream,
                      .pool = block.pool,
                      .holder = block.holder != nullptr ? block.holder : ""});
  }
  return result;
}

std::string memory_summary(Device device) {
  const MemoryStats stats = cuda::memory_stats(device);
  const MemoryInfo info = mem_get_info(device);
  std::string text = concat("memory of ", device, " (", device_properties(device).name, ")\n");
  text += line("", "now", "peak");
  text += line("held by tensors", in_units(stats.allocated), in_units(stats.max_allocated));
  text += line("asked for by tensors", in_units(stats.requested), "");
  text += line("taken from the device", in_units(stats.reserved), in_units(stats.max_reserved));
  text += line("cached", in_units(stats.reserved - stats.allocated), "");
  text += line("free on the device", in_units(info.free), "");
  text += line("the device in all", in_units(info.total), "");
  text += line("tensors", concat(stats.live_allocations), "");
  text += line("allocations so far", concat(stats.allocations), "");
  text += line("retries", concat(stats.retries), "");
  text += line("out of memory", concat(stats.out_of_memory), "");
  return text + largest_holders(memory_snapshot(device));
}

// ---- pools of captured graphs
// --------------------------------------------------------------------

uint64_t new_memory_pool() { return next_pool.fetch_add(1); }
uint64_t set_memory_pool(uint64_t pool) { return std::exchange(current_pool, pool); }
void release_memory_pool(Device device, uint64_t pool) { allocator_of(device).release_pool(pool); }

// ---- scratch memory
// ------------------------------------------------------------------------------

Scratch::Scratch(size_t bytes) {
  if (bytes == 0) return;
  const int device = launch_device();
  MemoryBlock* block = take(allocator_of(device), device, bytes);
  data_ = block->address;
  block_ = block;
}

Scratch::~Scratch() { release(data_, 0, block_); }

}  // namespace taut::cuda
