// Reductions on CUDA against the CPU, over the shapes and strides that take different kernels: rows
// and columns, in packs or not, whole and in splits.

#include <functional>
#include <limits>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

struct Case {
  Dims shape;
  Dims dims;
};

const Case kCases[] = {
    {{}, {}},
    {{1}, {0}},
    {{7}, {0}},
    {{3, 0}, {1}},           // nothing to reduce
    {{0, 3}, {1}},           // no outputs
    {{100003}, {0}},         // one output, in splits, with a tail
    {{3, 40001}, {1}},       // rows that begin anywhere
    {{5, 8192}, {1}},        // few long aligned rows
    {{1000, 5}, {1}},        // shorter than a pack of some dtypes
    {{700, 31}, {1}},        // a few threads for each row
    {{33, 600}, {1}},        // a warp for each row
    {{20000, 24}, {1}},      // very many short rows
    {{6700, 331}, {1}},      // warps whose rows begin anywhere
    {{2, 3, 4100}, {0, 2}},  // runs in packs
    {{3000, 64}, {0}},       // columns in packs
    {{3001, 3}, {0}},        // few columns
    {{300, 77}, {0}},        // columns one by one
    {{2, 9, 4096}, {0, 1}},  // few rows of many columns
    {{8, 16, 12, 20}, {0, 2, 3}},
    {{8, 6, 7, 7}, {0, 2, 3}},  // runs that are not whole packs
    {{50, 7, 40}, {0, 2}},
    {{50, 7, 40}, {1}},
    {{4, 3, 2, 5, 2, 3}, {1, 3, 5}},
};

std::string describe(const char* op, DType dtype, const Case& row) {
  return taut::concat(op, " ", dtype, " ", row.shape, " over ", row.dims);
}

// Numbers that every dtype holds, with ties.
Tensor small_numbers(const Dims& shape, DType dtype) {
  return randint(dtype == kUInt8 || dtype == kBool ? 0 : -2, 3, shape).to(dtype);
}

class CudaReduce : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(5);
  }
};

TEST_F(CudaReduce, SumsAndAveragesAsTheCpu) {
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const Case& row : kCases) {
      const Tensor x = rand(row.shape).to(dtype);
      const Tensor gpu = x.cuda();
      expect_close(sum(gpu, row.dims), sum(x, row.dims), tolerance_of(dtype),
                   describe("sum", dtype, row));
      expect_close(mean(gpu, row.dims, true), mean(x, row.dims, true), tolerance_of(dtype),
                   describe("mean", dtype, row));
    }
  }
}

TEST_F(CudaReduce, CountsExactlyInEveryDtype) {
  for (const DType dtype : dtypes_to_test()) {
    for (const Case& row : kCases) {
      const Tensor x = small_numbers(row.shape, dtype);
      const Tensor gpu = x.cuda();
      if (!is_floating_point(dtype)) {
        expect_equal(sum(gpu, row.dims), sum(x, row.dims), describe("sum", dtype, row));
      }
      expect_equal(any(gpu, row.dims), any(x, row.dims), describe("any", dtype, row));
      expect_equal(all(gpu, row.dims), all(x, row.dims), describe("all", dtype, row));
      expect_equal(count_nonzero(gpu, row.dims), count_nonzero(x, row.dims),
                   describe("count_nonzero", dtype, row));
    }
  }
}

// So many columns that no thread needs another below it.
TEST_F(CudaReduce, ReducesFewRowsOfVeryManyColumns) {
  for (const DType dtype : {kFloat32, kBFloat16, kInt64}) {
    for (const int64_t cols : {500000, 300001}) {
      const Tensor x = small_numbers({5, cols}, dtype), gpu = x.cuda();
      const std::string what = taut::concat(dtype, " ", cols);
      expect_equal(sum(gpu, Dims{0}), sum(x, Dims{0}), what);
      expect_equal(amax(gpu, Dims{0}), amax(x, Dims{0}), what);
      expect_equal(argmin(gpu, 0), argmin(x, 0), what);
    }
  }
}

TEST_F(CudaReduce, FindsExtremaInEveryDtype) {
  for (const DType dtype : dtypes_to_test()) {
    for (const Case& row : kCases) {
      if (Dims(row.shape).numel() == 0) continue;
      const Tensor x = small_numbers(row.shape, dtype);
      const Tensor gpu = x.cuda();
      expect_equal(amax(gpu, row.dims), amax(x, row.dims), describe("amax", dtype, row));
      expect_equal(amin(gpu, row.dims), amin(x, row.dims), describe("amin", dtype, row));
      if (row.dims.rank() != 1) continue;
      const int64_t dim = row.dims[0];
      const auto [low, high] = aminmax(x, dim);
      const auto [gpu_low, gpu_high] = aminmax(gpu, dim);
      expect_equal(gpu_low, low, describe("aminmax", dtype, row));
      expect_equal(gpu_high, high, describe("aminmax", dtype, row));
    }
  }
}

