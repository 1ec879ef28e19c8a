#include "kernels/api/reduce.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "tests/kernels/value_buffer.h"

namespace taut::kernels {
namespace {

using test::is_close;
using test::test_seed;
using test::ThreadCount;
using test::tolerance;
using test::ValueBuffer;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr DType kAllDTypes[] = {kFloat32, kFloat64, kFloat16, kBFloat16, kInt8,
                                kInt16,   kInt32,   kInt64,   kUInt8,    kBool};
constexpr DType kFloats[] = {kFloat32, kFloat64, kFloat16, kBFloat16};

// A strided view into a buffer, with the values that each output reduces, in row-major order.
struct View {
  Dims shape, strides;
  uint32_t mask = 0;
  int64_t start = 0;
  ValueBuffer buffer;

  View(DType dtype, const Dims& view_shape, const Dims& order, const Dims& steps, uint32_t reduced)
      : shape(view_shape), mask(reduced), buffer(dtype, 0) {
    strides = Dims::filled(shape.rank(), 0);
    int64_t span = 1;
    for (int i = shape.rank() - 1; i >= 0; --i) {
      const int d = static_cast<int>(order[i]);
      strides[d] = span * steps[d];
      span *= std::max<int64_t>(1, shape[d] * std::max<int64_t>(1, std::abs(steps[d])));
    }
    for (int d = 0; d < shape.rank(); ++d) {
      if (strides[d] < 0) start -= strides[d] * std::max<int64_t>(0, shape[d] - 1);
    }
    buffer = ValueBuffer(dtype, span);
  }

