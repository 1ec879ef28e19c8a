#include "taut/autograd/node.h"

#include <atomic>
#include <cstring>
#include <new>

#include "src/autograd/node_hooks.h"
#include "taut/autograd/grad_mode.h"
#include "taut/base/pool.h"

namespace taut::autograd {
namespace {

std::atomic<uint64_t> next_sequence{1};

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
  Ref<Node> node = make_unnumbered(name, function, sizes);
  node->take_number();
  return node;
}

void Node::take_number() { sequence_ = next_sequence.fetch_add(1, std::memory_order_relaxed); }

Ref<Node> Node::make_unnumbered(const char* name, BackwardFn function, const NodeSizes& sizes) {
  const size_t bytes = align_up(sizeof(Node)) +
                       align_up(sizeof(TensorMeta) * static_cast<size_t>(sizes.outputs)) +
                       align_up(sizeof(Edge) * static_cast<size_t>(sizes.edges)) +
                       align_up(sizeof(SavedTensor) * static_cast<size_t>(sizes.saved)) +
                       align_up(sizes.attribute_bytes);
  void* memory = taut::detail::pool_allocate(bytes);
  return Ref<Node>::adopt(new (memory) Node(name, function, sizes, bytes));
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
  for (const Tensor& grad : grads_) {
    if (!grad.defined()) return {};
    const TensorImpl& impl = *grad.impl();
    if (impl.view_base != base || impl.use_count() != 1 || impl.autograd != nullptr) return {};
  }
  const auto views = static_cast<uint32_t>(grads_.size());
  const bool is_all = base->use_count() == views && base->storage->use_count() == views + 1;
  return is_all && base->dtype == grads_[0].dtype() ? Tensor(base) : Tensor();
}

Tensor BackwardContext::reusable(int i) const {
  return is_last_ ? node_.saved()[static_cast<size_t>(i)].unshared() : Tensor();
}

}  // namespace taut::autograd
