#pragma once
// Reading and writing at positions that index tensors name. Two kernels, `get` and `put`, serve all
// of indexing; see Note [Indexed addresses] for how each op asks for them.
//
// Note [Indexed addresses]
// Both kernels walk a shape `size`, that of the indexed result. At the coordinates x the indexed
// tensor ("self") is accessed at
//   self + sum over d of x[d] * self_strides[d]
//        + sum over j of index_j[sum over d of x[d] * index_j.strides[d]] * index_j.dim_stride
// so self_strides holds 0 where a coordinate only picks indices, and an index has stride 0 along
// the dims that it does not vary in. With s the strides and n the sizes of self:
// - gather, scatter along dim: size = the index's shape, self_strides = s with 0 at dim, one index
//   with its own strides, {n[dim], s[dim]}
// - index_select, _add, _copy, _fill, _reduce, embedding: size = the shape of the result or source,
//   self_strides = s with 0 at dim, one index with stride 0 everywhere but at dim
// - take, put: self contiguous, self_strides all 0, {numel, 1}, wrap_negative
// - self[:, i, :, j]: size = the result's shape; each indexed dim is one index, each other dim of
//   self keeps its stride; wrap_negative
// A scalar or broadcast source has stride 0.

#include <cstdint>

#include "kernels/api/index_result.h"
#include "taut/base/macros.h"
#include "taut/core/dims.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// One index tensor and the dim of self that it indexes.
struct IndexedDim {
  const void* index = nullptr;
  Dims strides;  // of the index tensor, one for each entry of `size`
  int64_t dim_size = 0;
  int64_t dim_stride = 0;  // of self
};

/// output[x] = self at the indexed address of x; see Note [Indexed addresses]. All dtypes.
/// index_dtype, here and below: int32 or int64. op, here and below: whom a report of an index out
/// of range names where the device finds it only later, see Note [Index faults]; never goes away.
struct IndexGetArgs {
  const char* op = "";
  DType dtype = DType::float32;
  DType index_dtype = DType::int64;
  bool wrap_negative = false;  // whether -1 means the last; otherwise it is out of range
  Dims size;
  const void* self = nullptr;
  Dims self_strides;
  int index_count = 0;
  IndexedDim indices[kMaxRank];
  void* output = nullptr;
  Dims output_strides;
};

enum class PutMode : uint8_t { assign, sum, prod, mean, amax, amin };

/// Combines source[x] into self at the indexed address of x. assign: the last in row-major order of
/// x stays; sum: self += alpha * source; prod, amax, amin (NaN wins), mean likewise, where mean
/// divides (integers: floor) by the number of values. With include_self false, what the positions
/// that are written to held before takes no part. assign: all dtypes; sum: all, bool as logical or;
/// the others: all but bool. When an index is out of range nothing is written on the CPU; CUDA
/// leaves out the elements that it is for. Self does not overlap itself, the source or the indices.
/// Values are combined in row-major order of x.
struct IndexPutArgs {
  const char* op = "";
  DType dtype = DType::float32;
  DType index_dtype = DType::int64;
  bool wrap_negative = false;
  PutMode mode = PutMode::assign;
  bool include_self = true;
  double alpha = 1.0;  // of sum
  Dims size;
  void* self = nullptr;
  Dims self_strides;
  int index_count = 0;
  IndexedDim indices[kMaxRank];
  const void* source = nullptr;
  Dims source_strides;
};

/// grad_weight[v] = sum of grad_output[i] over the i with index[i] == v, in their order; rows that
/// no index names are zeroed, as is row padding_idx. With scale_grad_by_freq each sum is divided by
/// its number of terms. grad_output: (count, width), index: (count), grad_weight: (rows, width),
/// all contiguous. dtype: floating.
struct EmbeddingBackwardArgs {
  const char* op = "";
  DType dtype = DType::float32;
  DType index_dtype = DType::int64;
  int64_t count = 0;
  int64_t width = 0;
  int64_t rows = 0;
  int64_t padding_idx = -1;
  bool scale_grad_by_freq = false;
  const void* grad_output = nullptr;
  const void* index = nullptr;
  void* grad_weight = nullptr;
};

/// Counts the elements of a contiguous tensor that are not zero (NaN is not). All dtypes.
struct CountNonzeroArgs {
  DType dtype = DType::float32;
  int64_t n = 0;
  const void* input = nullptr;
};

/// Writes the coordinates of the elements that are not zero, in row-major order: coordinate d of
/// the i-th goes to output[i * row_stride + d * col_stride]. input: contiguous, of `size`; output
/// has room for all of them.
struct NonzeroArgs {
  DType dtype = DType::float32;
  Dims size;
  const void* input = nullptr;
  int64_t* output = nullptr;
  int64_t row_stride = 0;
  int64_t col_stride = 1;
};

/// output = the elements of input where mask is true, in order. input, mask (bool): contiguous, n
/// elements; output has room for as many as the mask has trues. All dtypes.
struct MaskedSelectArgs {
  DType dtype = DType::float32;
  int64_t n = 0;
  const void* input = nullptr;
  const void* mask = nullptr;
  void* output = nullptr;
};

/// Replaces the elements of self where mask is true by the next elements of source. self, mask
/// (bool): contiguous, n elements; source: contiguous, source_count elements, of which the first as
/// many as the mask has trues are read. Returns that number; when source_count is less, nothing is
/// written. All dtypes.
struct MaskedScatterArgs {
  DType dtype = DType::float32;
  int64_t n = 0;
  void* self = nullptr;
  const void* mask = nullptr;
  const void* source = nullptr;
  int64_t source_count = 0;
};

struct IndexKernels {
  IndexResult (*get)(const IndexGetArgs& args) = nullptr;
  IndexResult (*put)(const IndexPutArgs& args) = nullptr;
  IndexResult (*embedding_backward)(const EmbeddingBackwardArgs& args) = nullptr;
  int64_t (*count_nonzero)(const CountNonzeroArgs& args) = nullptr;
  void (*nonzero)(const NonzeroArgs& args) = nullptr;
  void (*masked_select)(const MaskedSelectArgs& args) = nullptr;
  int64_t (*masked_scatter)(const MaskedScatterArgs& args) = nullptr;
};

TAUT_API IndexKernels index_kernels_cpu();
IndexKernels index_kernels_cuda();

}  // namespace taut::kernels