  const void* data() const {
    return static_cast<const char*>(buffer.data()) +
           static_cast<size_t>(start) * item_size(buffer.dtype());
  }
  int64_t outputs() const {
    int64_t n = 1;
    for (int d = 0; d < shape.rank(); ++d) n *= (mask >> d & 1u) ? 1 : shape[d];
    return n;
  }
  std::vector<std::vector<double>> slices() const {
    std::vector<std::vector<double>> result(static_cast<size_t>(outputs()));
    const int64_t n = shape.numel();
    for (int64_t i = 0; i < n; ++i) {
      int64_t rest = i, offset = start, out = 0, out_stride = 1;
      for (int d = shape.rank() - 1; d >= 0; --d) {
        const int64_t index = rest % shape[d];
        rest /= shape[d];
        offset += index * strides[d];
        if ((mask >> d & 1u) == 0) {
          out += index * out_stride;
          out_stride *= shape[d];
        }
      }
      result[static_cast<size_t>(out)].push_back(buffer.get(offset));
    }
    return result;
  }
};

template <class Args>
void describe(Args& args, const View& view, ValueBuffer& out) {
  args.input = view.data();
  args.output = out.data();
  args.input_dtype = view.buffer.dtype();
  args.output_dtype = out.dtype();
  args.shape = view.shape;
  args.strides = view.strides;
  args.reduced_dims = view.mask;
}

View random_view(std::mt19937_64& rng, DType dtype) {
  const int rank = static_cast<int>(rng() % 5);
  Dims shape, order, steps;
  int64_t budget = rng() % 8 == 0 ? 300000 : 3000;
  for (int d = 0; d < rank; ++d) {
    const int64_t limit = std::max<int64_t>(1, std::min<int64_t>(budget, rng() % 3 ? 12 : 5000));
    int64_t size = 1 + static_cast<int64_t>(rng() % static_cast<uint64_t>(limit));
    budget = std::max<int64_t>(1, budget / size);
    shape.push_back(size);
    order.push_back(d);
    const int64_t choices[] = {1, 1, 1, 1, 1, 2, -1, 0};
    steps.push_back(choices[rng() % 8]);
  }
  std::shuffle(order.begin(), order.end(), rng);
  if (rng() % 2) std::iota(order.begin(), order.end(), 0);
  return View(dtype, shape, order, steps, static_cast<uint32_t>(rng() % (1u << rank)));
}

using Reference = std::function<double(const std::vector<double>&)>;

void expect_matches(const View& view, const ValueBuffer& out, const Reference& reference,
                    double limit, const char* what) {
  const auto slices = view.slices();
  for (size_t i = 0; i < slices.size(); ++i) {
    double expected = reference(slices[i]);
    if (out.dtype() == kFloat16 && std::fabs(expected) > 65520)
      expected = std::copysign(kInfinity, expected);
    const double got = out.get(static_cast<int64_t>(i));
    double scale = 1.0;
    for (double x : slices[i]) {
      if (std::isfinite(x)) scale = std::max(scale, std::fabs(x));
    }
    ASSERT_TRUE(is_close(got, expected, limit * scale))
        << what << " " << name(view.buffer.dtype()) << " output " << i << ": got " << got
        << ", expected " << expected << ", count " << slices[i].size();
  }
}

double sum_of(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
double mean_of(const std::vector<double>& x) { return sum_of(x) / static_cast<double>(x.size()); }
double max_of(const std::vector<double>& x) {
  double best = -kInfinity;
  for (double v : x) best = std::isnan(v) || std::isnan(best) ? kNaN : std::max(best, v);
  return best;
}
double min_of(const std::vector<double>& x) {
  double best = kInfinity;
  for (double v : x) best = std::isnan(v) || std::isnan(best) ? kNaN : std::min(best, v);
  return best;
}
double var_of(const std::vector<double>& x, double correction) {
  const double mean = mean_of(x);
  double m2 = 0;
  for (double v : x) m2 += (v - mean) * (v - mean);
  return m2 / std::max(0.0, static_cast<double>(x.size()) - correction);
}
double norm_of(const std::vector<double>& x, double p) {
  double total = p == -kInfinity ? kInfinity : 0.0;
  for (double v : x) {
    if (p == 0)
      total += v != 0;
    else if (p == kInfinity)
      total = std::max(total, std::fabs(v));
    else if (p == -kInfinity)
      total = std::min(total, std::fabs(v));
    else
      total += std::pow(std::fabs(v), p);
  }
  return p == 0 || std::isinf(p) ? total : std::pow(total, 1 / p);
}
double logsumexp_of(const std::vector<double>& x) {
  const double m = max_of(x);
  if (std::isinf(m) || std::isnan(m)) return m;
  double total = 0;
  for (double v : x) total += std::exp(v - m);
  return m + std::log(total);
}

// Runs with one thread and with three, which must agree in every bit.
template <class Args>
void run_twice(void (*kernel)(const Args&), const Args& args, ValueBuffer& out) {
  ThreadCount one(1);
  kernel(args);
  const auto bits = out.raw();
  ThreadCount three(3);
  kernel(args);
  ASSERT_EQ(bits, out.raw());
}

class ReduceTest : public ::testing::Test {
 protected:
  ReduceTest() : rng_(test_seed()) { RecordProperty("seed", std::to_string(test_seed())); }
  const ReduceKernels kernels_ = reduce_kernels_cpu();
  std::mt19937_64 rng_;
};

TEST_F(ReduceTest, AllKernelsMatchReferencesOverRandomViews) {
  for (int round = 0; round < 160; ++round) {
    const DType dtype = kAllDTypes[rng_() % 10];
    View view = random_view(rng_, dtype);
    view.buffer.fill(rng_);
    const double limit = tolerance(dtype);
    const bool is_float = is_floating_point(dtype);
    const double sums = is_float ? limit * 4 : 0.0;
    SCOPED_TRACE(::testing::Message() << "seed " << test_seed() << " round " << round);

    const auto check = [&](void (*kernel)(const ReduceArgs&), DType out_dtype,
                           const Reference& reference, double tol, const char* what) {
      ValueBuffer out(out_dtype, view.outputs());
      ReduceArgs args;
      describe(args, view, out);
      run_twice(kernel, args, out);
      expect_matches(view, out, reference, tol, what);
    };
    const DType total = is_float ? dtype : kInt64;
    check(kernels_.sum, total, sum_of, sums, "sum");
    check(kernels_.amax, dtype, max_of, 0, "amax");
    check(kernels_.amin, dtype, min_of, 0, "amin");
    check(
        kernels_.any, kBool,
        [](const auto& x) {
          return std::any_of(x.begin(), x.end(), [](double v) { return v != 0; });
        },
        0, "any");
    check(
        kernels_.all, kBool,
        [](const auto& x) {
          return std::all_of(x.begin(), x.end(), [](double v) { return v != 0; });
        },
        0, "all");
    check(
        kernels_.count_nonzero, kInt64,
        [](const auto& x) {
          return static_cast<double>(
              std::count_if(x.begin(), x.end(), [](double v) { return v != 0; }));
        },
        0, "count_nonzero");
    {
      ValueBuffer lo(dtype, view.outputs()), hi(dtype, view.outputs());
      MinMaxArgs args;
      describe(args, view, lo);
      args.max_output = hi.data();
      run_twice(kernels_.aminmax, args, lo);
      expect_matches(view, lo, min_of, 0, "aminmax min");
      expect_matches(view, hi, max_of, 0, "aminmax max");
    }
    if (!is_float) continue;
    check(kernels_.mean, dtype, mean_of, sums, "mean");
    if (is_reduced_floating_point(dtype)) check(kernels_.sum, kFloat32, sum_of, 1e-4, "sum f32");
    check(kernels_.logsumexp, dtype, logsumexp_of, sums, "logsumexp");
    for (double p : {0.0, 1.0, 2.0, 3.5, kInfinity, -kInfinity}) {
      ValueBuffer out(dtype, view.outputs());
      VectorNormArgs args;
      describe(args, view, out);
      args.p = p;
      run_twice(kernels_.vector_norm, args, out);
      expect_matches(view, out, [p](const auto& x) { return norm_of(x, p); }, sums, "norm");
    }
    for (double correction : {0.0, 1.0}) {
      ValueBuffer out(dtype, view.outputs()), mean(dtype, view.outputs());
      MomentArgs args;
      describe(args, view, out);
      args.correction = correction;
      args.mean_output = mean.data();
      run_twice(kernels_.var, args, out);
      expect_matches(view, out, [=](const auto& x) { return var_of(x, correction); }, sums, "var");
      expect_matches(view, mean, mean_of, sums, "var mean");
    }
  }
}

TEST_F(ReduceTest, ProdOverSmallSlices) {
  for (DType dtype : kAllDTypes) {
    View view(dtype, {7, 3, 5}, {0, 1, 2}, {1, 1, 1}, 0b010);
    view.buffer.fill(rng_);
    ValueBuffer out(is_floating_point(dtype) ? dtype : kInt64, 35);
    ReduceArgs args;
    describe(args, view, out);
    kernels_.prod(args);
    expect_matches(
        view, out,
        [](const auto& x) { return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<>()); },
        tolerance(dtype), "prod");
  }
}

TEST_F(ReduceTest, ExtremaWithIndices) {
  for (int round = 0; round < 200; ++round) {
    const DType dtype = kAllDTypes[rng_() % 10];
    View view = random_view(rng_, dtype);
    view.buffer.fill(rng_);
    if (is_floating_point(dtype) && round % 3 == 0) {
      for (int i = 0; i < 3; ++i) {
        view.buffer.set(static_cast<int64_t>(rng_() % static_cast<uint64_t>(view.buffer.size())),
                        kNaN);
      }
    }
    const int rank = view.shape.rank();
    const int dim = rank == 0 || round % 4 == 0 ? -1 : static_cast<int>(rng_() % rank);
    view.mask = dim < 0 ? (1u << rank) - 1 : 1u << dim;
    for (bool is_max : {true, false}) {
      ValueBuffer values(dtype, view.outputs()), indices(kInt64, view.outputs());
      std::vector<int64_t> place(static_cast<size_t>(view.outputs()));
      IndexReduceArgs args;
      args.input = view.data();
      args.values = values.data();
      args.indices = place.data();
      args.dtype = dtype;
      args.shape = view.shape;
      args.strides = view.strides;
      args.dim = dim;
      ThreadCount threads(1 + round % 3);
      (is_max ? kernels_.max : kernels_.min)(args);
      const auto slices = view.slices();
      for (size_t o = 0; o < slices.size(); ++o) {
        const double best = is_max ? max_of(slices[o]) : min_of(slices[o]);
        size_t at = 0;
        while (!(slices[o][at] == best || (std::isnan(best) && std::isnan(slices[o][at])))) ++at;
        ASSERT_EQ(place[o], static_cast<int64_t>(at))
            << "seed " << test_seed() << " round " << round;
        ASSERT_TRUE(is_close(values.get(static_cast<int64_t>(o)), best, 0));
      }
    }
  }
}

// Lengths around registers and pieces, few different values so that most tie, and what floats have
// at their ends.
TEST_F(ReduceTest, IndicesOfContiguousExtremaAreTheFirst) {
  for (DType dtype : kAllDTypes) {
    for (int64_t n : {1, 7, 8, 15, 16, 17, 31, 33, 64, 100, 4095, 4096, 4097, 9001}) {
      for (double special : {0.0, kNaN, kInfinity, -kInfinity}) {
        if (special != 0.0 && !is_floating_point(dtype)) continue;
        View view(dtype, {3, n}, {0, 1}, {1, 1}, 0b10u);
        for (int64_t i = 0; i < 3 * n; ++i) view.buffer.set(i, static_cast<double>(rng_() % 3));
        const int64_t at = static_cast<int64_t>(rng_() % static_cast<uint64_t>(n));
        if (special != 0.0) view.buffer.set(at, special);
        if (std::isinf(special)) {  // a row of nothing else
          for (int64_t i = n; i < 2 * n; ++i) view.buffer.set(i, special);
        }
        for (bool is_max : {true, false}) {
          std::vector<int64_t> place(3, -1);
          ValueBuffer values(dtype, 3);
          IndexReduceArgs args;
          args.input = view.data();
          args.values = values.data();
          args.indices = place.data();
          args.dtype = dtype;
          args.shape = view.shape;
          args.strides = view.strides;
          args.dim = 1;
          (is_max ? kernels_.max : kernels_.min)(args);
          const auto slices = view.slices();
          for (size_t row = 0; row < 3; ++row) {
            const double best = is_max ? max_of(slices[row]) : min_of(slices[row]);
            int64_t first = 0;
            while (!is_close(slices[row][static_cast<size_t>(first)], best, 0)) ++first;
            ASSERT_EQ(place[row], first) << name(dtype) << " n " << n << " special " << special
                                         << " max " << is_max << " seed " << test_seed();
            ASSERT_TRUE(is_close(values.get(static_cast<int64_t>(row)), best, 0));
          }
        }
      }
    }
  }
}

// Eight rows at a time, then two, then one; rows that follow one another and rows apart.
TEST_F(ReduceTest, ColumnsOfAnyNumberOfRows) {
  for (DType dtype : kFloats) {
    for (int64_t rows : {2, 7, 8, 9, 15, 16, 27, 300}) {
      for (int64_t cols : {33, 600, 1024}) {
        for (int64_t apart : {1, 2}) {
          View view(dtype, Dims{rows, cols}, {0, 1}, {apart, 1}, 0b01u);
          view.buffer.fill(rng_);
          view.buffer.set(static_cast<int64_t>(rng_() % static_cast<uint64_t>(cols)), kNaN);
          SCOPED_TRACE(::testing::Message() << "seed " << test_seed() << ", " << rows << " x "
                                            << cols << ", rows apart " << apart);
          ValueBuffer out(dtype, cols);
          ReduceArgs args;
          describe(args, view, out);
          run_twice(kernels_.sum, args, out);
          expect_matches(view, out, sum_of, tolerance(dtype) * 4, "sum");
          run_twice(kernels_.amax, args, out);
          expect_matches(view, out, max_of, 0, "amax");
        }
      }
    }
  }
}

TEST_F(ReduceTest, SpecialValues) {
  for (DType dtype : kFloats) {
    for (int64_t n : {1, 5, 100, 9000}) {
      for (double special : {kNaN, kInfinity, -kInfinity}) {
        for (uint32_t mask : {0b01u, 0b10u}) {
          View view(dtype, mask == 0b10u ? Dims{3, n} : Dims{n, 3}, {0, 1}, {1, 1}, mask);
          view.buffer.fill(rng_);
          view.buffer.set(static_cast<int64_t>(rng_() % static_cast<uint64_t>(n)), special);
          ValueBuffer out(dtype, 3);
          ReduceArgs args;
          describe(args, view, out);
          kernels_.amax(args);
          expect_matches(view, out, max_of, 0, "amax");
          kernels_.amin(args);
          expect_matches(view, out, min_of, 0, "amin");
          kernels_.logsumexp(args);
          expect_matches(view, out, logsumexp_of, tolerance(dtype) * 4, "logsumexp");
          VectorNormArgs norm;
          describe(norm, view, out);
          kernels_.vector_norm(norm);
          expect_matches(
              view, out, [](const auto& x) { return norm_of(x, 2); }, tolerance(dtype) * 4, "norm");
          MomentArgs moments;
          describe(moments, view, out);
          kernels_.var(moments);
          expect_matches(
              view, out, [](const auto& x) { return var_of(x, 1); }, tolerance(dtype) * 4, "var");
        }
      }
    }
  }
}

TEST_F(ReduceTest, ExtremaOfSeveralSpecialValues) {
  for (DType dtype : kFloats) {
    for (int64_t n : {64, 129, 256, 300, 5000}) {
      for (const auto& [one, other] : {std::pair(kInfinity, -kInfinity), std::pair(kNaN, kInfinity),
                                       std::pair(-kInfinity, kNaN), std::pair(3e38, -3e38)}) {
        View view(dtype, Dims{3, n}, {0, 1}, {1, 1}, 0b10u);
        view.buffer.fill(rng_);
        for (int64_t row = 0; row < 3; ++row) {
          const auto place = static_cast<int64_t>(rng_() % static_cast<uint64_t>(n));
          const auto random = static_cast<int64_t>(rng_() % static_cast<uint64_t>(n));
          view.buffer.set(row * n + place, one);
          // In the last row in the same lane of the registers, however wide they are.
          view.buffer.set(row * n + (row == 2 ? (place + 128) % n : random), other);
        }
        ValueBuffer out(dtype, 3);
        ReduceArgs args;
        describe(args, view, out);
        kernels_.amax(args);
        expect_matches(view, out, max_of, 0, "amax");
        kernels_.amin(args);
        expect_matches(view, out, min_of, 0, "amin");
      }
    }
  }
}

TEST_F(ReduceTest, NothingGivesTheIdentity) {
  for (uint32_t mask : {0b01u, 0b10u, 0b11u}) {
    View view(kFloat32, mask == 0b10u ? Dims{4, 0} : Dims{0, 4}, {0, 1}, {1, 1}, mask);
    const int64_t n = view.outputs();
    ValueBuffer out(kFloat32, n), flags(kBool, n), counts(kInt64, n);
    ReduceArgs args;
    describe(args, view, out);
    const auto expect_all = [&](void (*kernel)(const ReduceArgs&), ValueBuffer& to, double value) {
      args.output = to.data();
      args.output_dtype = to.dtype();
      kernel(args);
      for (int64_t i = 0; i < n; ++i) EXPECT_TRUE(is_close(to.get(i), value, 0)) << to.get(i);
    };
    expect_all(kernels_.sum, out, 0);
    expect_all(kernels_.prod, out, 1);
    expect_all(kernels_.mean, out, kNaN);
    expect_all(kernels_.logsumexp, out, -kInfinity);
    expect_all(kernels_.any, flags, 0);
    expect_all(kernels_.all, flags, 1);
    expect_all(kernels_.count_nonzero, counts, 0);
    MomentArgs moments;
    describe(moments, view, out);
    kernels_.var(moments);
    for (int64_t i = 0; i < n; ++i) EXPECT_TRUE(std::isnan(out.get(i)));
  }
}

TEST_F(ReduceTest, LongSumsStayAccurate) {
  const int64_t n = 3000000;
  for (uint32_t mask : {0b10u, 0b01u}) {
    View view(kFloat32, mask == 0b10u ? Dims{1, n} : Dims{n, 1}, {0, 1}, {1, 1}, mask);
    for (int64_t i = 0; i < n; ++i) view.buffer.set(i, 0.1);
    ValueBuffer out(kFloat32, 1);
    ReduceArgs args;
    describe(args, view, out);
    run_twice(kernels_.sum, args, out);
    EXPECT_NEAR(out.get(0), static_cast<double>(0.1f) * n, 1.0);
  }
}

TEST_F(ReduceTest, VarianceOfShiftedDataIsStable) {
  View view(kFloat32, {100000}, {0}, {1}, 1);
  for (int64_t i = 0; i < 100000; ++i) view.buffer.set(i, 10000.0 + (i % 2 ? 1.0 : -1.0));
  ValueBuffer out(kFloat32, 1);
  MomentArgs args;
  describe(args, view, out);
  args.correction = 0;
  run_twice(kernels_.var, args, out);
  EXPECT_NEAR(out.get(0), 1.0, 1e-6);
}

}  // namespace
}  // namespace taut::kernels
