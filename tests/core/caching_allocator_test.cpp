// The GPU allocator's book-keeping, on a device that is made up: no GPU needed.

#include "src/core/cuda/caching_allocator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "taut/base/error.h"

namespace taut::cuda {
namespace {

constexpr size_t kPage = size_t{2} << 20;
constexpr size_t kMiB = size_t{1} << 20;

// Counts pages; addresses are numbers that nothing reads.
class FakeMemory final : public DeviceMemory {
 public:
  explicit FakeMemory(size_t total) : total_(total) {}

  size_t page_bytes() const override { return kPage; }
  size_t total_bytes() const override { return total_; }
  size_t free_bytes() const override { return total_ - mapped.size() * kPage - alone_bytes; }

  char* reserve(size_t bytes) override {
    const uintptr_t address = next_;
    next_ += bytes + kPage;
    return reinterpret_cast<char*>(address);
  }
  void unreserve(char*, size_t) noexcept override { ++unreserved; }

  bool map(char* address, size_t bytes) override {
    EXPECT_EQ(bytes % kPage, 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(address) % kPage, 0u);
    if (bytes > free_bytes()) return false;
    for (size_t i = 0; i < bytes; i += kPage) {
      EXPECT_TRUE(mapped.insert(address + i).second) << "mapped twice";
    }
    return true;
  }
  void unmap(char* address, size_t bytes) noexcept override {
    EXPECT_TRUE(synchronized) << "memory was taken from work under way";
    for (size_t i = 0; i < bytes; i += kPage) {
      EXPECT_EQ(mapped.erase(address + i), 1u) << "was not mapped";
    }
  }
  bool is_mapped(const char* address, size_t bytes) const {
    const auto first = reinterpret_cast<uintptr_t>(address) / kPage * kPage;
    for (uintptr_t at = first; at < reinterpret_cast<uintptr_t>(address) + bytes; at += kPage) {
      if (mapped.count(reinterpret_cast<char*>(at)) == 0) return false;
    }
    return true;
  }

  char* allocate_alone(size_t bytes) override {
    if (bytes > free_bytes()) return nullptr;
    alone_bytes += bytes;
    sizes_[next_] = bytes;
    char* address = reinterpret_cast<char*>(next_);
    next_ += bytes + 256;
    return address;
  }
  void free_alone(char* address) noexcept override {
    alone_bytes -= sizes_[reinterpret_cast<uintptr_t>(address)];
  }

  void* record_event(StreamHandle) noexcept override { return new int(0); }
  bool is_complete(void*) noexcept override { return events_complete; }
  void destroy_event(void* event) noexcept override { delete static_cast<int*>(event); }
  bool is_capturing(StreamHandle) noexcept override { return capturing; }
  void synchronize() noexcept override {
    synchronized = true;
    events_complete = true;
  }

  std::set<char*> mapped;
  size_t alone_bytes = 0;
  int unreserved = 0;
  bool events_complete = true;
  bool capturing = false;
  bool synchronized = false;

