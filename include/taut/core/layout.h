#pragma once
// How a tensor's elements lie in its storage: sizes, strides and offset, in elements. All stride
// arithmetic lives here and knows nothing of tensors.
//   Layout rows = Layout::contiguous({4, 6}).slice(0, 1, 3, 1);  // shape (2, 6), offset 6

#include <optional>

#include "taut/core/dims.h"

namespace taut {

/// How a dense tensor of 4 (5) dims orders them in memory.
enum class MemoryFormat : uint8_t { contiguous, channels_last, preserve };

struct TAUT_API Layout {
  Dims shape;
  Dims strides;
  int64_t offset = 0;

  static Layout contiguous(const Dims& shape);
  /// Batch, height, width, channels in memory for a shape (batch, channels, height, width), and
  /// likewise for one or three spatial dims.
  static Layout channels_last(const Dims& shape);

  int rank() const { return shape.rank(); }
  int64_t numel() const { return shape.numel(); }
  bool is_contiguous() const;
  bool is_channels_last() const;
  /// Whether every element of the storage range it spans belongs to exactly one index, in any order
  /// of dims.
  bool is_dense() const;
  /// Whether no two indices meet in one element (broadcast dims of stride 0 do).
  bool is_non_overlapping() const;
  /// The offset of the lowest and one past the highest element; equal for no elements.
  int64_t extent_begin() const;
  int64_t extent_end() const;

  /// The layout seen with the sizes of `target`, repeated along new dims and dims of size 1.
  /// @throws ShapeError that names `op` when the sizes do not broadcast.
  Layout broadcast_to(const char* op, const Dims& target) const;
  Layout permute(const Dims& order) const;
  Layout transpose(int dim0, int dim1) const;
  /// Keeps indices start, start + step, ... below end; arguments are already in range.
  Layout slice(int dim, int64_t start, int64_t end, int64_t step) const;
  /// Drops `dim`, keeping its index `position`.
  Layout select(int dim, int64_t position) const;
  Layout unsqueeze(int dim) const;
  Layout squeeze(int dim) const;
  /// The diagonal of two dims as a new last dim, `shift` above the main one.
  Layout diagonal(int dim0, int dim1, int64_t shift) const;
  /// Windows of `size` elements along `dim`, `step` apart, as a new last dim.
  Layout unfold(int dim, int64_t size, int64_t step) const;
  /// The same elements in the same order with other sizes; nullopt when that needs a copy.
  std::optional<Layout> view(const Dims& target) const;
};

static_assert(std::is_trivially_copyable_v<Layout>);

/// The strides of a contiguous tensor.
TAUT_API Dims contiguous_strides(const Dims& shape);

/// The sizes that both broadcast to. @throws ShapeError that names `op` and both shapes.
TAUT_API Dims broadcast_shapes(const char* op, const Dims& a, const Dims& b);

/// Replaces one -1 by the size that makes `target` hold `numel` elements.
/// @throws ShapeError when there is none.
TAUT_API Dims infer_size(const char* op, const Dims& target, int64_t numel);

/// The product of the sizes. @throws ValueError for a negative size, ShapeError for an overflow of
/// int64.
TAUT_API int64_t checked_numel(const char* op, const Dims& shape);

}  // namespace taut
