#pragma once
// Other shapes of the same elements. What can be a view is one: it shares the elements, and a write
// to one is seen in the other. Dims count from the end when negative.
//   Tensor rows = x.view({-1, 4});  rows[0].zero_();  // x changes too

#include <optional>
#include <vector>

#include "taut/core/tensor.h"

namespace taut {

/// The same elements with other sizes, one of which may be -1.
/// @throws ShapeError when the layout does not allow it without a copy; reshape copies then.
TAUT_API Tensor view(const Tensor& input, const Dims& size);
/// The same bytes as elements of another dtype, outside the tape. Where the sizes of elements
/// differ, the last dim becomes longer or shorter.
/// @throws ShapeError unless the last dim has stride 1 and sizes, strides and offset divide.
TAUT_API Tensor view(const Tensor& input, DType dtype);
TAUT_API Tensor reshape(const Tensor& input, const Dims& shape);
TAUT_API Tensor view_as(const Tensor& input, const Tensor& other);
TAUT_API Tensor reshape_as(const Tensor& input, const Tensor& other);
TAUT_API Tensor flatten(const Tensor& input, int64_t start_dim = 0, int64_t end_dim = -1);
TAUT_API Tensor unflatten(const Tensor& input, int64_t dim, const Dims& sizes);
TAUT_API Tensor ravel(const Tensor& input);
TAUT_API Tensor permute(const Tensor& input, const Dims& dims);
TAUT_API Tensor transpose(const Tensor& input, int64_t dim0, int64_t dim1);
TAUT_API Tensor swapaxes(const Tensor& input, int64_t axis0, int64_t axis1);
TAUT_API Tensor swapdims(const Tensor& input, int64_t dim0, int64_t dim1);
/// The transpose of a matrix. @throws ShapeError for more than two dims.
TAUT_API Tensor t(const Tensor& input);
/// Dims in reverse order (numpy's T).
TAUT_API Tensor numpy_T(const Tensor& input);
TAUT_API Tensor adjoint(const Tensor& input);
TAUT_API Tensor movedim(const Tensor& input, const Dims& source, const Dims& destination);
TAUT_API Tensor moveaxis(const Tensor& input, const Dims& source, const Dims& destination);
/// Without dims of size 1: all, one, or those named.
TAUT_API Tensor squeeze(const Tensor& input);
TAUT_API Tensor squeeze(const Tensor& input, int64_t dim);
TAUT_API Tensor squeeze(const Tensor& input, const Dims& dims);
TAUT_API Tensor unsqueeze(const Tensor& input, int64_t dim);
/// Repeats dims of size 1 and new leading dims without copying; -1 keeps a size.
TAUT_API Tensor expand(const Tensor& input, const Dims& size);
TAUT_API Tensor expand_as(const Tensor& input, const Tensor& other);
TAUT_API Tensor broadcast_to(const Tensor& input, const Dims& size);
TAUT_API Tensors broadcast_tensors(TensorList tensors);
/// `length` indices of dim from start on. @throws IndexError out of range.
TAUT_API Tensor narrow(const Tensor& input, int64_t dim, int64_t start, int64_t length);
TAUT_API Tensor narrow_copy(const Tensor& input, int64_t dim, int64_t start, int64_t length);
TAUT_API Tensor select(const Tensor& input, int64_t dim, int64_t index);
/// input[start:end:step] along dim, clamped as in Python. @throws ValueError unless step > 0.
TAUT_API Tensor slice(const Tensor& input, int64_t dim = 0, std::optional<int64_t> start = {},
                      std::optional<int64_t> end = {}, int64_t step = 1);
TAUT_API Tensor diagonal(const Tensor& input, int64_t offset = 0, int64_t dim1 = 0,
                         int64_t dim2 = 1);
/// Windows of `size` along a dim, `step` apart, as a new last dim (Tensor.unfold).
TAUT_API Tensor unfold(const Tensor& input, int64_t dimension, int64_t size, int64_t step);
/// Any strides over the storage. @throws ValueError when they leave it.
TAUT_API Tensor as_strided(const Tensor& input, const Dims& size, const Dims& stride,
                           std::optional<int64_t> storage_offset = {});
/// Views of the parts of a dim, at most 2^24 of them.
/// @throws ValueError for more.
TAUT_API Tensors split(const Tensor& input, int64_t split_size, int64_t dim = 0);
TAUT_API Tensors split(const Tensor& input, const std::vector<int64_t>& split_sizes,
                       int64_t dim = 0);
TAUT_API Tensors split_with_sizes(const Tensor& input, const std::vector<int64_t>& split_sizes,
                                  int64_t dim = 0);
TAUT_API Tensors chunk(const Tensor& input, int64_t chunks, int64_t dim = 0);
TAUT_API Tensors tensor_split(const Tensor& input, int64_t sections, int64_t dim = 0);
TAUT_API Tensors tensor_split(const Tensor& input, const std::vector<int64_t>& indices,
                              int64_t dim = 0);
TAUT_API Tensors unbind(const Tensor& input, int64_t dim = 0);
TAUT_API Tensors hsplit(const Tensor& input, int64_t sections);
TAUT_API Tensors vsplit(const Tensor& input, int64_t sections);
TAUT_API Tensors dsplit(const Tensor& input, int64_t sections);
TAUT_API Tensor atleast_1d(const Tensor& input);
TAUT_API Tensor atleast_2d(const Tensor& input);
TAUT_API Tensor atleast_3d(const Tensor& input);
/// The same elements outside the tape.
TAUT_API Tensor detach(const Tensor& input);
/// A new view of everything, as autograd sees it.
TAUT_API Tensor alias(const Tensor& input);

}  // namespace taut
