#include <new>

#include "src/autograd/meta.h"
#include "src/autograd/view_history.h"
#include "src/ops/view_backward.h"
#include "taut/autograd/record.h"
#include "taut/ops/ops.h"

namespace taut::autograd {
namespace {

// A CopySlices node: the layouts of base and view, and the op that wrote to the view. Edge 0 leads
// to the base's earlier history, the others to the write's other inputs.
struct CopySlicesState {
  Layout base;
  Layout view;
  Ref<Node> write;
};

void destroy_state(void* attributes) noexcept {
  static_cast<CopySlicesState*>(attributes)->~CopySlicesState();
}

void copy_slices_backward(BackwardContext& context) {
  const auto& state = context.attributes<CopySlicesState>();
  // The gradient in the base's own memory order, with the view's part in its place.
  Layout whole = state.base;
  const int64_t begin = whole.extent_begin();
  whole.offset -= begin;
  Tensor grad_base = zeros({whole.extent_end()}, context.grad().options());
  grad_base = as_strided(grad_base, whole.shape, whole.strides, whole.offset);
  copy_(grad_base, context.grad());
  const Tensor grad_view =
      as_strided(grad_base, state.view.shape, state.view.strides, state.view.offset - begin);

  Tensor grads[] = {clone(grad_view)};
  std::vector<Tensor> results(state.write->edges().size());
  BackwardContext write(*state.write, grads, results);
  state.write->backward()(write);

  if (results[0].defined()) {
    copy_(grad_view, results[0]);
  } else {
    zero_(grad_view);
  }
  if (context.needs(0)) context.set(0, grad_base);
  for (int i = 1; i < context.inputs(); ++i) {
    if (context.needs(i)) context.set(i, results[static_cast<size_t>(i)]);
  }
}

}  // namespace

Ref<Node> make_copy_slices(const Tensor& base, const Layout& view, Ref<Node> write) {
  const Edge history = gradient_edge(base);
  Ref<Node> node = Node::make("copy_slices", copy_slices_backward,
                              {.outputs = 1,
                               .edges = static_cast<int>(write->edges().size()),
                               .attribute_bytes = sizeof(CopySlicesState)});
  node->outputs()[0] = meta_of(base);
  node->edges()[0] = history;
  for (size_t i = 1; i < write->edges().size(); ++i) node->edges()[i] = write->edges()[i];
  node->take_number();
  // The write asks its context whether input 0 is wanted by whether it has an edge there.
  if (!write->edges()[0] && history) write->edges()[0] = history;
  new (node->attributes()) CopySlicesState{base.layout(), view, std::move(write)};
  node->set_attribute_destructor(destroy_state);
  return node;
}

Ref<Node> make_view_history(const Tensor& base, const Layout& view) {
  using ops::view_backward::as_strided_backward;
  using ops::view_backward::AsStridedAttributes;
  const Edge history = gradient_edge(base);
  Ref<Node> node =
      Node::make("as_strided", as_strided_backward,
                 {.outputs = 1, .edges = 1, .attribute_bytes = sizeof(AsStridedAttributes)});
  node->outputs()[0] = {view.shape, base.dtype(), base.device()};
  node->edges()[0] = history;
  node->take_number();
  *static_cast<AsStridedAttributes*>(node->attributes()) = {base.layout(), view};
  return node;
}

}  // namespace taut::autograd
