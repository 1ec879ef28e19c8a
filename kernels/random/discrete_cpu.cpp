#include "kernels/api/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/random/discrete_cpu.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <bit>
#include <cmath>
#include <memory>

#include "kernels/random/philox-inl.h"
#include "kernels/random/random_parts.h"

HWY_BEFORE_NAMESPACE();
namespace taut::kernels {
namespace HWY_NAMESPACE {

constexpr double kTwo32 = 4294967296.0;

template <class T>
HWY_INLINE T as_value(int64_t value) {
  if constexpr (is_floating_point(dtype_of<T>)) {
    return static_cast<T>(static_cast<compute_t<T>>(value));
  } else {
    return static_cast<T>(value);
  }
}

// word < p 2^32 as word <= last, where p is over 0: one comparison, which compilers vectorise.
struct Threshold {
  explicit Threshold(double p) {
    const double bound = std::ceil(p * kTwo32);
    never = !(bound >= 1.0);
    last = bound >= kTwo32 ? 0xffffffffu : static_cast<uint32_t>(never ? 0.0 : bound - 1.0);
  }
  uint32_t last;
  bool never;
};

// Loops of their own, by value and without aliases, so that they become vectors.
template <class T>
HWY_NOINLINE void choose(const uint32_t* HWY_RESTRICT words, int64_t n, Threshold is_under, T yes,
                         T no, T* HWY_RESTRICT to) {
  if (is_under.never) yes = no;
  const uint32_t last = is_under.last;
  for (int64_t i = 0; i < n; ++i) to[i] = words[i] <= last ? yes : no;
}

template <class T>
void bernoulli_of(const BernoulliArgs& args) {
  T* out = static_cast<T*>(args.output);
  const T no = as_value<T>(0), yes = as_value<T>(1);
  if (args.probabilities == nullptr) {
    const Threshold is_under(args.p);
    for_words(args, 32, [&](const uint32_t* words, int64_t first, int64_t n) {
      choose(words, n, is_under, yes, no, out + first);
    });
    return;
  }
  visit_dtype(Floating{}, args.probability_dtype, "bernoulli", [&]<class P>(Tag<P>) {
    const P* p = static_cast<const P*>(args.probabilities);
    for_words(args, 32, [&](const uint32_t* words, int64_t first, int64_t n) {
      for (int64_t i = 0; i < n; ++i) {
        const double bound = static_cast<double>(p[first + i]) * kTwo32;
        out[first + i] = static_cast<double>(words[i]) < bound ? yes : no;
      }
    });
  });
}

void bernoulli(const BernoulliArgs& args) {
  visit_dtype(All{}, args.dtype, "bernoulli", [&]<class T>(Tag<T>) { bernoulli_of<T>(args); });
}

// The upper half of bits * range: Lemire, "Fast random integer generation in an interval" (2019),
// without the rejection.
template <class T>
void randint_of(const RandintArgs& args) {
  T* out = static_cast<T*>(args.output);
  const uint64_t low = static_cast<uint64_t>(args.low);
  const uint64_t range = static_cast<uint64_t>(args.high) - low;
  const int width = randint_width(args.low, args.high);
  for_words(args, width, [&](const uint32_t* words, int64_t first, int64_t n) {
    T* HWY_RESTRICT to = out + first;
    if (width == 32) {
      for (int64_t i = 0; i < n; ++i) {
        // range may be 2^32, for which the product is still less than 2^64.
        const uint64_t offset = words[i] * range >> 32;
        to[i] = as_value<T>(static_cast<int64_t>(low + offset));
      }
    } else {
      for (int64_t i = 0; i < n; ++i) {
        const uint64_t bits = wide_bits(words, i);
        const auto product = static_cast<unsigned __int128>(bits) * range;
        const uint64_t offset = range == 0 ? bits : static_cast<uint64_t>(product >> 64);
        to[i] = as_value<T>(static_cast<int64_t>(low + offset));
      }
    }
  });
}

void randint(const RandintArgs& args) {
  visit_dtype(All{}, args.dtype, "randint", [&]<class T>(Tag<T>) { randint_of<T>(args); });
}

struct Keyed {
  uint64_t key;
  int64_t index;
  bool operator<(const Keyed& other) const {
    return key != other.key ? key < other.key : index < other.index;
  }
};

// The stable argsort of random keys: they are evenly spread, so one pass over their top bits leaves
// buckets of a few hundred that are sorted within the cache.
void randperm(const RandpermArgs& args) {
  const int64_t n = args.n;
  int64_t* out = static_cast<int64_t*>(args.output);
  if (n <= 0) return;
  const std::unique_ptr<uint64_t[]> keys(new uint64_t[static_cast<size_t>(n)]);
  for_words(args, 64, [&](const uint32_t* words, int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) keys[static_cast<size_t>(first + i)] = wide_bits(words, i);
  });
  const int bits =
      std::clamp(static_cast<int>(std::bit_width(static_cast<uint64_t>(n))) - 8, 1, 16);
  const size_t buckets = size_t{1} << bits;
  const int shift = 64 - bits;
  const std::unique_ptr<int64_t[]> starts(new int64_t[buckets + 2]());
  for (int64_t i = 0; i < n; ++i) ++starts[(keys[static_cast<size_t>(i)] >> shift) + 2];
  for (size_t b = 2; b < buckets + 2; ++b) starts[b] += starts[b - 1];
  const std::unique_ptr<Keyed[]> sorted(new Keyed[static_cast<size_t>(n)]);
  for (int64_t i = 0; i < n; ++i) {
    const uint64_t key = keys[static_cast<size_t>(i)];
    sorted[static_cast<size_t>(starts[(key >> shift) + 1]++)] = {key, i};
  }
  const int64_t grain = std::max<int64_t>(1, kGrain * static_cast<int64_t>(buckets) / n);
  parallel_for(static_cast<int64_t>(buckets), grain, [&](int64_t begin, int64_t end) {
    const int64_t from = starts[static_cast<size_t>(begin)], to = starts[static_cast<size_t>(end)];
    for (int64_t b = begin; b < end; ++b) {
      std::sort(sorted.get() + starts[static_cast<size_t>(b)],
                sorted.get() + starts[static_cast<size_t>(b) + 1]);
    }
    for (int64_t i = from; i < to; ++i) out[i] = sorted[static_cast<size_t>(i)].index;
  });
}

template <class A>
HWY_NOINLINE void drop(const A* x, const uint32_t* HWY_RESTRICT words, int64_t n, Threshold keeps,
                       A scale, A* y) {
  if (keeps.never) {
    std::fill(y, y + n, A(0));
    return;
  }
  const uint32_t last = keeps.last;
  HWY_ALIGN A row[kWords];  // y may be x, a row of its own is neither
  for (int64_t i = 0; i < n; ++i) {
    const A scaled = x[i] * scale;
    row[i] = words[i] <= last ? scaled : A(0);
  }
  std::copy(row, row + n, y);
}

void dropout(const DropoutArgs& args) {
  visit_dtype(Floating{}, args.dtype, "dropout", [&]<class T>(Tag<T>) {
    using A = compute_t<T>;
    const T* x = static_cast<const T*>(args.input);
    T* y = static_cast<T*>(args.output);
    const Threshold keeps(1.0 - args.p);
    const A scale = args.p < 1.0 ? static_cast<A>(1.0 / (1.0 - args.p)) : A(0);
    for_words(args, 32, [&](const uint32_t* words, int64_t first, int64_t n) {
      if constexpr (std::is_same_v<T, A>) {
        drop(x + first, words, n, keeps, scale, y + first);
      } else {
        const Lanes<T> d;
        HWY_ALIGN A row[kWords];
        for_vectors(d, n, [&](auto load, auto store) { store(load(x + first), row); });
        drop(row, words, n, keeps, scale, row);
        for_vectors(d, n, [&](auto load, auto store) { store(load(row), y + first); });
      }
      if (args.residual != nullptr) {
        const T* residual = static_cast<const T*>(args.residual) + first;
        T* sum = y + first;
        for_vectors(Lanes<T>(), n,
                    [&](auto load, auto store) { store(hn::Add(load(sum), load(residual)), sum); });
      }
    });
  });
}

void fill_discrete(RandomKernels& table) {
  table.bernoulli = bernoulli;
  table.randint = randint;
  table.randperm = randperm;
  table.dropout = dropout;
}

}  // namespace HWY_NAMESPACE
}  // namespace taut::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace taut::kernels {

HWY_EXPORT(fill_discrete);
void fill_discrete_kernels(RandomKernels& table) { HWY_DYNAMIC_DISPATCH(fill_discrete)(table); }

}  // namespace taut::kernels
#endif
