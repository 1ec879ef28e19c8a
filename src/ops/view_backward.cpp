#include "src/ops/view_backward.h"

#include <algorithm>
#include <vector>

#include "taut/ops/ops.h"

namespace taut::ops::view_backward {
namespace {

using autograd::BackwardContext;

// Zeros of `shape`, with the gradient written to the part of them that `place` shows. The write is
// on the tape when the walk itself is recorded.
template <class Place>
Tensor embed(const Tensor& grad, const Dims& shape, Place place) {
  Tensor whole = zeros(shape, grad.options());
  copy_(place(whole), grad);
  return whole;
}

// Where a layout shows one element several times, their gradients add up: counted one by one over
// the storage, by index.
Tensor scatter_add_to_storage(const Tensor& grad, const Layout& layout, int64_t begin,
                              int64_t length) {
  // Dims of stride 0 show the same elements again: summing over them leaves a plain layout in the
  // common case of an expanded tensor.
  Dims repeated;
  for (int i = 0; i < layout.rank(); ++i) {
    if (layout.strides[i] == 0 && layout.shape[i] > 1) repeated.push_back(i);
  }
  Tensor summed = repeated.empty() ? grad : sum(grad, repeated, /*keepdim=*/true);
  Layout reduced = layout;
  for (int64_t dim : repeated) reduced.shape[static_cast<int>(dim)] = 1;
  reduced.offset -= begin;
  Tensor flat = zeros({length}, grad.options());
  if (reduced.is_non_overlapping()) {
    copy_(as_strided(flat, reduced.shape, reduced.strides, reduced.offset), summed);
    return flat;
  }
  // Windows that overlap: one slice of the first dim at a time, until each part is plain.
  for (int64_t i = 0; i < reduced.shape[0]; ++i) {
    const Layout part = reduced.select(0, i);
    flat = flat + scatter_add_to_storage(select(summed, 0, i), part, 0, length);
  }
  return flat;
}

}  // namespace

void reshape_backward(BackwardContext& context) {
  context.set(0, reshape(context.grad(), context.attributes<ShapeAttributes>().shape));
}

void permute_backward(BackwardContext& context) {
  context.set(0, permute(context.grad(), context.attributes<ShapeAttributes>().shape));
}

void transpose_backward(BackwardContext& context) {
  const auto& [dim0, dim1] = context.attributes<TransposeAttributes>();
  context.set(0, transpose(context.grad(), dim0, dim1));
}

// The engine sums over what was broadcast.
void expand_backward(BackwardContext& context) { context.set(0, context.grad()); }

void slice_backward(BackwardContext& context) {
  const auto& at = context.attributes<SliceAttributes>();
  context.set(0, embed(context.grad(), at.shape, [&](const Tensor& whole) {
                return slice(whole, at.dim, at.start, at.end, at.step);
              }));
}

namespace {

// Strides of dims of one element do not matter.
bool is_same_place(const Layout& a, const Layout& b) {
  if (a.offset != b.offset || !(a.shape == b.shape)) return false;
  for (int i = 0; i < a.rank(); ++i) {
    if (a.shape[i] != 1 && a.strides[i] != b.strides[i]) return false;
  }
  return true;
}

int64_t length_of_piece(const BackwardContext& context, int i) {
  const auto& at = context.attributes<PiecesAttributes>();
  const Dims& shape = context.output_meta(i).shape;
  return shape.rank() == at.shape.rank() ? shape[at.dim] : 1;
}

// The tensor that the gradients of all pieces are parts of, each where its piece is, if there is
// one: what makes several gradients in one tensor spares a copy.
Tensor joined_already(const BackwardContext& context) {
  const auto& at = context.attributes<PiecesAttributes>();
  const Tensor base = context.base_of_grads();
  if (!base.defined() || !base.is_contiguous() || base.numel() != at.shape.numel()) return {};
  Layout whole = Layout::contiguous(at.shape);
  whole.offset = base.layout().offset;
  int64_t first = 0;
  for (int i = 0; i < context.outputs(); ++i) {
    const Layout& grad = context.grad(i).layout();
    const int64_t length = length_of_piece(context, i);
    const Layout piece = grad.rank() == at.shape.rank()
                             ? whole.slice(at.dim, first, first + length, 1)
                             : whole.select(at.dim, first);
    if (!is_same_place(grad, piece)) return {};
    first += length;
  }
  return reshape(base, at.shape);
}

// The gradients of pieces, put together by `join` or, where some have none, written into zeros
// where place(whole, dim, first, length) shows them.
template <class Join, class Place>
void set_from_pieces(BackwardContext& context, const Join& join, const Place& place) {
  const auto& at = context.attributes<PiecesAttributes>();
  if (Tensor whole = joined_already(context); whole.defined()) return context.set(0, whole);
  Tensors grads;
  for (int i = 0; i < context.outputs() && context.grad(i).defined(); ++i) {
    grads.push_back(context.grad(i));
  }
  if (static_cast<int>(grads.size()) == context.outputs())
    return context.set(0, join(grads, at.dim));
  Tensor whole;
  int64_t first = 0;
  for (int i = 0; i < context.outputs(); ++i) {
    const int64_t length = length_of_piece(context, i);
    const Tensor& grad = context.grad(i);
    if (grad.defined()) {
      if (!whole.defined()) whole = zeros(at.shape, grad.options());
      copy_(place(whole, at.dim, first, length), grad);
    }
    first += length;
  }
  context.set(0, whole);
}

}  // namespace

void split_backward(BackwardContext& context) {
  set_from_pieces(
      context, [](const Tensors& grads, int dim) { return cat(grads, dim); },
      [](const Tensor& whole, int dim, int64_t first, int64_t length) {
        return narrow(whole, dim, first, length);
      });
}

void unbind_backward(BackwardContext& context) {
  set_from_pieces(
      context, [](const Tensors& grads, int dim) { return stack(grads, dim); },
      [](const Tensor& whole, int dim, int64_t first, int64_t) {
        return select(whole, dim, first);
      });
}

void select_backward(BackwardContext& context) {
  const auto& at = context.attributes<SelectAttributes>();
  context.set(0, embed(context.grad(), at.shape,
                       [&](const Tensor& whole) { return select(whole, at.dim, at.index); }));
}

void diagonal_backward(BackwardContext& context) {
  const auto& at = context.attributes<DiagonalAttributes>();
  context.set(0, embed(context.grad(), at.shape, [&](const Tensor& whole) {
                return diagonal(whole, at.offset, at.dim1, at.dim2);
              }));
}

void unfold_backward(BackwardContext& context) {
  const auto& at = context.attributes<UnfoldAttributes>();
  const Layout plain = Layout::contiguous(at.shape);
  const Layout windows = plain.unfold(at.dim, at.size, at.step);
  const Tensor flat = scatter_add_to_storage(context.grad(), windows, 0, plain.numel());
  context.set(0, view(flat, at.shape));
}

void as_strided_backward(BackwardContext& context) {
  const auto& at = context.attributes<AsStridedAttributes>();
  const int64_t begin = std::min(at.input.extent_begin(), at.output.extent_begin());
  const int64_t end = std::max(at.input.extent_end(), at.output.extent_end());
  const Tensor flat = scatter_add_to_storage(context.grad(), at.output, begin, end - begin);
  context.set(0, as_strided(flat, at.input.shape, at.input.strides, at.input.offset - begin));
}

}  // namespace taut::ops::view_backward
