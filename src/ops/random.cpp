#include "taut/ops/random.h"

#include <algorithm>
#include <bit>

#include "src/ops/allocate.h"
#include "src/ops/check_range.h"
#include "src/ops/dispatch.h"
#include "src/ops/take_random.h"
#include "taut/autograd/record.h"
#include "taut/base/trace.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace taut {
namespace {

using autograd::BackwardContext;
using kernels::random_blocks;
using kernels::random_width;
using kernels::RandomArgs;

Generator& generator_or_default(Generator* generator) {
  return generator == nullptr ? default_generator() : *generator;
}

// Where the op's numbers come from and go to; the output is contiguous.
void begin(RandomArgs& args, const Tensor& output, int width, Generator* generator) {
  args.output = output.data_ptr();
  args.n = output.numel();
  args.dtype = output.dtype();
  args.place = ops::take_random(generator_or_default(generator), output.device(),
                                random_blocks(output.numel(), width));
}

void fill_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, zeros_like(context.grad()));
}

// Fills `self` through a contiguous tensor of its dtype, which is itself where it can be.
template <class Fill>
const Tensor& fill_in_place(const char* op, const Tensor& self, Fill fill) {
  const TraceScope scope(ScopeKind::op, op);
  ops::check_defined(op, "self", self);
  autograd::check_in_place(op, self);
  if (self.is_contiguous()) {
    if (self.numel() > 0) fill(self);
  } else {
    const NoGradGuard no_grad;
    const Tensor numbers = ops::allocate(self.shape(), self.dtype(), self.device());
    if (numbers.numel() > 0) fill(numbers);
    copy_(self, numbers);
  }
  return autograd::record_in_place(op, {self}, self, {}, fill_backward);
}

void check_floating(const char* op, DType dtype) {
  TAUT_CHECK(taut::is_floating_point(dtype), DTypeError, op, ": expected a floating dtype; got ",
             dtype);
}

Tensor finish(Tensor tensor, const TensorOptions& options) {
  if (options.requires_grad()) tensor.requires_grad_();
  return tensor;
}

TensorOptions inherit(const Tensor& input, const TensorOptions& options) {
  return TensorOptions()
      .dtype(options.dtype_opt().value_or(input.dtype()))
      .device(options.device_opt().value_or(input.device()))
      .requires_grad(options.requires_grad());
}

}  // namespace

const Tensor& uniform_(const Tensor& self, double from, double to, Generator* generator) {
  check_floating("uniform_", self.dtype());
  TAUT_CHECK(from <= to, ValueError, "uniform_: from ", from, " is above to ", to);
  return fill_in_place("uniform_", self, [&](const Tensor& output) {
    kernels::UniformArgs args;
    begin(args, output, random_width(output.dtype()), generator);
    args.from = from;
    args.to = to;
    ops::kernels_of(output).random.uniform(args);
  });
}

const Tensor& normal_(const Tensor& self, double mean, double std, Generator* generator) {
  check_floating("normal_", self.dtype());
  TAUT_CHECK(std >= 0, ValueError, "normal_: std cannot be negative; got ", std);
  return fill_in_place("normal_", self, [&](const Tensor& output) {
    kernels::NormalArgs args;
    begin(args, output, random_width(output.dtype()), generator);
    args.mean = mean;
    args.std = std;
    ops::kernels_of(output).random.normal(args);
  });
}

const Tensor& log_normal_(const Tensor& self, double mean, double std, Generator* generator) {
  check_floating("log_normal_", self.dtype());
  TAUT_CHECK(std > 0, ValueError, "log_normal_: std must be positive; got ", std);
  return fill_in_place("log_normal_", self, [&](const Tensor& output) {
    kernels::NormalArgs args;
    begin(args, output, random_width(output.dtype()), generator);
    args.mean = mean;
    args.std = std;
    ops::kernels_of(output).random.log_normal(args);
  });
}

const Tensor& exponential_(const Tensor& self, double lambd, Generator* generator) {
  check_floating("exponential_", self.dtype());
  TAUT_CHECK(lambd > 0, ValueError, "exponential_: lambd must be positive; got ", lambd);
  return fill_in_place("exponential_", self, [&](const Tensor& output) {
    kernels::ExponentialArgs args;
    begin(args, output, random_width(output.dtype()), generator);
    args.rate = lambd;
    ops::kernels_of(output).random.exponential(args);
  });
}

