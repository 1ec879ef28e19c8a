#pragma once
// Order: sorting, selection, searching, counting. NaN sorts above all numbers; sorts are stable.

#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "taut/core/tensor.h"

namespace taut {

/// Values and int64 indices in ascending (descending) order along `dim`.
TAUT_API std::pair<Tensor, Tensor> sort(const Tensor& input, int64_t dim = -1,
                                        bool descending = false);
TAUT_API Tensor argsort(const Tensor& input, int64_t dim = -1, bool descending = false);
TAUT_API Tensor msort(const Tensor& input);
/// The k largest (smallest) along `dim`. @throws ValueError for k outside 0..size.
TAUT_API std::pair<Tensor, Tensor> topk(const Tensor& input, int64_t k, int64_t dim = -1,
                                        bool largest = true, bool sorted = true);
/// The k-th smallest along `dim`, k from 1.
TAUT_API std::pair<Tensor, Tensor> kthvalue(const Tensor& input, int64_t k, int64_t dim = -1,
                                            bool keepdim = false);
/// The middle element, the lower of two; NaN if there is one (nanmedian: unless there is nothing
/// else).
TAUT_API std::pair<Tensor, Tensor> median(const Tensor& input, int64_t dim, bool keepdim = false);
TAUT_API Tensor median(const Tensor& input);
TAUT_API std::pair<Tensor, Tensor> nanmedian(const Tensor& input, int64_t dim,
                                             bool keepdim = false);
TAUT_API Tensor nanmedian(const Tensor& input);
/// The most frequent element, the smallest of those, and its last index.
TAUT_API std::pair<Tensor, Tensor> mode(const Tensor& input, int64_t dim = -1,
                                        bool keepdim = false);
/// Where values go in rows of ascending boundaries: before equal ones, or after with right.
TAUT_API Tensor searchsorted(const Tensor& sorted_sequence, const Tensor& values,
                             bool out_int32 = false, bool right = false);
TAUT_API Tensor bucketize(const Tensor& input, const Tensor& boundaries, bool out_int32 = false,
                          bool right = false);
/// Distinct elements (ascending), where each element went, and how often each occurs; the latter
/// two undefined unless asked for.
TAUT_API std::tuple<Tensor, Tensor, Tensor> unique(const Tensor& input, bool sorted = true,
                                                   bool return_inverse = false,
                                                   bool return_counts = false,
                                                   std::optional<int64_t> dim = {});
/// Without repetitions of neighbours.
TAUT_API std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& input,
                                                               bool return_inverse = false,
                                                               bool return_counts = false,
                                                               std::optional<int64_t> dim = {});
/// How often each number from 0 on occurs, or the sum of its weights.
TAUT_API Tensor bincount(const Tensor& input, const Tensor& weights = Tensor(),
                         int64_t minlength = 0);
/// Counts in `bins` equal parts of [min, max], or of the input's range when both are 0.
TAUT_API Tensor histc(const Tensor& input, int64_t bins = 100, double min = 0, double max = 0);
/// Whether each element is one of test_elements.
TAUT_API Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert = false);

/// Running sums, products and extremes along `dim`; integers accumulate in int64.
TAUT_API Tensor cumsum(const Tensor& input, int64_t dim, std::optional<DType> dtype = {});
TAUT_API Tensor cumprod(const Tensor& input, int64_t dim, std::optional<DType> dtype = {});
TAUT_API std::pair<Tensor, Tensor> cummax(const Tensor& input, int64_t dim);
TAUT_API std::pair<Tensor, Tensor> cummin(const Tensor& input, int64_t dim);
TAUT_API Tensor logcumsumexp(const Tensor& input, int64_t dim);
/// Differences of neighbours, n times over.
TAUT_API Tensor diff(const Tensor& input, int64_t n = 1, int64_t dim = -1);
/// The integral by the trapezoidal rule, with unit steps, steps dx or points x.
TAUT_API Tensor trapezoid(const Tensor& y, double dx = 1, int64_t dim = -1);
TAUT_API Tensor trapezoid(const Tensor& y, const Tensor& x, int64_t dim = -1);
TAUT_API Tensor cumulative_trapezoid(const Tensor& y, double dx = 1, int64_t dim = -1);
/// The cross product of vectors of size 3 along `dim`.
TAUT_API Tensor cross(const Tensor& input, const Tensor& other, int64_t dim = -1);
/// Samples class indices from rows of weights; null for the default generator.
TAUT_API Tensor multinomial(const Tensor& input, int64_t num_samples, bool replacement = false,
                            Generator* generator = nullptr);

}  // namespace taut
