// Ops that are bound by memory, on tensors of 64 MiB, each by turns with a plain loop that moves
// the same bytes (as McCalpin's STREAM does). `GB/s` is Taut's speed, `peer` the loop's.

#include <taut/taut.h>

#include "benchmarks/ops/alternate.h"

namespace {

namespace functional = taut::nn::functional;
using taut::Tensor;
using taut::bench::alternate;

constexpr int64_t kCount = 16 << 20;  // floats: 64 MiB
constexpr int64_t kColumns = 1024;
constexpr int64_t kGrain = 32768;

// Enough sums side by side that none waits for the one before.
[[gnu::noinline]] float sum_of(const float* a, int64_t begin, int64_t end) {
  constexpr int64_t kSums = 64;
  float sums[kSums] = {};
  for (; begin + kSums <= end; begin += kSums) {
#pragma omp simd
    for (int64_t k = 0; k < kSums; ++k) sums[k] += a[begin + k];
  }
  float total = 0;
  for (; begin < end; ++begin) total += a[begin];
  for (float sum : sums) total += sum;
  return total;
}

// The plain loops, on memory of their own.
class Stream {
 public:
  explicit Stream(int64_t count)
      : count_(count), a_(taut::rand({count})), b_(taut::rand({count})), c_(taut::rand({count})) {}

  void read() {
    const float* a = a_.data_ptr<float>();
    taut::parallel_for(count_, kGrain, [=](int64_t begin, int64_t end) {
      const float total = sum_of(a, begin, end);
      benchmark::DoNotOptimize(total);
    });
  }
  void copy() {
    const float* a = a_.data_ptr<float>();
    float* c = c_.data_ptr<float>();
    taut::parallel_for(count_, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) c[i] = a[i] * 2.0f;
    });
    benchmark::ClobberMemory();
  }
  void add() {
    const float *a = a_.data_ptr<float>(), *b = b_.data_ptr<float>();
    float* c = c_.data_ptr<float>();
    taut::parallel_for(count_, kGrain, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) c[i] = a[i] + b[i];
    });
    benchmark::ClobberMemory();
  }

 private:
  int64_t count_;
  Tensor a_, b_, c_;
};

Stream& stream() {
  static Stream instance(kCount);
  return instance;
}
const Tensor& flat() {
  static const Tensor tensor = taut::rand({kCount});
  return tensor;
}
const Tensor& other() {
  static const Tensor tensor = taut::rand({kCount});
  return tensor;
}
const Tensor& rows() {
  static const Tensor tensor = flat().view({kCount / kColumns, kColumns});
  return tensor;
}

// How many tensors of 64 MiB an op reads and writes in all.
template <class Op>
void measure(benchmark::State& state, int tensors, Op op) {
  taut::set_num_threads(static_cast<int>(state.range(0)));
  const taut::NoGradGuard no_grad;
  const double bytes = static_cast<double>(tensors) * kCount * sizeof(float);
  alternate(
      state, bytes, "GB/s", [&] { benchmark::DoNotOptimize(op()); },
      [&] {
        if (tensors == 1) stream().read();
        if (tensors == 2) stream().copy();
        if (tensors == 3) stream().add();
      });
}

#define TAUT_MEMORY_CASE(name, tensors, expression)     \
  void name(benchmark::State& state) {                  \
    measure(state, tensors, [] { return expression; }); \
  }                                                     \
  BENCHMARK(name)->Arg(1)->Arg(2)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(15);

TAUT_MEMORY_CASE(add, 3, taut::add(flat(), other()))
TAUT_MEMORY_CASE(mul_number, 2, taut::mul(flat(), 2.0))
TAUT_MEMORY_CASE(relu, 2, taut::relu(flat()))
TAUT_MEMORY_CASE(exp, 2, taut::exp(flat()))
TAUT_MEMORY_CASE(tanh, 2, taut::tanh(flat()))
TAUT_MEMORY_CASE(gelu, 2, functional::gelu(flat()))
TAUT_MEMORY_CASE(add_row, 2, taut::add(rows(), rows().select(0, 0)))
TAUT_MEMORY_CASE(softmax, 2, taut::softmax(rows(), 1))
TAUT_MEMORY_CASE(log_softmax, 2, taut::log_softmax(rows(), 1))
TAUT_MEMORY_CASE(layer_norm, 2, functional::layer_norm(rows(), {kColumns}))
TAUT_MEMORY_CASE(rms_norm, 2, functional::rms_norm(rows(), {kColumns}))
TAUT_MEMORY_CASE(sum_all, 1, flat().sum())
TAUT_MEMORY_CASE(sum_rows, 1, rows().sum({1}))
TAUT_MEMORY_CASE(sum_columns, 1, rows().sum({0}))
TAUT_MEMORY_CASE(max_all, 1, flat().max())
TAUT_MEMORY_CASE(argmax_rows, 1, rows().argmax(1))
TAUT_MEMORY_CASE(clone, 2, taut::clone(flat()))
TAUT_MEMORY_CASE(transpose, 2, taut::contiguous(rows().t()))

// A result of 10 million floats that is made and dropped each time: the allocator keeps its pages.
void fresh_result(benchmark::State& state) {
  taut::set_num_threads(static_cast<int>(state.range(0)));
  constexpr int64_t kFresh = 10'000'000;
  const Tensor a = taut::rand({kFresh}), b = taut::rand({kFresh});
  Stream loop(kFresh);
  alternate(
      state, 3.0 * kFresh * sizeof(float), "GB/s", [&] { benchmark::DoNotOptimize(a + b); },
      [&] { loop.add(); });
}
BENCHMARK(fresh_result)
    ->Arg(1)
    ->Arg(2)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond)
    ->Iterations(15);

}  // namespace
