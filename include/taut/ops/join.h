#pragma once
// Several tensors into one, and one tensor repeated or turned.

#include <vector>

#include "taut/core/tensor.h"

namespace taut {

/// Along an existing dim; the other sizes must agree, dtypes promote.
TAUT_API Tensor cat(TensorList tensors, int64_t dim = 0);
inline Tensor cat(std::initializer_list<Tensor> tensors, int64_t dim = 0) {
  return cat(TensorList(tensors.begin(), tensors.size()), dim);
}
TAUT_API Tensor concat(TensorList tensors, int64_t dim = 0);
/// Along a new dim; all shapes must be equal.
TAUT_API Tensor stack(TensorList tensors, int64_t dim = 0);
inline Tensor stack(std::initializer_list<Tensor> tensors, int64_t dim = 0) {
  return stack(TensorList(tensors.begin(), tensors.size()), dim);
}
TAUT_API Tensor hstack(TensorList tensors);
TAUT_API Tensor vstack(TensorList tensors);
TAUT_API Tensor dstack(TensorList tensors);
TAUT_API Tensor column_stack(TensorList tensors);
TAUT_API Tensor block_diag(TensorList tensors);

/// The whole tensor `repeats` times along each dim; new dims come first.
TAUT_API Tensor repeat(const Tensor& input, const Dims& repeats);
TAUT_API Tensor tile(const Tensor& input, const Dims& dims);
/// Each element `repeats` times, along one dim or over the flattened tensor.
TAUT_API Tensor repeat_interleave(const Tensor& input, int64_t repeats,
                                  std::optional<int64_t> dim = {});
/// Indices in reverse along the dims.
TAUT_API Tensor flip(const Tensor& input, const Dims& dims);
TAUT_API Tensor fliplr(const Tensor& input);
TAUT_API Tensor flipud(const Tensor& input);
/// Elements moved on by `shifts` along the dims, what leaves coming in again at the other end;
/// without dims, over the flattened tensor.
TAUT_API Tensor roll(const Tensor& input, const Dims& shifts, const Dims& dims = {});
/// Turned by k times 90 degrees in the plane of two dims.
TAUT_API Tensor rot90(const Tensor& input, int64_t k = 1, const Dims& dims = {0, 1});

/// The lower (upper) triangle of matrices, zeros elsewhere; `diagonal` moves the border up.
TAUT_API Tensor tril(const Tensor& input, int64_t diagonal = 0);
TAUT_API Tensor triu(const Tensor& input, int64_t diagonal = 0);
/// A vector as a diagonal matrix, or the diagonal of a matrix.
TAUT_API Tensor diag(const Tensor& input, int64_t diagonal = 0);
TAUT_API Tensor diagflat(const Tensor& input, int64_t offset = 0);
TAUT_API Tensor diag_embed(const Tensor& input, int64_t offset = 0, int64_t dim1 = -2,
                           int64_t dim2 = -1);
TAUT_API Tensor trace(const Tensor& input);
/// The rows and columns of a triangle, as a (2, n) tensor of int64.
TAUT_API Tensor tril_indices(int64_t row, int64_t col, int64_t offset = 0);
TAUT_API Tensor triu_indices(int64_t row, int64_t col, int64_t offset = 0);

/// Coordinates of a grid; indexing is "ij" or "xy".
TAUT_API Tensors meshgrid(TensorList tensors, std::string_view indexing = "ij");
TAUT_API Tensor cartesian_prod(TensorList tensors);

/// input with `src` in the place of a slice, an index or a diagonal.
TAUT_API Tensor slice_scatter(const Tensor& input, const Tensor& src, int64_t dim = 0,
                              std::optional<int64_t> start = {}, std::optional<int64_t> end = {},
                              int64_t step = 1);
TAUT_API Tensor select_scatter(const Tensor& input, const Tensor& src, int64_t dim, int64_t index);
TAUT_API Tensor diagonal_scatter(const Tensor& input, const Tensor& src, int64_t offset = 0,
                                 int64_t dim1 = 0, int64_t dim2 = 1);

/// Padding around the last dims, pairs from the last dim backwards; negative pads cut.
TAUT_API Tensor constant_pad_nd(const Tensor& input, const std::vector<int64_t>& pad,
                                const Scalar& value = 0);

}  // namespace taut
