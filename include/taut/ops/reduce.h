#pragma once
// Reductions. `dim` lists the dims that go away; an empty list means all of them. keepdim leaves
// them with size 1. Integers and bool sum in int64.
//   Tensor m = x.mean({0}, /*keepdim=*/true);

#include <optional>
#include <utility>

#include "taut/core/tensor.h"

namespace taut {

TAUT_API Tensor sum(const Tensor& input, std::optional<DType> dtype = {});
TAUT_API Tensor sum(const Tensor& input, const Dims& dim, bool keepdim = false,
                    std::optional<DType> dtype = {});
TAUT_API Tensor nansum(const Tensor& input, const Dims& dim = {}, bool keepdim = false,
                       std::optional<DType> dtype = {});
TAUT_API Tensor prod(const Tensor& input, std::optional<DType> dtype = {});
TAUT_API Tensor prod(const Tensor& input, int64_t dim, bool keepdim = false,
                     std::optional<DType> dtype = {});
/// @throws DTypeError for integers, which must be given a floating dtype.
TAUT_API Tensor mean(const Tensor& input, std::optional<DType> dtype = {});
TAUT_API Tensor mean(const Tensor& input, const Dims& dim, bool keepdim = false,
                     std::optional<DType> dtype = {});
TAUT_API Tensor nanmean(const Tensor& input, const Dims& dim = {}, bool keepdim = false,
                        std::optional<DType> dtype = {});
/// sum((x - mean)^2) / max(0, n - correction), and its square root.
TAUT_API Tensor var(const Tensor& input, const Dims& dim = {}, double correction = 1,
                    bool keepdim = false);
TAUT_API Tensor std(const Tensor& input, const Dims& dim = {}, double correction = 1,
                    bool keepdim = false);
TAUT_API std::pair<Tensor, Tensor> var_mean(const Tensor& input, const Dims& dim = {},
                                            double correction = 1, bool keepdim = false);
TAUT_API std::pair<Tensor, Tensor> std_mean(const Tensor& input, const Dims& dim = {},
                                            double correction = 1, bool keepdim = false);
/// The largest and smallest elements; equal ones share the gradient.
TAUT_API Tensor amax(const Tensor& input, const Dims& dim = {}, bool keepdim = false);
TAUT_API Tensor amin(const Tensor& input, const Dims& dim = {}, bool keepdim = false);
TAUT_API std::pair<Tensor, Tensor> aminmax(const Tensor& input, std::optional<int64_t> dim = {},
                                           bool keepdim = false);
TAUT_API Tensor max(const Tensor& input);
TAUT_API Tensor min(const Tensor& input);
/// Values and int64 indices along one dim; the first of equal elements, and NaN before all others.
TAUT_API std::pair<Tensor, Tensor> max(const Tensor& input, int64_t dim, bool keepdim = false);
TAUT_API std::pair<Tensor, Tensor> min(const Tensor& input, int64_t dim, bool keepdim = false);
TAUT_API Tensor argmax(const Tensor& input, std::optional<int64_t> dim = {}, bool keepdim = false);
TAUT_API Tensor argmin(const Tensor& input, std::optional<int64_t> dim = {}, bool keepdim = false);
TAUT_API Tensor all(const Tensor& input);
TAUT_API Tensor all(const Tensor& input, const Dims& dim, bool keepdim = false);
TAUT_API Tensor any(const Tensor& input);
TAUT_API Tensor any(const Tensor& input, const Dims& dim, bool keepdim = false);
TAUT_API Tensor count_nonzero(const Tensor& input, const Dims& dim = {});
TAUT_API Tensor logsumexp(const Tensor& input, const Dims& dim, bool keepdim = false);
/// (sum |x|^p)^(1/p); p = 0 counts what is not 0, p = inf and -inf take the extremes.
TAUT_API Tensor norm(const Tensor& input, double p = 2.0);
TAUT_API Tensor norm(const Tensor& input, double p, const Dims& dim, bool keepdim = false,
                     std::optional<DType> dtype = {});
TAUT_API Tensor dist(const Tensor& input, const Tensor& other, double p = 2.0);

/// Sums over the dims in which `input` is broadcast against `size`, so that the result has it.
TAUT_API Tensor sum_to_size(const Tensor& input, const Dims& size);

namespace linalg {
TAUT_API Tensor vector_norm(const Tensor& input, double ord = 2.0, const Dims& dim = {},
                            bool keepdim = false, std::optional<DType> dtype = {});
}  // namespace linalg

}  // namespace taut
