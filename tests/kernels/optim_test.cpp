#include "kernels/api/optim.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/kernels/value_buffer.h"

namespace taut::kernels {
namespace {

using test::is_close;
using test::test_seed;
using test::ThreadCount;
using test::tolerance;
using test::ValueBuffer;

constexpr DType kFloats[] = {kFloat32, kFloat64, kFloat16, kBFloat16};

// A list of buffers and the pointers to them.
struct List {
  std::vector<ValueBuffer> buffers;
  std::vector<void*> pointers;
  List(DType dtype, const std::vector<int64_t>& sizes) {
    for (int64_t n : sizes) buffers.emplace_back(dtype, n);
    for (ValueBuffer& buffer : buffers) pointers.push_back(buffer.data());
  }
  void fill(std::mt19937_64& rng, double low, double high) {
    for (ValueBuffer& buffer : buffers) buffer.fill(rng, low, high);
  }
  const void* const* inputs() const { return pointers.data(); }
};

class OptimTest : public ::testing::Test {
 protected:
  OptimTest() : rng_(test_seed()) { RecordProperty("seed", std::to_string(test_seed())); }
  const OptimKernels kernels_ = optim_kernels_cpu();
  std::mt19937_64 rng_;
  const std::vector<int64_t> sizes_ = {1, 0, 7, 100, 3, 70001, 33};
};

// Fills the lists, runs `step` with one and with three threads from the same start, and compares
// each element with what `reference` makes of its state in place (params, grads, states...).
template <class Step, class Reference>
void check(std::mt19937_64& rng, std::vector<List>& lists, DType dtype, Step step,
           Reference reference) {
  for (size_t l = 0; l < lists.size(); ++l) {
    lists[l].fill(rng, l < 2 ? -1.0 : 0.5, l < 2 ? 1.0 : 1.5);
  }
  std::vector<std::vector<std::vector<uint8_t>>> start(lists.size()), first(lists.size());
  std::vector<std::vector<std::vector<double>>> expected(lists.size());
  for (size_t l = 0; l < lists.size(); ++l) {
    for (ValueBuffer& buffer : lists[l].buffers) {
      start[l].push_back(buffer.raw());
      expected[l].push_back(buffer.values());
    }
  }
  {
    ThreadCount one(1);
    step();
  }
  for (size_t l = 0; l < lists.size(); ++l) {
    for (size_t b = 0; b < lists[l].buffers.size(); ++b) {
      ValueBuffer& buffer = lists[l].buffers[b];
      first[l].push_back(buffer.raw());
      if (!start[l][b].empty()) std::memcpy(buffer.data(), start[l][b].data(), start[l][b].size());
    }
  }
  ThreadCount three(3);
  step();
  std::vector<double> state(lists.size());
  for (size_t b = 0; b < lists[0].buffers.size(); ++b) {
    for (size_t i = 0; i < expected[0][b].size(); ++i) {
      for (size_t l = 0; l < lists.size(); ++l) state[l] = expected[l][b][i];
      reference(state, static_cast<int64_t>(b) + 1);
      for (size_t l = 0; l < lists.size(); ++l) {
        const double got = lists[l].buffers[b].get(static_cast<int64_t>(i));
        ASSERT_TRUE(is_close(got, state[l], 2 * tolerance(dtype)))
            << name(dtype) << " list " << l << " buffer " << b << " element " << i << ": got "
            << got << ", expected " << state[l] << ", seed " << test_seed();
      }
    }
    for (size_t l = 0; l < lists.size(); ++l) ASSERT_EQ(first[l][b], lists[l].buffers[b].raw());
  }
}

template <class Args>
void describe(Args& args, const List& params, const List& grads, const std::vector<int64_t>& sizes,
              DType dtype) {
  args.params = params.pointers.data();
  args.grads = grads.inputs();
  args.sizes = sizes.data();
  args.count = static_cast<int64_t>(sizes.size());
  args.dtype = dtype;
}

TEST_F(OptimTest, Sgd) {
  for (int variant = 0; variant < 16; ++variant) {
    const DType dtype = kFloats[variant % 4];
    std::vector<List> lists(3, List(dtype, {}));
    for (List& list : lists) list = List(dtype, sizes_);
    SgdArgs args;
    describe(args, lists[0], lists[1], sizes_, dtype);
    args.momentum_buffers = lists[2].pointers.data();
    args.lr = 0.1;
    args.momentum = variant & 1 ? 0.9 : 0;
    args.weight_decay = variant & 2 ? 0.05 : 0;
    args.nesterov = variant & 1 && variant & 4;
    args.dampening = args.nesterov ? 0 : 0.1;
    args.maximize = variant & 8;
    args.is_first_step = variant % 3 == 0;
    check(
        rng_, lists, dtype, [&] { kernels_.sgd(args); },
        [&](std::vector<double>& s, int64_t) {
          double g = (args.maximize ? -s[1] : s[1]) + args.weight_decay * s[0];
          if (args.momentum != 0) {
            s[2] = args.is_first_step ? g : args.momentum * s[2] + (1 - args.dampening) * g;
            g = args.nesterov ? g + args.momentum * s[2] : s[2];
          }
          s[0] -= args.lr * g;
        });
  }
}

TEST_F(OptimTest, Adam) {
  const std::vector<int64_t> steps = {1, 2, 3, 4, 5, 6, 7};
  for (int variant = 0; variant < 16; ++variant) {
    const DType dtype = kFloats[(variant + variant / 4) % 4];
    std::vector<List> lists(5, List(dtype, {}));
    for (List& list : lists) list = List(dtype, sizes_);
    AdamArgs args;
    describe(args, lists[0], lists[1], sizes_, dtype);
    args.exp_avgs = lists[2].pointers.data();
    args.exp_avg_sqs = lists[3].pointers.data();
    args.max_exp_avg_sqs = lists[4].pointers.data();
    args.steps = steps.data();
    args.lr = 0.01;
    args.weight_decay = variant & 1 ? 0.1 : 0;
    args.decoupled = variant & 2;
    args.amsgrad = variant & 4;
    args.maximize = variant & 8;
    check(
        rng_, lists, dtype, [&] { kernels_.adam(args); },
        [&](std::vector<double>& s, int64_t t) {
          double g = args.maximize ? -s[1] : s[1];
          if (args.decoupled)
            s[0] *= 1 - args.lr * args.weight_decay;
          else
            g += args.weight_decay * s[0];
          s[2] += 0.1 * (g - s[2]);
          s[3] = 0.999 * s[3] + 0.001 * g * g;
          if (args.amsgrad) s[4] = std::max(s[4], s[3]);
          const double v = args.amsgrad ? s[4] : s[3];
          const double td = static_cast<double>(t);
          s[0] -= args.lr / (1 - std::pow(0.9, td)) * s[2] /
                  (std::sqrt(v) / std::sqrt(1 - std::pow(0.999, td)) + args.eps);
        });
  }
}

TEST_F(OptimTest, RmspropAndAdagrad) {
  const std::vector<int64_t> steps = {1, 2, 3, 4, 5, 6, 7};
  for (int variant = 0; variant < 16; ++variant) {
    const DType dtype = variant & 1 ? kFloat32 : kFloat64;
    std::vector<List> lists(5, List(dtype, {}));
    for (List& list : lists) list = List(dtype, sizes_);
    RmspropArgs args;
    describe(args, lists[0], lists[1], sizes_, dtype);
    args.square_avgs = lists[2].pointers.data();
    args.grad_avgs = lists[3].pointers.data();
    args.momentum_buffers = lists[4].pointers.data();
    args.weight_decay = 0.1;
    args.centered = false;
    args.momentum = variant & 2 ? 0.9 : 0;
    args.maximize = variant & 4;
    check(
        rng_, lists, dtype, [&] { kernels_.rmsprop(args); },
        [&](std::vector<double>& s, int64_t) {
          const double g = (args.maximize ? -s[1] : s[1]) + 0.1 * s[0];
          s[2] = 0.99 * s[2] + 0.01 * g * g;
          double step = g / (std::sqrt(s[2]) + args.eps);
          if (args.momentum > 0) step = s[4] = args.momentum * s[4] + step;
          s[0] -= args.lr * step;
        });
    AdagradArgs ada;
    describe(ada, lists[0], lists[1], sizes_, dtype);
    ada.state_sums = lists[2].pointers.data();
    ada.steps = steps.data();
    ada.lr_decay = 0.5;
    check(
        rng_, lists, dtype, [&] { kernels_.adagrad(ada); },
        [&](std::vector<double>& s, int64_t t) {
          s[2] += s[1] * s[1];
          s[0] -=
              ada.lr / (1 + static_cast<double>(t - 1) * 0.5) * s[1] / (std::sqrt(s[2]) + ada.eps);
        });
  }
}

TEST_F(OptimTest, CenteredRmspropSubtractsTheSquaredMean) {
  List params(kFloat64, {5}), grads(kFloat64, {5}), squares(kFloat64, {5}), means(kFloat64, {5});
  params.fill(rng_, -1, 1);
  grads.fill(rng_, -1, 1);
  const auto before = params.buffers[0].values();
  const std::vector<int64_t> sizes = {5};
  for (ValueBuffer* buffer : {&squares.buffers[0], &means.buffers[0]}) {
    for (int64_t i = 0; i < 5; ++i) buffer->set(i, 0);
  }
  RmspropArgs args;
  describe(args, params, grads, sizes, kFloat64);
  args.square_avgs = squares.pointers.data();
  args.grad_avgs = means.pointers.data();
  args.centered = true;
  kernels_.rmsprop(args);
  for (int64_t i = 0; i < 5; ++i) {
    const double g = grads.buffers[0].get(i), a = 0.01 * g, v = 0.01 * g * g;
    const double expected =
        before[static_cast<size_t>(i)] - args.lr * g / (std::sqrt(v - a * a) + args.eps);
    EXPECT_NEAR(params.buffers[0].get(i), expected, 1e-10);
  }
}

TEST_F(OptimTest, ScaleAndSumSquares) {
  for (DType dtype : kFloats) {
    List list(dtype, sizes_);
    list.fill(rng_, -1, 1);
    double expected = 0, total = 0, again = 0;
    for (ValueBuffer& buffer : list.buffers) {
      for (double x : buffer.values()) expected += x * x;
    }
    SumSquaresArgs squares{list.inputs(), sizes_.data(), 7, dtype, &total};
    ThreadCount one(1);
    kernels_.sum_squares(squares);
    squares.total = &again;
    ThreadCount three(3);
    kernels_.sum_squares(squares);
    EXPECT_EQ(total, again);
    EXPECT_NEAR(total, expected, 1e-6 * expected);

    const auto before = list.buffers[5].values();
    float factor = 0.5f, non_finite = 0.0f;
    ScaleListArgs args{list.pointers.data(), sizes_.data(), 7, dtype, 0.25, &factor, &non_finite};
    kernels_.scale(args);
    EXPECT_EQ(non_finite, 0.0f);
    for (int64_t i = 0; i < 70001; ++i) {
      ASSERT_TRUE(is_close(list.buffers[5].get(i), 0.125 * before[static_cast<size_t>(i)],
                           tolerance(dtype)));
    }
    for (double special : {std::numeric_limits<double>::infinity(), std::nan("")}) {
      non_finite = 0.0f;
      list.buffers[3].set(99, special);
      kernels_.scale(args);
      EXPECT_EQ(non_finite, 1.0f);
    }

    // A factor of 1 is a look: read-only memory will do.
    const auto unseen = list.buffers[5].values();
    args.factor = 1.0;
    args.factor_pointer = nullptr;
    non_finite = 0.0f;
    kernels_.scale(args);
    EXPECT_EQ(non_finite, 1.0f);
    EXPECT_EQ(list.buffers[5].values(), unseen);
  }
}

}  // namespace
}  // namespace taut::kernels
