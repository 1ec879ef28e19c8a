#include "kernels/api/thread_memory.h"

#include <array>
#include <memory>
#include <new>

#include "taut/base/macros.h"

namespace taut::kernels {
namespace {

constexpr std::align_val_t kAlignment{128};

struct Block {
  void* data = nullptr;
  size_t bytes = 0;
};

struct Blocks {
  Blocks() = default;
  Blocks(const Blocks&) = delete;
  Blocks& operator=(const Blocks&) = delete;
  ~Blocks() {
    for (Block& block : all) ::operator delete(block.data, kAlignment);
  }
  std::array<Block, static_cast<size_t>(ThreadMemory::count)> all;
};

// Found fast; made, and freed when the thread ends, by the variable in make_blocks().
constinit TAUT_HOT_THREAD_LOCAL Blocks* blocks = nullptr;

[[gnu::noinline]] void make_blocks() {
  static thread_local std::unique_ptr<Blocks> owner;
  owner = std::make_unique<Blocks>();
  blocks = owner.get();
}

[[gnu::noinline]] void enlarge(Block& block, size_t bytes) {
  ::operator delete(block.data, kAlignment);
  block = {};
  block.data = ::operator new(bytes, kAlignment);
  block.bytes = bytes;
}

}  // namespace

void* thread_memory(ThreadMemory use, size_t bytes) {
  if (TAUT_UNLIKELY(blocks == nullptr)) make_blocks();
  Block& block = blocks->all[static_cast<size_t>(use)];
  if (TAUT_UNLIKELY(block.bytes < bytes)) enlarge(block, bytes);
  return block.data;
}

}  // namespace taut::kernels