// With five distinct values nearly every extremum is a tie.
TEST_F(CudaReduce, NamesTheFirstOfEqualExtrema) {
  for (const DType dtype : dtypes_to_test()) {
    if (dtype == kBool) continue;
    for (const Case& row : kCases) {
      if (Dims(row.shape).numel() == 0) continue;
      const Tensor x = small_numbers(row.shape, dtype);
      const Tensor gpu = x.cuda();
      expect_equal(argmax(gpu), argmax(x), describe("argmax of all", dtype, row));
      if (row.dims.rank() != 1) continue;
      const auto [values, indices] = max(x, row.dims[0]);
      const auto [gpu_values, gpu_indices] = max(gpu, row.dims[0]);
      expect_equal(gpu_values, values, describe("max", dtype, row));
      expect_equal(gpu_indices, indices, describe("max", dtype, row));
      expect_equal(argmin(gpu, row.dims[0]), argmin(x, row.dims[0]),
                   describe("argmin", dtype, row));
    }
  }
}

TEST_F(CudaReduce, CountsThePositionOfAnExtremumInTheOrderOfTheDims) {
  const Tensor x = randint(0, 4, {6, 10, 9}).to(kFloat32);
  const Tensor gpu = x.cuda();
  expect_equal(argmax(gpu.permute({2, 0, 1})), argmax(x.permute({2, 0, 1})), "permuted");
  expect_equal(argmin(gpu.slice(1, 1, 10, 3)), argmin(x.slice(1, 1, 10, 3)), "sliced");
  expect_equal(argmax(gpu.transpose(0, 2), 1), argmax(x.transpose(0, 2), 1), "transposed");
}

TEST_F(CudaReduce, ComputesMomentsNormsAndLogsumexp) {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const DType dtype : floating_dtypes_to_test()) {
    const double tolerance = tolerance_of(dtype);
    for (const Case& row : kCases) {
      const Tensor x = randn(row.shape).add(3.0).to(dtype);
      const Tensor gpu = x.cuda();
      const auto [variance, average] = var_mean(x, row.dims);
      const auto [gpu_variance, gpu_average] = var_mean(gpu, row.dims);
      expect_close(gpu_variance, variance, 4 * tolerance, describe("var", dtype, row));
      expect_close(gpu_average, average, tolerance, describe("mean of var", dtype, row));
      expect_close(taut::std(gpu, row.dims, 0), taut::std(x, row.dims, 0), 4 * tolerance,
                   describe("std", dtype, row));
      expect_close(logsumexp(gpu, row.dims), logsumexp(x, row.dims), tolerance,
                   describe("logsumexp", dtype, row));
      for (const double p : {0.0, 1.0, 2.0, 3.0}) {
        expect_close(linalg::vector_norm(gpu, p, row.dims), linalg::vector_norm(x, p, row.dims),
                     4 * tolerance, taut::concat(describe("norm", dtype, row), " p ", p));
      }
      if (x.numel() == 0) continue;
      for (const double p : {infinity, -infinity}) {
        expect_equal(linalg::vector_norm(gpu, p, row.dims), linalg::vector_norm(x, p, row.dims),
                     taut::concat(describe("norm", dtype, row), " p ", p));
      }
    }
  }
}

TEST_F(CudaReduce, Multiplies) {
  for (const DType dtype : dtypes_to_test()) {
    const Tensor x =
        (is_floating_point(dtype) ? rand({40, 300}).add(0.5) : randint(0, 6, {40, 300}))
            .slice(1, 0, 13)
            .to(dtype);
    expect_close(prod(x.cuda(), 0), prod(x, 0), 4 * tolerance_of(dtype), "prod of columns");
    expect_close(prod(x.cuda(), 1), prod(x, 1), 4 * tolerance_of(dtype), "prod of rows");
  }
}

TEST_F(CudaReduce, TakesAnyStrides) {
  const Tensor x = randn({12, 30, 40});
  const Tensor gpu = x.cuda();
  const struct {
    const char* name;
    std::function<Tensor(const Tensor&)> view;
  } views[] = {
      {"permuted", [](const Tensor& t) { return t.permute({2, 0, 1}); }},
      {"transposed", [](const Tensor& t) { return t.transpose(1, 2); }},
      {"sliced", [](const Tensor& t) { return t.slice(2, 1, 40, 3); }},
      {"off by one", [](const Tensor& t) { return t.slice(2, 1, 40); }},
      {"every other row", [](const Tensor& t) { return t.slice(1, 0, 30, 2); }},
      {"expanded", [](const Tensor& t) { return t.slice(1, 2, 3).expand({12, 17, 40}); }},
      {"expanded last", [](const Tensor& t) { return t.slice(2, 2, 3).expand({12, 30, 9}); }},
  };
  for (const auto& [name, view] : views) {
    for (const Dims& dims :
         {Dims{0}, Dims{1}, Dims{2}, Dims{0, 1}, Dims{0, 2}, Dims{1, 2}, Dims{}}) {
      const std::string what = taut::concat(name, " over ", dims);
      expect_close(sum(view(gpu), dims), sum(view(x), dims), 1e-4, what);
      expect_equal(amax(view(gpu), dims), amax(view(x), dims), what);
      expect_close(var(view(gpu), dims), var(view(x), dims), 1e-4, what);
    }
  }
}

