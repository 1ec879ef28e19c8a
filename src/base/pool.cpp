#include "taut/base/pool.h"

#include <new>

namespace taut::detail {
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

// Objects freed after a thread's lists are gone (by other thread-local destructors) go straight
// back.
thread_local bool lists_are_gone = false;
thread_local FreeLists lists;

FreeLists::~FreeLists() {
  lists_are_gone = true;
  for (FreeBlock* head : heads) {
    while (head != nullptr) {
      FreeBlock* next = head->next;
      ::operator delete(head);
      head = next;
    }
  }
}

constexpr size_t size_class(size_t bytes) { return (bytes + kGranularity - 1) / kGranularity; }

}  // namespace

#if defined(__SANITIZE_ADDRESS__)
// AddressSanitizer sees a use after free only when frees are real.
void* pool_allocate(size_t bytes) { return ::operator new(bytes); }
void pool_free(void* memory, size_t) noexcept { ::operator delete(memory); }
#else
void* pool_allocate(size_t bytes) {
  const size_t index = size_class(bytes);
  if (index >= kClasses || lists_are_gone) return ::operator new(bytes);
  FreeLists& mine = lists;
  if (FreeBlock* block = mine.heads[index]) {
    mine.heads[index] = block->next;
    --mine.counts[index];
    return block;
  }
  return ::operator new(index * kGranularity);
}

void pool_free(void* memory, size_t bytes) noexcept {
  const size_t index = size_class(bytes);
  if (index >= kClasses || lists_are_gone || lists.counts[index] >= kMaxKept) {
    ::operator delete(memory);
    return;
  }
  FreeLists& mine = lists;
  auto* block = static_cast<FreeBlock*>(memory);
  block->next = mine.heads[index];
  mine.heads[index] = block;
  ++mine.counts[index];
}
#endif

}  // namespace taut::detail
