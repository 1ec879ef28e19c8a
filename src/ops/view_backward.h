#pragma once
// The derivatives of views: the gradient goes back where the elements came from.

#include "taut/autograd/node.h"
#include "taut/core/layout.h"

namespace taut::ops::view_backward {

struct ShapeAttributes {
  Dims shape;
};
struct TransposeAttributes {
  int dim0, dim1;
};
struct SliceAttributes {
  Dims shape;
  int dim;
  int64_t start, end, step;
};
struct PiecesAttributes {
  Dims shape;
  int dim;
};
struct SelectAttributes {
  Dims shape;
  int dim;
  int64_t index;
};
struct DiagonalAttributes {
  Dims shape;
  int dim1, dim2;
  int64_t offset;
};
struct UnfoldAttributes {
  Dims shape;
  int dim;
  int64_t size, step;
};
struct AsStridedAttributes {
  Layout input;
  Layout output;
};

void reshape_backward(autograd::BackwardContext& context);
void permute_backward(autograd::BackwardContext& context);
void transpose_backward(autograd::BackwardContext& context);
void expand_backward(autograd::BackwardContext& context);
void slice_backward(autograd::BackwardContext& context);
void split_backward(autograd::BackwardContext& context);
void unbind_backward(autograd::BackwardContext& context);
void select_backward(autograd::BackwardContext& context);
void diagonal_backward(autograd::BackwardContext& context);
void unfold_backward(autograd::BackwardContext& context);
void as_strided_backward(autograd::BackwardContext& context);

}  // namespace taut::ops::view_backward
