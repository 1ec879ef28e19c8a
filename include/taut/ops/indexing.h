#pragma once
// Indexing: by numbers, slices, masks and index tensors.
//   using namespace taut::indexing;
//   Tensor y = x.index({0, Slice(1, None, 2), Ellipsis, mask});

#include <optional>
#include <utility>
#include <vector>

#include "taut/core/tensor.h"

namespace taut {

namespace indexing {

struct NoneType {};
struct EllipsisType {};
inline constexpr NoneType None{};
inline constexpr EllipsisType Ellipsis{};

/// start:stop:step of Python, each of which may be None.
class Slice {
 public:
  class Bound {
   public:
    Bound(NoneType) {}
    Bound(int64_t value) : value_(value) {}
    Bound(int value) : value_(value) {}
    operator std::optional<int64_t>() const { return value_; }

   private:
    std::optional<int64_t> value_;
  };
  Slice(Bound start = None, Bound stop = None, Bound step = None)
      : start_(start), stop_(stop), step_(std::optional<int64_t>(step).value_or(1)) {}
  std::optional<int64_t> start() const { return start_; }
  std::optional<int64_t> stop() const { return stop_; }
  int64_t step() const { return step_; }

 private:
  std::optional<int64_t> start_;
  std::optional<int64_t> stop_;
  int64_t step_;
};

}  // namespace indexing

class TensorIndex {
 public:
  enum class Kind : uint8_t { none, ellipsis, integer, boolean, slice, tensor };

  TensorIndex(indexing::NoneType) : kind_(Kind::none) {}
  TensorIndex(indexing::EllipsisType) : kind_(Kind::ellipsis) {}
  TensorIndex(int64_t value) : kind_(Kind::integer), integer_(value) {}
  TensorIndex(int value) : kind_(Kind::integer), integer_(value) {}
  TensorIndex(bool value) : kind_(Kind::boolean), integer_(value ? 1 : 0) {}
  TensorIndex(indexing::Slice slice) : kind_(Kind::slice), slice_(slice) {}
  TensorIndex(Tensor tensor) : kind_(Kind::tensor), tensor_(std::move(tensor)) {}

  Kind kind() const { return kind_; }
  int64_t integer() const { return integer_; }
  bool boolean() const { return integer_ != 0; }
  const indexing::Slice& slice() const { return slice_; }
  const Tensor& tensor() const { return tensor_; }

 private:
  Kind kind_;
  int64_t integer_ = 0;
  indexing::Slice slice_;
  Tensor tensor_;
};

using TensorIndices = std::span<const TensorIndex>;

/// PyTorch's x[indices]: a view while there are only numbers, slices, None and Ellipsis; a copy
/// with masks or index tensors, whose dims come where they stood if they stand side by side, and
/// first otherwise. @throws IndexError for what is out of range or too many.
TAUT_API Tensor index(const Tensor& input, TensorIndices indices);
/// x[indices] = value, broadcast and cast; accumulate adds instead, every time an element is named.
TAUT_API const Tensor& index_put_(const Tensor& input, TensorIndices indices, const Tensor& value,
                                  bool accumulate = false);
TAUT_API Tensor index_put(const Tensor& input, TensorIndices indices, const Tensor& value,
                          bool accumulate = false);

/// output[i][j] = input[index[i][j]][j] for dim 0, and so on. index has as many dims as input.
TAUT_API Tensor gather(const Tensor& input, int64_t dim, const Tensor& index);
/// The reverse: input[index[i][j]][j] = src[i][j].
TAUT_API Tensor scatter(const Tensor& input, int64_t dim, const Tensor& index, const Tensor& src);
TAUT_API Tensor scatter(const Tensor& input, int64_t dim, const Tensor& index, const Scalar& value);
TAUT_API const Tensor& scatter_(const Tensor& input, int64_t dim, const Tensor& index,
                                const Tensor& src);
TAUT_API const Tensor& scatter_(const Tensor& input, int64_t dim, const Tensor& index,
                                const Scalar& value);
TAUT_API Tensor scatter_add(const Tensor& input, int64_t dim, const Tensor& index,
                            const Tensor& src);
TAUT_API const Tensor& scatter_add_(const Tensor& input, int64_t dim, const Tensor& index,
                                    const Tensor& src);
/// Combines by "sum", "prod", "mean", "amax" or "amin".
TAUT_API Tensor scatter_reduce(const Tensor& input, int64_t dim, const Tensor& index,
                               const Tensor& src, std::string_view reduce,
                               bool include_self = true);
TAUT_API const Tensor& scatter_reduce_(const Tensor& input, int64_t dim, const Tensor& index,
                                       const Tensor& src, std::string_view reduce,
                                       bool include_self = true);

/// Slices of one dim, by an index of one dim.
TAUT_API Tensor index_select(const Tensor& input, int64_t dim, const Tensor& index);
TAUT_API Tensor index_add(const Tensor& input, int64_t dim, const Tensor& index,
                          const Tensor& source, const Scalar& alpha = 1);
TAUT_API const Tensor& index_add_(const Tensor& input, int64_t dim, const Tensor& index,
                                  const Tensor& source, const Scalar& alpha = 1);
TAUT_API Tensor index_copy(const Tensor& input, int64_t dim, const Tensor& index,
                           const Tensor& source);
TAUT_API const Tensor& index_copy_(const Tensor& input, int64_t dim, const Tensor& index,
                                   const Tensor& source);
TAUT_API Tensor index_fill(const Tensor& input, int64_t dim, const Tensor& index,
                           const Scalar& value);
TAUT_API const Tensor& index_fill_(const Tensor& input, int64_t dim, const Tensor& index,
                                   const Scalar& value);
/// Elements of the flattened input.
TAUT_API Tensor take(const Tensor& input, const Tensor& index);
TAUT_API Tensor take_along_dim(const Tensor& input, const Tensor& indices,
                               std::optional<int64_t> dim = {});

/// The elements where the mask (broadcast) is true, as one dim.
TAUT_API Tensor masked_select(const Tensor& input, const Tensor& mask);
/// The elements where the mask is true replaced by those of source, in order.
TAUT_API Tensor masked_scatter(const Tensor& input, const Tensor& mask, const Tensor& source);
TAUT_API const Tensor& masked_scatter_(const Tensor& input, const Tensor& mask,
                                       const Tensor& source);
/// The coordinates of the elements that are not 0, as an (n, dims) tensor of int64.
TAUT_API Tensor nonzero(const Tensor& input);
TAUT_API Tensor argwhere(const Tensor& input);
/// The same, one tensor for each dim.
TAUT_API Tensors nonzero_as_tuple(const Tensor& input);

namespace nn::functional {
/// Rows of weight by index: (*) and (rows, width) to (*, width). The gradient of row padding_idx
/// stays 0. @throws IndexError that names the first index out of range.
TAUT_API Tensor embedding(const Tensor& input, const Tensor& weight,
                          std::optional<int64_t> padding_idx = {}, bool scale_grad_by_freq = false);
/// 1 at the class, 0 elsewhere, as int64; num_classes -1 takes the largest class + 1.
TAUT_API Tensor one_hot(const Tensor& input, int64_t num_classes = -1);
}  // namespace nn::functional

}  // namespace taut