// The elements before the first whole pack and after the last count once, with their own index.
TEST_F(CudaReduce, ReadsRowsThatBeginAndEndAnywhere) {
  for (const DType dtype : {kBFloat16, kFloat16, kFloat32, kInt8}) {
    const Tensor x = small_numbers({24, 4500}, dtype);
    const Tensor gpu = x.cuda();
    for (const int64_t begin : {0, 1, 3, 7, 8}) {
      for (const int64_t length : {1, 2, 7, 9, 250, 1025, 2048, 4399}) {
        const Tensor part = x.slice(1, begin, begin + length);
        const Tensor gpu_part = gpu.slice(1, begin, begin + length);
        const std::string what = taut::concat(dtype, " from ", begin, " on, ", length);
        expect_close(sum(gpu_part, {1}), sum(part, {1}), tolerance_of(dtype), what);
        expect_equal(amax(gpu_part, {1}), amax(part, {1}), what);
        expect_equal(argmin(gpu_part, 1), argmin(part, 1), what);
        expect_equal(count_nonzero(gpu_part, {1}), count_nonzero(part, {1}), what);
      }
    }
  }
}

TEST_F(CudaReduce, DISABLED_CrossesIndicesOf31Bits) {
  constexpr int64_t kElements = (int64_t{1} << 31) + 72;
  if (cuda::mem_get_info().free < 4 * kElements) GTEST_SKIP() << "too little memory";
  const Tensor x = ones({kElements}, TensorOptions(kUInt8).device(kCUDA));
  x.slice(0, kElements - 1).fill_(9);
  EXPECT_EQ(sum(x).item<int64_t>(), kElements + 8);
  EXPECT_EQ(argmax(x).item<int64_t>(), kElements - 1);
  EXPECT_EQ(count_nonzero(x).item<int64_t>(), kElements);
  const Tensor halves = sum(x.view({2, kElements / 2}), {1});
  expect_equal(halves, tensor({kElements / 2, kElements / 2 + 8}, TensorOptions(kInt64)), "rows");
  expect_equal(sum(x.view({kElements / 2, 2}), {0}),
               tensor({kElements / 2, kElements / 2 + 8}, TensorOptions(kInt64)), "columns");
  const Tensor at = tensor({kElements - 1, int64_t{0}}, TensorOptions(kInt64)).cuda();
  expect_equal(index_select(x, 0, at), tensor({9, 1}, TensorOptions(kUInt8)), "index_select");
}

TEST_F(CudaReduce, KeepsInfinitiesAndNans) {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor rows = tensor({1.0, nan, infinity, nan, 2.0, infinity, 3.0, 1.0, -infinity,
                              -infinity, -infinity, -infinity, -infinity, 5.0, -infinity, 0.0})
                          .view({4, 4});
  for (const DType dtype : floating_dtypes_to_test()) {
    // Wide copies of the rows meet the packs, tall ones the columns.
    for (const int64_t repeats : {1, 50}) {
      const Tensor x = repeat(rows, {1, repeats}).to(dtype);
      const Tensor gpu = x.cuda();
      for (const int dim : {0, 1}) {
        const Tensor cpu_view = dim == 1 ? x : x.t().contiguous();
        const Tensor gpu_view = dim == 1 ? gpu : gpu.t().contiguous();
        const std::string what = taut::concat(dtype, " x ", repeats, " dim ", dim);
        expect_equal(amax(gpu_view, {dim}), amax(cpu_view, {dim}), what);
        expect_equal(amin(gpu_view, {dim}), amin(cpu_view, {dim}), what);
        expect_equal(argmax(gpu_view, dim), argmax(cpu_view, dim), what);
        expect_equal(argmin(gpu_view, dim), argmin(cpu_view, dim), what);
        expect_equal(sum(gpu_view, {dim}), sum(cpu_view, {dim}), what);
        expect_close(logsumexp(gpu_view, {dim}), logsumexp(cpu_view, {dim}), 1e-2, what);
        expect_equal(isnan(var(gpu_view, {dim}).cpu()).cuda(), isnan(var(cpu_view, {dim})), what);
      }
    }
  }
}

TEST_F(CudaReduce, IsAccurateFarFromZero) {
  const Tensor x = rand({300000}).add(10000.0);
  const Tensor exact = x.to(kFloat64);
  expect_close(var(x.cuda(), {}).to(kFloat64), var(exact, {}), 1e-5, "var");
  const Tensor positive = rand({1000003});
  expect_close(sum(positive.cuda()).to(kFloat64), sum(positive.to(kFloat64)), 1e-6, "sum");
}

TEST_F(CudaReduce, GivesTheSameBitsTwice) {
  const Tensor x = randn({1500, 1000}).cuda();
  for (const Dims& dims : {Dims{}, Dims{0}, Dims{1}}) {
    const std::string what = taut::concat("over ", dims);
    expect_same_bits(sum(x, dims), sum(x, dims), what);
    expect_same_bits(var(x, dims), var(x, dims), what);
    expect_same_bits(logsumexp(x, dims), logsumexp(x, dims), what);
  }
}

}  // namespace
}  // namespace taut::testing