const Tensor& cauchy_(const Tensor& self, double median, double sigma, Generator* generator) {
  check_floating("cauchy_", self.dtype());
  TAUT_CHECK(sigma > 0, ValueError, "cauchy_: sigma must be positive; got ", sigma);
  return fill_in_place("cauchy_", self, [&](const Tensor& output) {
    kernels::CauchyArgs args;
    begin(args, output, random_width(output.dtype()), generator);
    args.median = median;
    args.sigma = sigma;
    ops::kernels_of(output).random.cauchy(args);
  });
}

const Tensor& geometric_(const Tensor& self, double p, Generator* generator) {
  TAUT_CHECK(self.dtype() != kBool, DTypeError, "geometric_: not defined for bool");
  TAUT_CHECK(p > 0 && p < 1, ValueError, "geometric_: p must be between 0 and 1; got ", p);
  return fill_in_place("geometric_", self, [&](const Tensor& output) {
    kernels::GeometricArgs args;
    begin(args, output, random_width(output.dtype()), generator);
    args.p = p;
    ops::kernels_of(output).random.geometric(args);
  });
}

const Tensor& bernoulli_(const Tensor& self, double p, Generator* generator) {
  TAUT_CHECK(p >= 0 && p <= 1, ValueError, "bernoulli_: p must be in 0..1; got ", p);
  return fill_in_place("bernoulli_", self, [&](const Tensor& output) {
    kernels::BernoulliArgs args;
    begin(args, output, 32, generator);
    args.p = p;
    ops::kernels_of(output).random.bernoulli(args);
  });
}

namespace {

// The bits of a float's mantissa, with the one that is not stored.
int mantissa_bits(DType dtype) {
  switch (dtype) {
    case kFloat64: return 53;
    case kFloat32: return 24;
    case kFloat16: return 11;
    default: return 8;
  }
}

int64_t largest_random(DType dtype) {
  if (taut::is_floating_point(dtype)) return int64_t{1} << mantissa_bits(dtype);
  return integer_range(dtype).highest;
}

// Modulo 2^64, so that the lowest number is its own.
int64_t negated(int64_t value) { return static_cast<int64_t>(0 - static_cast<uint64_t>(value)); }

// The largest integer up to `value` that a float with so many bits of mantissa holds.
int64_t held_below(int64_t value, int bits) {
  const bool is_negative = value < 0;
  const uint64_t magnitude =
      is_negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  const int dropped = std::max(0, static_cast<int>(std::bit_width(magnitude)) - bits);
  const uint64_t mask = (uint64_t{1} << dropped) - 1;
  const uint64_t held = (is_negative ? magnitude + mask : magnitude) & ~mask;
  return static_cast<int64_t>(is_negative ? 0 - held : held);
}

struct IntegersBetween {
  int64_t low;
  int64_t last;
};

// Without the numbers at the ends that a float dtype would round to one outside.
IntegersBetween held_between(const char* op, DType dtype, int64_t low, int64_t last) {
  check_holds(op, dtype, low);
  check_holds(op, dtype, last);
  const int bits = mantissa_bits(dtype);
  const IntegersBetween held{negated(held_below(negated(low), bits)), held_below(last, bits)};
  TAUT_CHECK(held.low <= held.last, ValueError, op, ": ", dtype, " holds no integer from ", low,
             " to ", last);
  return held;
}

void check_random_range(const char* op, DType dtype, int64_t low, int64_t last) {
  const auto [lowest, highest] = integer_range(dtype);
  TAUT_CHECK(lowest <= low && last <= highest, ValueError, op, ": numbers from ", low, " to ", last,
             " do not fit ", dtype, "; expected ", lowest, " to ", highest);
}

// Integers from low to last, both included: so there is a last one even where there is no higher
// one.
const Tensor& fill_integers(const char* op, const Tensor& self, int64_t low, int64_t last,
                            Generator* generator) {
  if (taut::is_floating_point(self.dtype())) {
    const IntegersBetween held = held_between(op, self.dtype(), low, last);
    low = held.low;
    last = held.last;
  } else {
    check_random_range(op, self.dtype(), low, last);
  }
  const auto high = static_cast<int64_t>(static_cast<uint64_t>(last) + 1);
  return fill_in_place(op, self, [&](const Tensor& output) {
    kernels::RandintArgs args;
    begin(args, output, kernels::randint_width(low, high), generator);
    args.low = low;
    args.high = high;
    ops::kernels_of(output).random.randint(args);
  });
}

}  // namespace