 private:
  const size_t total_;
  uintptr_t next_ = uintptr_t{1} << 40;
  std::map<uintptr_t, size_t> sizes_;
};

struct Device {
  explicit Device(size_t total, bool is_caching = true)
      : memory(new FakeMemory(total)),
        allocator("cuda:0", std::unique_ptr<DeviceMemory>(memory), is_caching) {}
  FakeMemory* memory;
  CachingAllocator allocator;
};

TEST(CachingAllocator, SizeClassesRoundUpByAnEighthAtMost) {
  int previous = -1;
  for (size_t bytes = 1; bytes <= kLargestSmall; bytes += 97) {
    const SizeClass found = size_class(bytes);
    ASSERT_GE(found.bytes, bytes);
    ASSERT_LE(found.bytes, std::max<size_t>(bytes + bytes / 8 + kBlockUnit, kBlockUnit)) << bytes;
    ASSERT_LT(found.index, kSizeClasses);
    ASSERT_GE(found.index, previous);
    ASSERT_EQ(size_class(found.bytes).index, found.index);
    previous = found.index;
  }
  EXPECT_EQ(size_class(kLargestSmall).bytes, kLargestSmall);
  EXPECT_EQ(size_class(kLargestSmall).index, kSizeClasses - 1);
}

TEST(CachingAllocator, HandsTheSameBlockOutAgain) {
  Device device(64 * kMiB);
  for (const size_t bytes : {size_t{1}, size_t{700}, 5 * kMiB}) {
    MemoryBlock* first = device.allocator.allocate(bytes, nullptr);
    const char* address = first->address;
    device.allocator.free(first);
    MemoryBlock* second = device.allocator.allocate(bytes, nullptr);
    EXPECT_EQ(second->address, address) << bytes;
    device.allocator.free(second);
  }
}

TEST(CachingAllocator, StreamsAndPoolsShareNothing) {
  Device device(64 * kMiB);
  int stream = 0;
  MemoryBlock* first = device.allocator.allocate(1024, nullptr);
  const char* address = first->address;
  device.allocator.free(first);
  MemoryBlock* other_stream = device.allocator.allocate(1024, &stream);
  MemoryBlock* other_pool = device.allocator.allocate(1024, nullptr, 7);
  EXPECT_NE(other_stream->address, address);
  EXPECT_NE(other_pool->address, address);
  device.allocator.free(other_stream);
  device.allocator.free(other_pool);
}

TEST(CachingAllocator, WaitsForOtherStreams) {
  Device device(64 * kMiB);
  int side = 0;
  device.memory->events_complete = false;
  MemoryBlock* block = device.allocator.allocate(4 * kMiB, nullptr);
  const char* address = block->address;
  device.allocator.record_stream(block, &side);
  device.allocator.free(block);
  MemoryBlock* meanwhile = device.allocator.allocate(4 * kMiB, nullptr);
  EXPECT_NE(meanwhile->address, address);
  device.memory->events_complete = true;
  MemoryBlock* again = device.allocator.allocate(4 * kMiB, nullptr);
  EXPECT_EQ(again->address, address);
  device.allocator.free(meanwhile);
  device.allocator.free(again);
}

TEST(CachingAllocator, PutsEventsOffDuringACapture) {
  Device device(64 * kMiB);
  int side = 0;
  MemoryBlock* block = device.allocator.allocate(4 * kMiB, nullptr);
  const char* address = block->address;
  device.allocator.record_stream(block, &side);
  device.memory->capturing = true;
  device.allocator.free(block);
  MemoryBlock* meanwhile = device.allocator.allocate(4 * kMiB, nullptr);
  EXPECT_NE(meanwhile->address, address);
  device.memory->capturing = false;
  MemoryBlock* again = device.allocator.allocate(4 * kMiB, nullptr);
  EXPECT_EQ(again->address, address);
  device.allocator.free(meanwhile);
  device.allocator.free(again);
}

TEST(CachingAllocator, GrowsInPlace) {
  Device device(64 * kMiB);
  MemoryBlock* first = device.allocator.allocate(8 * kMiB, nullptr);
  device.allocator.free(first);
  const size_t pages = device.memory->mapped.size();
  MemoryBlock* larger = device.allocator.allocate(12 * kMiB, nullptr);
  EXPECT_EQ(device.memory->mapped.size(), pages + 2);
  device.allocator.free(larger);
}

// Two holes that are each too small: their pages move behind other addresses.
TEST(CachingAllocator, UsesFreeMemoryWhereverItLies) {
  Device device(40 * kMiB);
  MemoryBlock* blocks[4];
  for (MemoryBlock*& block : blocks) block = device.allocator.allocate(10 * kMiB, nullptr);
  device.allocator.free(blocks[0]);
  device.allocator.free(blocks[2]);
  MemoryBlock* large = device.allocator.allocate(20 * kMiB, nullptr);
  EXPECT_TRUE(device.memory->is_mapped(large->address, large->size));
  EXPECT_EQ(device.allocator.stats().retries, 1);
  for (MemoryBlock* block : {blocks[1], blocks[3], large}) device.allocator.free(block);
}

TEST(CachingAllocator, TakesMemoryOfOtherStreamsToo) {
  Device device(40 * kMiB);
  int side = 0;
  MemoryBlock* block = device.allocator.allocate(30 * kMiB, &side);
  device.allocator.free(block);
  MemoryBlock* other = device.allocator.allocate(30 * kMiB, nullptr);
  device.allocator.free(other);
}

TEST(CachingAllocator, SaysWhatIsHeldWhenThereIsNoMore) {
  Device device(40 * kMiB);
  MemoryBlock* block = device.allocator.allocate(30 * kMiB, nullptr);
  try {
    device.allocator.allocate(20 * kMiB, nullptr);
    FAIL() << "there is no such memory";
  } catch (const OutOfMemoryError& error) {
    const std::string text = error.what();
    for (const char* part : {"20971520 bytes", "cuda:0", "31457280 bytes are held by 1 tensors",
                             "41943040 bytes are free"}) {
      EXPECT_NE(text.find(part), std::string::npos) << part << " in: " << text;
    }
  }
  // It goes on.
  MemoryBlock* small = device.allocator.allocate(6 * kMiB, nullptr);
  device.allocator.free(small);
  device.allocator.free(block);
  EXPECT_EQ(device.allocator.stats().out_of_memory, 1);
  EXPECT_EQ(device.allocator.stats().allocated, 0);
  EXPECT_EQ(device.allocator.stats().live_allocations, 0);
}

TEST(CachingAllocator, RefusesWhatNoDeviceHolds) {
  Device device(40 * kMiB);
  EXPECT_THROW(device.allocator.allocate(~size_t{0}, nullptr), OutOfMemoryError);
  EXPECT_THROW(device.allocator.allocate(size_t{1} << 60, nullptr), OutOfMemoryError);
}

TEST(CachingAllocator, KeepsToItsLimit) {
  Device device(64 * kMiB);
  device.allocator.set_limit(16 * kMiB);
  MemoryBlock* block = device.allocator.allocate(10 * kMiB, nullptr);
  EXPECT_THROW(device.allocator.allocate(10 * kMiB, nullptr), OutOfMemoryError);
  device.allocator.set_limit(0);
  MemoryBlock* second = device.allocator.allocate(10 * kMiB, nullptr);
  device.allocator.free(block);
  device.allocator.free(second);
}

TEST(CachingAllocator, EmptyCacheGivesAllBack) {
  Device device(64 * kMiB);
  std::vector<MemoryBlock*> blocks;
  for (int i = 1; i < 200; ++i) blocks.push_back(device.allocator.allocate(997u * i, nullptr));
  blocks.push_back(device.allocator.allocate(9 * kMiB, nullptr));
  for (MemoryBlock* block : blocks) device.allocator.free(block);
  device.allocator.empty_cache();
  EXPECT_TRUE(device.memory->mapped.empty());
  EXPECT_EQ(device.allocator.stats().reserved, 0);
}

TEST(CachingAllocator, DropsPoolsThatAreReleased) {
  Device device(64 * kMiB);
  MemoryBlock* inside = device.allocator.allocate(4 * kMiB, nullptr, 3);
  MemoryBlock* alive = device.allocator.allocate(4 * kMiB, nullptr, 3);
  device.allocator.free(inside);
  device.allocator.empty_cache();  // the pool is in use: its memory stays where it is
  EXPECT_FALSE(device.memory->mapped.empty());
  device.allocator.release_pool(3);
  EXPECT_EQ(device.memory->mapped.size(), 2u);
  device.allocator.free(alive);
  device.allocator.empty_cache();
  EXPECT_TRUE(device.memory->mapped.empty());
  EXPECT_GT(device.memory->unreserved, 0);
}

TEST(CachingAllocator, GoesWithoutCachingWhenAsked) {
  Device device(64 * kMiB, /*is_caching=*/false);
  MemoryBlock* block = device.allocator.allocate(1000, nullptr);
  EXPECT_EQ(device.memory->alone_bytes, 1000u);
  EXPECT_EQ(device.allocator.snapshot().size(), 1u);
  device.allocator.free(block);
  EXPECT_EQ(device.memory->alone_bytes, 0u);
  EXPECT_EQ(device.allocator.stats().reserved, 0);
}

// A captured graph goes on writing to what was freed while it was captured.
TEST(CachingAllocator, KeepsTheMemoryOfGraphsWithoutCachingToo) {
  Device device(64 * kMiB, /*is_caching=*/false);
  MemoryBlock* freed = device.allocator.allocate(1000, nullptr, /*pool=*/3);
  MemoryBlock* alive = device.allocator.allocate(500, nullptr, /*pool=*/3);
  MemoryBlock* other = device.allocator.allocate(200, nullptr);
  device.allocator.free(freed);
  device.allocator.free(other);
  EXPECT_EQ(device.memory->alone_bytes, 1500u);
  device.allocator.release_pool(3);
  EXPECT_EQ(device.memory->alone_bytes, 500u);
  device.allocator.free(alive);
  EXPECT_EQ(device.memory->alone_bytes, 0u);
}

TEST(CachingAllocator, KeepsToItsLimitWithoutCachingToo) {
  Device device(64 * kMiB, /*is_caching=*/false);
  device.allocator.set_limit(1000);
  MemoryBlock* block = device.allocator.allocate(900, nullptr);
  EXPECT_THROW(device.allocator.allocate(200, nullptr), OutOfMemoryError);
  device.allocator.free(block);
  device.allocator.free(device.allocator.allocate(1000, nullptr));
}

TEST(CachingAllocator, SnapshotNamesTheHolders) {
  Device device(64 * kMiB);
  MemoryBlock* block = device.allocator.allocate(5000, nullptr);
  device.allocator.set_holder(block, "softmax");
  bool found = false;
  for (const BlockReport& report : device.allocator.snapshot()) {
    if (report.state != BlockState::used) continue;
    found = true;
    EXPECT_EQ(report.requested, 5000u);
    EXPECT_STREQ(report.holder, "softmax");
  }
  EXPECT_TRUE(found);
  device.allocator.free(block);
}

// Blocks never overlap, always have memory, and what is free can always be had again.
TEST(CachingAllocator, HoldsUnderRandomUse) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  constexpr size_t kTotal = 512 * kMiB;
  Device device(kTotal);
  int streams[2];
  struct Live {
    MemoryBlock* block;
    size_t bytes;
  };
  std::vector<Live> live;
  std::map<const char*, size_t> ranges;
  size_t held = 0;
  for (int i = 0; i < 20000; ++i) {
    const bool is_small = random() % 2 == 0;
    const size_t bytes =
        is_small ? 1 + random() % kLargestSmall : kLargestSmall + random() % (24 * kMiB);
    // Every size is rounded up by an eighth at most, and holes keep a page at either end.
    while (held + bytes > kTotal * 80 / 100 || live.size() > 60) {
      const size_t victim = random() % live.size();
      ranges.erase(live[victim].block->address);
      held -= live[victim].bytes;
      device.allocator.free(live[victim].block);
      live[victim] = live.back();
      live.pop_back();
    }
    MemoryBlock* block = device.allocator.allocate(bytes, &streams[random() % 2]);
    ASSERT_GE(block->size, bytes);
    ASSERT_TRUE(device.memory->is_mapped(block->address, block->size)) << "step " << i;
    const auto after = ranges.lower_bound(block->address);
    if (after != ranges.end()) {
      ASSERT_LE(block->address + block->size, after->first) << "step " << i;
    }
    if (after != ranges.begin()) {
      const auto before = std::prev(after);
      ASSERT_LE(before->first + before->second, block->address) << "step " << i;
    }
    ranges[block->address] = block->size;
    live.push_back({block, bytes});
    held += bytes;
  }
  for (const Live& each : live) device.allocator.free(each.block);
  device.allocator.empty_cache();
  EXPECT_TRUE(device.memory->mapped.empty());
  EXPECT_EQ(device.allocator.stats().requested, 0);
}

}  // namespace
}  // namespace taut::cuda
