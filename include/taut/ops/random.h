#pragma once
// Random tensors. The same seed gives the same numbers on every device and with any number of
// threads; `generator` is the default one unless given.

#include <optional>

#include "taut/core/generator.h"
#include "taut/core/tensor.h"

namespace taut {

/// Uniform in [0, 1).
TAUT_API Tensor rand(const Dims& size, const TensorOptions& options = {},
                     Generator* generator = nullptr);
/// Normal with mean 0 and variance 1.
TAUT_API Tensor randn(const Dims& size, const TensorOptions& options = {},
                      Generator* generator = nullptr);
/// Integers in [low, high), int64 unless the options say otherwise.
TAUT_API Tensor randint(int64_t low, int64_t high, const Dims& size,
                        const TensorOptions& options = {}, Generator* generator = nullptr);
inline Tensor randint(int64_t high, const Dims& size, const TensorOptions& options = {},
                      Generator* generator = nullptr) {
  return randint(0, high, size, options, generator);
}
/// The numbers 0 .. n-1 in random order, int64 unless the options say otherwise.
TAUT_API Tensor randperm(int64_t n, const TensorOptions& options = {},
                         Generator* generator = nullptr);
TAUT_API Tensor rand_like(const Tensor& input, const TensorOptions& options = {});
TAUT_API Tensor randn_like(const Tensor& input, const TensorOptions& options = {});
TAUT_API Tensor randint_like(const Tensor& input, int64_t low, int64_t high,
                             const TensorOptions& options = {});
/// Normal numbers of the given means and standard deviations.
TAUT_API Tensor normal(const Tensor& mean, const Tensor& std, Generator* generator = nullptr);
TAUT_API Tensor normal(double mean, double std, const Dims& size, const TensorOptions& options = {},
                       Generator* generator = nullptr);
/// 1 with the probability that each element of input gives. @throws ValueError outside 0..1.
TAUT_API Tensor bernoulli(const Tensor& input, Generator* generator = nullptr);
/// 1 with probability p, of the input's shape.
TAUT_API Tensor bernoulli(const Tensor& input, double p, Generator* generator = nullptr);

/// Filled in place.
TAUT_API const Tensor& uniform_(const Tensor& self, double from = 0, double to = 1,
                                Generator* generator = nullptr);
TAUT_API const Tensor& normal_(const Tensor& self, double mean = 0, double std = 1,
                               Generator* generator = nullptr);
TAUT_API const Tensor& bernoulli_(const Tensor& self, double p = 0.5,
                                  Generator* generator = nullptr);
/// Integers in [low, high); without `high` up to the largest that the dtype holds. The largest of a
/// float dtype is 2^24 for float32 (2^53, 2^11, 2^8 for float64, float16 and bfloat16), up to which
/// it holds every integer. @throws ValueError for an empty range or one that the dtype does not
/// hold.
TAUT_API const Tensor& random_(const Tensor& self, int64_t low, std::optional<int64_t> high,
                               Generator* generator = nullptr);
/// The same from 0 on.
TAUT_API const Tensor& random_(const Tensor& self, Generator* generator = nullptr);
TAUT_API const Tensor& exponential_(const Tensor& self, double lambd = 1,
                                    Generator* generator = nullptr);
TAUT_API const Tensor& geometric_(const Tensor& self, double p, Generator* generator = nullptr);
TAUT_API const Tensor& cauchy_(const Tensor& self, double median = 0, double sigma = 1,
                               Generator* generator = nullptr);
TAUT_API const Tensor& log_normal_(const Tensor& self, double mean = 1, double std = 2,
                                   Generator* generator = nullptr);

namespace nn::functional {
/// Each element 0 with probability p, the others times 1 / (1 - p); the input itself outside
/// training. Srivastava et al., Dropout, 2014. @throws ValueError unless 0 <= p <= 1.
TAUT_API Tensor dropout(const Tensor& input, double p = 0.5, bool training = true);
/// The same for whole channels (dims 0 and 1).
TAUT_API Tensor dropout2d(const Tensor& input, double p = 0.5, bool training = true);
/// dropout(input) + residual in one pass, to the same numbers; they broadcast and promote.
TAUT_API Tensor dropout_add(const Tensor& input, const Tensor& residual, double p = 0.5,
                            bool training = true);
}  // namespace nn::functional

}  // namespace taut
