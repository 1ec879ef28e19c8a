#include "taut/base/pool.h"

#include <memory>
#include <new>

namespace taut::detail {

#if defined(__SANITIZE_ADDRESS__)
// AddressSanitizer sees a use after free only when frees are real.
void* pool_allocate(size_t bytes) { return ::operator new(bytes); }
void pool_free(void* memory, size_t) noexcept { ::operator delete(memory); }
#else
namespace {

constexpr size_t kGranularity = 32;
constexpr size_t kClasses = 40;  // up to 1,280 bytes: a node of the tape with six inputs
constexpr int kMaxKept = 4096;   // per class and thread, so that one thread's frees stay bounded

struct FreeBlock {
  FreeBlock* next;
};

struct FreeLists {
  FreeBlock* heads[kClasses] = {};
  int counts[kClasses] = {};

  FreeLists() = default;
  FreeLists(const FreeLists&) = delete;
  FreeLists& operator=(const FreeLists&) = delete;
  ~FreeLists();
};

// The calling thread's lists: null before its first use and after its end.
constinit TAUT_HOT_THREAD_LOCAL FreeLists* lists = nullptr;

FreeLists::~FreeLists() {
  for (FreeBlock* head : heads) {
    while (head != nullptr) {
      FreeBlock* next = head->next;
      ::operator delete(head);
      head = next;
    }
  }
}

// Ends a thread's lists with the thread. Objects freed after that, by other thread-local
// destructors, go straight back to the system.
struct ListsOwner {
  std::unique_ptr<FreeLists> owned = std::make_unique<FreeLists>();
  ~ListsOwner() { lists = nullptr; }
};

// The lists of a thread that has none yet; null once they are gone.
[[gnu::noinline]] FreeLists* join() {
  static constinit thread_local bool joined = false;
  if (joined) return nullptr;
  joined = true;
  static thread_local ListsOwner owner;
  lists = owner.owned.get();
  return lists;
}

FreeLists* my_lists() {
  FreeLists* mine = lists;
  return TAUT_LIKELY(mine != nullptr) ? mine : join();
}

constexpr size_t size_class(size_t bytes) { return (bytes + kGranularity - 1) / kGranularity; }

}  // namespace

void* pool_allocate(size_t bytes) {
  const size_t index = size_class(bytes);
  if (TAUT_LIKELY(index < kClasses)) {
    FreeLists* mine = my_lists();
    FreeBlock* block = TAUT_LIKELY(mine != nullptr) ? mine->heads[index] : nullptr;
    if (TAUT_LIKELY(block != nullptr)) {
      mine->heads[index] = block->next;
      --mine->counts[index];
      return block;
    }
  }
  return ::operator new(index * kGranularity);
}

void pool_free(void* memory, size_t bytes) noexcept {
  const size_t index = size_class(bytes);
  FreeLists* mine = index < kClasses ? my_lists() : nullptr;
  if (TAUT_UNLIKELY(mine == nullptr || mine->counts[index] >= kMaxKept)) {
    ::operator delete(memory);
    return;
  }
  auto* block = static_cast<FreeBlock*>(memory);
  block->next = mine->heads[index];
  mine->heads[index] = block;
  ++mine->counts[index];
}
#endif

}  // namespace taut::detail
