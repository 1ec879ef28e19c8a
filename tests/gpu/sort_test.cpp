// Sorting, selecting and counting on CUDA against the CPU: rows that fit into shared memory and
// rows that do not, many and few, with ties everywhere.

#include <limits>
#include <string>
#include <tuple>

#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

struct Case {
  Dims shape;
  int64_t dim;
};

const Case kCases[] = {
    {{}, 0},        {{1}, 0},      {{0, 5}, 1},    {{300, 7}, 1},  // many rows in a block
    {{7, 300}, 1},  {{300, 7}, 0},                                 // columns
    {{3, 2048}, 1},                                                // the longest in shared memory
    {{3, 2049}, 1},                                                // the shortest that is not
    {{9, 3000}, 1},  // enough long rows to select from each
    {{2500, 3}, 0}, {{40000}, 0},  {{4, 5, 6}, 1},
};

class CudaSort : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU";
    manual_seed(41);
  }
};

// Numbers that every dtype holds, most of them several times.
Tensor tied_numbers(const Dims& shape, DType dtype) {
  return randint(dtype == kUInt8 || dtype == kBool ? 0 : -100, 101, shape).to(dtype);
}

Tensor with_specials(const Tensor& x) {
  const Tensor flat = reshape(x.clone(), {-1});
  const double specials[] = {std::numeric_limits<double>::quiet_NaN(),
                             std::numeric_limits<double>::infinity(),
                             -std::numeric_limits<double>::infinity(), -0.0, 0.0};
  for (int64_t i = 0; i < flat.numel(); i += 7) flat[i].fill_(specials[i / 7 % 5]);
  return reshape(flat, x.shape());
}

std::string describe(const char* op, DType dtype, const Case& row) {
  return taut::concat(op, " ", dtype, " ", row.shape, " along ", row.dim);
}

int64_t length_of(const Case& row) {
  return row.shape.empty() ? 1 : row.shape[static_cast<int>(row.dim)];
}

void expect_pair(const std::pair<Tensor, Tensor>& gpu, const std::pair<Tensor, Tensor>& cpu,
                 const std::string& what) {
  expect_equal(gpu.first, cpu.first, what + ", values");
  expect_equal(gpu.second, cpu.second, what + ", indices");
}

TEST_F(CudaSort, SortsStablyInEveryDtypeBothWays) {
  for (const DType dtype : dtypes_to_test()) {
    for (const Case& row : kCases) {
      const Tensor x = tied_numbers(row.shape, dtype);
      for (const bool descending : {false, true}) {
        expect_pair(sort(x.cuda(), row.dim, descending), sort(x, row.dim, descending),
                    describe("sort", dtype, row));
      }
    }
  }
}

TEST_F(CudaSort, OrdersNansInfinitiesAndZeros) {
  for (const DType dtype : floating_dtypes_to_test()) {
    for (const int64_t n : {50, 5000}) {
      const Tensor x = with_specials(randn({2, n})).to(dtype);
      for (const bool flag : {false, true}) {
        const std::string what = taut::concat(dtype, " ", n);
        const auto [values, indices] = sort(x.cuda(), 1, flag);
        expect_pair({values, indices}, sort(x, 1, flag), what);
        // The zeros keep their signs.
        expect_same_bits(signbit(values.cpu()), signbit(sort(x, 1, flag).first), what);
        expect_pair(topk(x.cuda(), 30, 1, flag), topk(x, 30, 1, flag), what);
      }
      expect_pair(median(x.cuda(), 1), median(x, 1), "median");
      expect_pair(nanmedian(x.cuda(), 1), nanmedian(x, 1), "nanmedian");
      expect_pair(mode(x.cuda(), 1), mode(x, 1), "mode");
    }
  }
}

TEST_F(CudaSort, TakesAnyStrides) {
  const Tensor x = randn({6, 2100, 5});
  const Tensor gpu = x.cuda();
  for (const int dim : {0, 1, 2}) {
    const std::string what = taut::concat("dim ", dim);
    expect_pair(sort(gpu, dim), sort(x, dim), what);
    expect_pair(sort(gpu.transpose(0, 2), dim), sort(x.transpose(0, 2), dim), what);
    expect_pair(sort(gpu.slice(1, 1, 2100, 3), dim), sort(x.slice(1, 1, 2100, 3), dim), what);
    expect_pair(topk(gpu.transpose(0, 2), 3, dim), topk(x.transpose(0, 2), 3, dim), what);
  }
  const Tensor expanded = randn({3000, 1}).expand({3000, 4});
  expect_pair(sort(expanded.cuda(), 0), sort(expanded, 0), "expanded");
}

TEST_F(CudaSort, TakesTheFirstInEveryDtype) {
  for (const DType dtype : dtypes_to_test()) {
    for (const Case& row : kCases) {
      const Tensor x = tied_numbers(row.shape, dtype);
      const int64_t n = length_of(row);
      for (const int64_t k : first_under_tool<int64_t>(3, {5, n, 1500, 0, 1, 64})) {
        if (k > n) continue;
        for (const bool largest : {true, false}) {
          expect_pair(topk(x.cuda(), k, row.dim, largest), topk(x, k, row.dim, largest),
                      taut::concat(describe("topk", dtype, row), " k ", k));
        }
      }
    }
  }
}

