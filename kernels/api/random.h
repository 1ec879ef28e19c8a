#pragma once
// Random fills from Philox4x32-10 (kernels/api/philox.h). A block is the four 32-bit words that
// one counter value gives; key = seed, counter = offset + block index, so a fill is a pure function
// of (seed, offset, n) on every device, up to the last ulp of log, sin and cos.
//   kernels.uniform({{.output = x, .n = 10, .dtype = kFloat32, .place = {.seed = 1}}, 0.0, 1.0});
//   offset += random_blocks(10, 32);
//
// Note [Which word makes which element]
// Narrow kernels give element i word i % 4 of block i / 4. Wide ones (float64, and randint over
// more than 2^32 values) give it bits = word[2 j] + 2^32 word[2 j + 1], j = i % 2, of block i / 2.
// A narrow u in [0, 1) is (word >> 8) 2^-24, a wide one (bits >> 11) 2^-53; u' = 1 - u.
// 16-bit floats are computed as float32 and rounded; where that rounds a uniform value up to `to`,
// `from` stands instead.

#include <cstdint>

#include "kernels/api/random_place.h"
#include "taut/base/macros.h"
#include "taut/core/dtype.h"

namespace taut::kernels {

/// A contiguous output of n elements and the place in the stream. The kernel consumes
/// random_blocks(n, width) counter values from `place` on.
struct RandomArgs {
  void* output = nullptr;
  int64_t n = 0;
  DType dtype = kFloat32;
  RandomPlace place;
};

/// Bits of the stream that one element takes: 64 for float64, 32 otherwise.
constexpr int random_width(DType dtype) { return dtype == DType::float64 ? 64 : 32; }

/// Counter values that n elements of `width` bits take: the generator above advances by so many.
constexpr uint64_t random_blocks(int64_t n, int width) {
  const uint64_t per_block = width == 64 ? 2 : 4;
  return (static_cast<uint64_t>(n) + per_block - 1) / per_block;
}

/// u (to - from) + from, in [from, to). Width: random_width(dtype).
struct UniformArgs : RandomArgs {
  double from = 0.0;
  double to = 1.0;
};

/// Box and Muller (1958): elements 2k and 2k + 1 are mean + std r cos(t) and mean + std r sin(t),
/// r = sqrt(-2 log(u'_{2k})), t = 2 pi u_{2k+1}. Width: random_width(dtype).
struct NormalArgs : RandomArgs {
  double mean = 0.0;
  double std = 1.0;
};

/// word < p 2^32, as 0 or 1 of any dtype. Width 32.
struct BernoulliArgs : RandomArgs {
  double p = 0.5;
  const void* probabilities = nullptr;  // (n) of probability_dtype; null: p for all
  DType probability_dtype = kFloat32;
};

/// low + floor(bits (high - low) / 2^width); any dtype. Width: randint_width(low, high). The
/// difference is taken modulo 2^64, where 0 stands for 2^64: so every range has a high.
struct RandintArgs : RandomArgs {
  int64_t low = 0;
  int64_t high = 1;
};

constexpr int randint_width(int64_t low, int64_t high) {
  const uint64_t last = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) - 1;
  return last >= uint64_t{1} << 32 ? 64 : 32;
}

/// exponential: max(-log(u'), epsilon / 2) / rate, never 0.
/// cauchy: median + sigma tan(pi (u - 1/2)).  log_normal: exp of normal.
/// geometric: max(1, ceil(log(u') / log(1 - p))), any dtype but bool.
/// Width: random_width(dtype).
struct ExponentialArgs : RandomArgs {
  double rate = 1.0;
};
struct GeometricArgs : RandomArgs {
  double p = 0.5;
};
struct CauchyArgs : RandomArgs {
  double median = 0.0;
  double sigma = 1.0;
};

/// A permutation of 0 .. n-1 as int64 (dtype is not read): the stable argsort of the wide 64-bit
/// keys of the stream. Width 64.
struct RandpermArgs : RandomArgs {};

/// keep = word < (1 - p) 2^32;  output = keep ? input / (1 - p) : 0. Width 32.
/// p = 1 drops everything. `residual` is added to the output, which is rounded before as after.
/// The backward is the same of the gradient, without a residual, from the same place of the stream.
struct DropoutArgs : RandomArgs {
  const void* input = nullptr;     // (n) contiguous, dtype; may be the output
  const void* residual = nullptr;  // (n) contiguous, dtype; may be null; not the output
  double p = 0.5;
};

struct RandomKernels {
  void (*uniform)(const UniformArgs&) = nullptr;          // floating
  void (*normal)(const NormalArgs&) = nullptr;            // floating
  void (*log_normal)(const NormalArgs&) = nullptr;        // floating
  void (*exponential)(const ExponentialArgs&) = nullptr;  // floating
  void (*cauchy)(const CauchyArgs&) = nullptr;            // floating
  void (*geometric)(const GeometricArgs&) = nullptr;      // any but bool
  void (*bernoulli)(const BernoulliArgs&) = nullptr;      // any
  void (*randint)(const RandintArgs&) = nullptr;          // any
  void (*randperm)(const RandpermArgs&) = nullptr;        // int64
  void (*dropout)(const DropoutArgs&) = nullptr;          // floating
};

/// The kernels for this machine's best instruction set.
TAUT_API RandomKernels random_kernels_cpu();
TAUT_API RandomKernels random_kernels_cuda();

}  // namespace taut::kernels
