// Results larger than the caches are written by streaming stores, and hold what they would hold
// without.

#include <gtest/gtest.h>

#include <algorithm>

#include "taut/taut.h"

namespace taut::testing {
namespace {

constexpr int64_t kRows = 577, kCols = 65537;  // 36 MiB of bytes, in rows off every alignment
constexpr int64_t kPart = 1 << 20;

Tensor pattern(int64_t n, int64_t period) { return remainder(arange(n), period).to(kUInt8); }

// `whole` against the same op on parts that stay in the caches.
template <class Op>
void expect_as_in_parts(const Tensor& whole, const Tensor& a, const Tensor& b, Op op) {
  set_num_threads(1);
  for (int64_t begin = 0; begin < whole.numel(); begin += kPart) {
    const int64_t end = std::min(begin + kPart, whole.numel());
    ASSERT_TRUE(
        equal(whole.slice(0, begin, end), op(a.slice(0, begin, end), b.slice(0, begin, end))))
        << "from " << begin;
  }
}

class Streamed : public ::testing::TestWithParam<int> {
 protected:
  Streamed() { set_num_threads(GetParam()); }
  ~Streamed() override { set_num_threads(1); }
};

TEST_P(Streamed, SumsComparisonsAndNumbersAreWhatTheirPartsAre) {
  const Tensor a = pattern(kRows * kCols, 251), b = pattern(kRows * kCols, 241);
  const auto sum = [](const Tensor& x, const Tensor& y) { return x + y; };
  const Tensor whole = a + b, smaller = lt(a, b), tripled = a * 3, in_place = a.clone();
  in_place.add_(b);
  expect_as_in_parts(whole, a, b, sum);
  expect_as_in_parts(smaller, a, b, [](const Tensor& x, const Tensor& y) { return lt(x, y); });
  expect_as_in_parts(tripled, a, a, [](const Tensor& x, const Tensor&) { return x * 3; });
  expect_as_in_parts(in_place, a, b, sum);
}

TEST_P(Streamed, BroadcastRowsAndViewsAreWhatTheirPartsAre) {
  const Tensor a = pattern(kRows * kCols, 251).view({kRows, kCols});
  const Tensor row = pattern(kCols, 241);
  const Tensor result = a + row;
  set_num_threads(1);
  for (int64_t r = 0; r < kRows; ++r) ASSERT_TRUE(equal(result[r], a[r] + row)) << "row " << r;
}

// Functions that take long stream from the loop itself, one vector at a time, from the first
// aligned place on.
TEST_P(Streamed, CostlyFunctionsAreWhatTheirPartsAre) {
  constexpr int64_t kCount = 130 * kCols;  // 32.5 MiB of float32
  const Tensor a = rand({kCount});
  const auto exponential = [](const Tensor& x, const Tensor&) { return exp(x); };
  const auto error_function = [](const Tensor& x, const Tensor&) {
    return nn::functional::gelu(x);
  };
  const auto power = [](const Tensor& x, const Tensor& y) { return pow(x, y); };
  const Tensor raised = exp(a), activated = nn::functional::gelu(a), powers = pow(a, a);
  expect_as_in_parts(raised, a, a, exponential);
  expect_as_in_parts(activated, a, a, error_function);
  expect_as_in_parts(powers, a, a, power);

  set_num_threads(GetParam());
  const Tensor rows = a.view({130, kCols}), row = rand({kCols});  // each row is aligned otherwise
  const Tensor raised_by_row = pow(rows, row);
  set_num_threads(1);
  for (int64_t r = 0; r < 130; ++r) {
    ASSERT_TRUE(equal(raised_by_row[r], pow(rows[r], row))) << "row " << r;
  }
}

// Rows of whole lines, rows off every line, and rows that no buffer holds.
TEST_P(Streamed, RowsOfNormsAndSoftmaxAreWhatTheirPartsAre) {
  namespace F = nn::functional;
  using RowOp = Tensor (*)(const Tensor&);
  const RowOp ops[] = {
      [](const Tensor& x) { return softmax(x, 1); },
      [](const Tensor& x) { return log_softmax(x, 1); },
      [](const Tensor& x) { return F::layer_norm(x, {x.size(1)}); },
      [](const Tensor& x) { return F::rms_norm(x, {x.size(1)}); },
      [](const Tensor& x) {
        const Tensor leaf = x.detach().requires_grad_();
        softmax(leaf, 1).backward(x);
        return leaf.grad();
      },
  };
  for (const Dims& shape :
       {Dims{9000, 1024}, Dims{9001, 999}, Dims{1500, 6007}, Dims{400, 22528}}) {
    const Tensor x = rand(shape);
    for (const RowOp op : ops) {
      set_num_threads(GetParam());
      const Tensor whole = op(x);
      set_num_threads(1);
      for (int64_t r = 0; r < shape[0]; r += 500) {
        const int64_t end = std::min(r + 500, shape[0]);
        ASSERT_TRUE(equal(whole.slice(0, r, end), op(x.slice(0, r, end))))
            << shape[0] << " x " << shape[1] << " row " << r;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, Streamed, ::testing::Values(1, 2));

}  // namespace
}  // namespace taut::testing