TEST_F(CudaSort, PicksInEveryDtype) {
  for (const DType dtype : dtypes_to_test()) {
    if (dtype == kBool) continue;
    for (const Case& row : kCases) {
      if (Dims(row.shape).numel() == 0) continue;
      const Tensor x = tied_numbers(row.shape, dtype);
      const Tensor gpu = x.cuda();
      const int64_t n = length_of(row);
      for (const int64_t k : first_under_tool<int64_t>(1, {(n + 1) / 2, 1, n})) {
        expect_pair(kthvalue(gpu, k, row.dim), kthvalue(x, k, row.dim),
                    describe("kthvalue", dtype, row));
      }
      expect_pair(median(gpu, row.dim), median(x, row.dim), describe("median", dtype, row));
      expect_pair(mode(gpu, row.dim), mode(x, row.dim), describe("mode", dtype, row));
    }
  }
}

TEST_F(CudaSort, SortsAndPicksFromOneHugeRow) {
  const Tensor x = randint(0, 5000, {300000}).to(kFloat32);
  const Tensor gpu = x.cuda();
  expect_pair(sort(gpu, 0, true), sort(x, 0, true), "sort");
  expect_pair(topk(gpu, 50), topk(x, 50), "topk");
  expect_pair(kthvalue(gpu, 77777), kthvalue(x, 77777), "kthvalue");
  expect_pair(mode(gpu), mode(x), "mode");
  const Tensor equal_keys = zeros({200000});
  expect_pair(sort(equal_keys.cuda(), 0, true), sort(equal_keys, 0, true), "all equal");
  expect_pair(topk(zeros({5, 9000}).cuda(), 700), topk(zeros({5, 9000}), 700), "all equal, topk");
}

TEST_F(CudaSort, SearchesSortedRows) {
  for (const DType dtype : dtypes_to_test()) {
    const Tensor boundaries = sort(tied_numbers({4, 33}, dtype), 1).first;
    const Tensor values = tied_numbers({4, 50}, dtype);
    for (const bool right : {false, true}) {
      expect_equal(searchsorted(boundaries.cuda(), values.cuda(), false, right),
                   searchsorted(boundaries, values, false, right), "rows");
      expect_equal(bucketize(values.cuda(), boundaries[0].cuda(), true, right),
                   bucketize(values, boundaries[0], true, right), "one row");
    }
  }
  const Tensor specials = with_specials(randn({100}));
  const Tensor edges = sort(with_specials(randn({60}))).first;
  expect_equal(bucketize(specials.cuda(), edges.cuda()), bucketize(specials, edges), "specials");
}

void expect_triple(const std::tuple<Tensor, Tensor, Tensor>& gpu,
                   const std::tuple<Tensor, Tensor, Tensor>& cpu, const std::string& what) {
  expect_equal(std::get<0>(gpu), std::get<0>(cpu), what + ", values");
  expect_equal(std::get<1>(gpu), std::get<1>(cpu), what + ", inverse");
  expect_equal(std::get<2>(gpu), std::get<2>(cpu), what + ", counts");
}

TEST_F(CudaSort, FindsDistinctElementsAndRows) {
  for (const DType dtype : dtypes_to_test()) {
    for (const int64_t n : {1, 100, 10000}) {
      const Tensor x = tied_numbers({n}, dtype);
      expect_triple(unique(x.cuda(), true, true, true), unique(x, true, true, true), "unique");
      const Tensor runs = sort(x).first;
      expect_triple(unique_consecutive(runs.cuda(), true, true),
                    unique_consecutive(runs, true, true), "consecutive");
    }
    const Tensor rows = randint(0, 3, {500, 5}).to(dtype);
    expect_triple(unique(rows.cuda(), true, true, true, 0), unique(rows, true, true, true, 0),
                  taut::concat("rows ", dtype));
    expect_triple(unique(rows.cuda(), true, true, true, 1), unique(rows, true, true, true, 1),
                  taut::concat("columns ", dtype));
  }
  const Tensor x = with_specials(randint(0, 4, {100}).to(kFloat32));
  expect_triple(unique(x.cuda(), true, true, true), unique(x, true, true, true), "specials");
}

TEST_F(CudaSort, CountsIntoBins) {
  for (const int64_t bins : {3, 1000, 9000}) {
    const Tensor x = randint(bins, {20000});
    expect_equal(bincount(x.cuda()), bincount(x), "counts");
    for (const DType dtype : {kFloat32, kFloat64}) {
      const Tensor weights = rand({20000}).to(dtype);
      expect_close(bincount(x.cuda(), weights.cuda()), bincount(x, weights), 2e-4, "weights");
      expect_same_bits(bincount(x.cuda(), weights.cuda()), bincount(x.cuda(), weights.cuda()),
                       "weights");
    }
  }
  const Tensor empty_counts = bincount(zeros({0}, kInt64).cuda(), Tensor(), 4);
  expect_equal(empty_counts, zeros({4}, kInt64), "nothing");
  for (const DType dtype : floating_dtypes_to_test()) {
    const Tensor x = randn({5000}).to(dtype);
    expect_equal(histc(x.cuda(), 50, -2, 2), histc(x, 50, -2, 2), "histc");
    expect_equal(histc(x.cuda(), 7), histc(x, 7), "histc of the input's range");
  }
}

}  // namespace
}  // namespace taut::testing