const Tensor& random_(const Tensor& self, int64_t low, std::optional<int64_t> high,
                      Generator* generator) {
  ops::check_defined("random_", "self", self);
  if (high) {
    TAUT_CHECK(low < *high, ValueError, "random_: low ", low, " must be below high ", *high);
    return fill_integers("random_", self, low, *high - 1, generator);
  }
  const int64_t last = largest_random(self.dtype());
  TAUT_CHECK(low <= last, ValueError, "random_: low ", low, " is above ", last, ", the largest of ",
             self.dtype());
  return fill_integers("random_", self, low, last, generator);
}

const Tensor& random_(const Tensor& self, Generator* generator) {
  return random_(self, 0, std::nullopt, generator);
}

Tensor rand(const Dims& size, const TensorOptions& options, Generator* generator) {
  check_floating("rand", options.dtype());
  const Tensor result = empty(size, options.requires_grad(false));
  uniform_(result, 0, 1, generator);
  return finish(result, options);
}

Tensor randn(const Dims& size, const TensorOptions& options, Generator* generator) {
  check_floating("randn", options.dtype());
  const Tensor result = empty(size, options.requires_grad(false));
  normal_(result, 0, 1, generator);
  return finish(result, options);
}

Tensor randint(int64_t low, int64_t high, const Dims& size, const TensorOptions& options,
               Generator* generator) {
  TAUT_CHECK(low < high, ValueError, "randint: low ", low, " must be below high ", high);
  const TensorOptions merged =
      options.dtype(options.dtype_opt().value_or(kInt64)).requires_grad(false);
  const Tensor result = empty(size, merged);
  fill_integers("randint", result, low, high - 1, generator);
  return finish(result, options);
}

Tensor randperm(int64_t n, const TensorOptions& options, Generator* generator) {
  TAUT_CHECK(n >= 0, ValueError, "randperm: n cannot be negative; got ", n);
  Tensor result = ops::allocate({n}, kInt64, options.device());
  if (n > 0) {
    kernels::RandpermArgs args;
    begin(args, result, 64, generator);
    ops::kernels_of(result).random.randperm(args);
  }
  return finish(to(result, options.dtype_opt().value_or(kInt64)), options);
}

Tensor rand_like(const Tensor& input, const TensorOptions& options) {
  return rand(input.shape(), inherit(input, options));
}
Tensor randn_like(const Tensor& input, const TensorOptions& options) {
  return randn(input.shape(), inherit(input, options));
}
Tensor randint_like(const Tensor& input, int64_t low, int64_t high, const TensorOptions& options) {
  return randint(low, high, input.shape(), inherit(input, options));
}

Tensor normal(const Tensor& mean, const Tensor& std, Generator* generator) {
  const Dims shape = broadcast_shapes("normal", mean.shape(), std.shape());
  const Device device = mean.is_cpu() ? std.device() : mean.device();
  const TensorOptions options =
      TensorOptions(promote_types(mean.dtype(), std.dtype())).device(device);
  const Tensor noise = randn(shape, options, generator);
  return add(mul(noise, std.detach()), mean.detach());
}

Tensor normal(double mean, double std, const Dims& size, const TensorOptions& options,
              Generator* generator) {
  const Tensor result = empty(size, options.requires_grad(false));
  normal_(result, mean, std, generator);
  return finish(result, options);
}

namespace {

// A random choice has no slope.
void bernoulli_backward(BackwardContext& context) {
  if (context.needs(0)) context.set(0, zeros_like(context.grad()));
}

}  // namespace

Tensor bernoulli(const Tensor& input, Generator* generator) {
  const TraceScope scope(ScopeKind::op, "bernoulli");
  check_floating("bernoulli", input.dtype());
  const Tensor probabilities = contiguous(input.detach());
  ops::check_range("bernoulli", "probabilities in 0..1", probabilities, 0, 1);
  Tensor output = ops::allocate(input.shape(), input.dtype(), input.device());
  if (output.numel() > 0) {
    kernels::BernoulliArgs args;
    begin(args, output, 32, generator);
    args.probabilities = probabilities.data_ptr();
    args.probability_dtype = probabilities.dtype();
    ops::kernels_of(output).random.bernoulli(args);
  }
  return autograd::record("bernoulli", {input}, output, {}, bernoulli_backward);
}

Tensor bernoulli(const Tensor& input, double p, Generator* generator) {
  const Tensor result = empty_like(input);
  return bernoulli_(result, p, generator);
}

}  // namespace taut
