#include "taut/autograd/node.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <new>

#include "src/autograd/node_hooks.h"
#include "taut/autograd/grad_mode.h"
#include "taut/base/pool.h"

namespace taut::autograd {
namespace {

// Threads take their numbers by so many: one that all count in would cost every op a locked
// instruction, and threads that record at once each other's cache.
constexpr uint64_t kNumbers = 1024;
std::atomic<uint64_t> next_numbers{1};

struct Numbers {
  uint64_t next = 0;
  uint64_t end = 0;
};
constinit TAUT_HOT_THREAD_LOCAL Numbers numbers;

constexpr size_t align_up(size_t bytes) {
  return (bytes + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
}

// Nodes waiting to be freed by the loop in destroy() further up this thread's stack.
struct DestroyQueue {
  Node* head = nullptr;
  bool running = false;
};
constinit TAUT_HOT_THREAD_LOCAL DestroyQueue destroy_queue;

}  // namespace

Ref<Node> Node::make(const char* name, BackwardFn function, const NodeSizes& sizes) {
  const size_t bytes = align_up(sizeof(Node)) +
                       align_up(sizeof(TensorMeta) * static_cast<size_t>(sizes.outputs)) +
                       align_up(sizeof(Edge) * static_cast<size_t>(sizes.edges)) +
                       align_up(sizeof(SavedTensor) * static_cast<size_t>(sizes.saved)) +
                       align_up(sizes.attribute_bytes);
  void* memory = taut::detail::pool_allocate(bytes);
  return Ref<Node>::adopt(new (memory) Node(name, function, sizes, bytes));
}

void Node::take_number() {
  uint64_t newest = 0;
  for (const Edge& edge : edges()) {
    if (edge && !edge.node->is_accumulator()) newest = std::max(newest, edge.node->sequence());
  }
  // Another thread's node may have a number beyond those that this thread took: none has one beyond
  // those that it takes now.
  if (TAUT_UNLIKELY(numbers.next == numbers.end || numbers.next <= newest)) {
    numbers.next = next_numbers.fetch_add(kNumbers, std::memory_order_relaxed);
    numbers.end = numbers.next + kNumbers;
  }
  sequence_ = numbers.next++;
}

Node::Node(const char* name, BackwardFn function, const NodeSizes& sizes, size_t bytes)
    : name_(name),
      backward_(function),
      bytes_(static_cast<uint32_t>(bytes)),
      output_count_(static_cast<uint16_t>(sizes.outputs)),
      edge_count_(static_cast<uint16_t>(sizes.edges)),
      saved_count_(static_cast<uint16_t>(sizes.saved)) {
  char* next = reinterpret_cast<char*>(this) + align_up(sizeof(Node));
  outputs_ = new (next) TensorMeta[output_count_];
  next += align_up(sizeof(TensorMeta) * output_count_);
  edges_ = new (next) Edge[edge_count_];
  next += align_up(sizeof(Edge) * edge_count_);
  saved_ = new (next) SavedTensor[saved_count_];
  next += align_up(sizeof(SavedTensor) * saved_count_);
  attributes_ = next;
  if (sizes.attributes != nullptr) {
    std::memcpy(attributes_, sizes.attributes, sizes.attribute_bytes);
  } else {
    std::memset(attributes_, 0, sizes.attribute_bytes);
  }
}

Node::~Node() { free_parts(); }

void Node::free_parts() noexcept {
  for (Edge& edge : edges()) edge.~Edge();
  for (SavedTensor& tensor : saved()) tensor.~SavedTensor();
  if (attribute_destructor_ != nullptr) attribute_destructor_(attributes_);
  delete hooks_;
  delete call_site_;
}

NodeHooks& Node::ensure_hooks() {
  if (hooks_ == nullptr) hooks_ = new NodeHooks;
  return *hooks_;
}

void Node::set_call_site(std::string text) {
  delete call_site_;
  call_site_ = new std::string(std::move(text));
}

void Node::release_saved() {
  if (is_accumulator()) return;
  for (SavedTensor& tensor : saved()) tensor.reset();
  released_ = true;
}

// Freeing a node may drop the last reference to the nodes its edges lead to, and so on along the
// chain: those wait in a queue, and the outermost call frees them one by one.
void Node::destroy() noexcept {
  DestroyQueue& queue = destroy_queue;
  next_to_destroy_ = queue.head;
  queue.head = this;
  if (queue.running) return;
  queue.running = true;
  while (queue.head != nullptr) {
    Node* node = queue.head;
    queue.head = node->next_to_destroy_;
    const size_t bytes = node->bytes_;
    node->~Node();
    taut::detail::pool_free(node, bytes);
  }
  queue.running = false;
}

Tensor BackwardContext::saved(int i) const {
  TAUT_CHECK(!node_.was_released(), AutogradError, "backward: the graph through ", node_.name(),
             " was freed by an earlier backward; pass retain_graph=True to go through it twice");
  return node_.saved()[static_cast<size_t>(i)].unpack(node_);
}

Tensor BackwardContext::base_of_grads() const {
  if (is_grad_enabled() || grads_.empty() || !grads_[0].defined()) return {};
  const Ref<TensorImpl>& base = grads_[0].impl()->view_base;
  if (!base || base->view_base || base->autograd != nullptr) return {};
  uint32_t owners = 1;
  for (const Tensor& grad : grads_) {
    if (!grad.defined()) return {};
    const TensorImpl& impl = *grad.impl();
    if (!impl.borrows_storage) ++owners;
    if (impl.view_base != base || impl.use_count() != 1 || impl.autograd != nullptr) return {};
    if (impl.storage != base->storage) return {};  // the base has come to show other memory
  }
  const auto views = static_cast<uint32_t>(grads_.size());
  const bool is_all = base->use_count() == views && base->storage->use_count() == owners;
  return is_all && base->dtype == grads_[0].dtype() ? Tensor(base) : Tensor();
}

Tensor BackwardContext::reusable(int i) const {
  return is_last_ ? node_.saved()[static_cast<size_t>(i)].unshared() : Tensor();
}

}  // namespace taut::autograd
