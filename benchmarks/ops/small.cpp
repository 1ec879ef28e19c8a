// What an op costs beside its arithmetic: tensors of a few floats, where the overhead is all there
// is.

#include <benchmark/benchmark.h>
#include <taut/taut.h>

namespace {

using taut::Tensor;

void add(benchmark::State& state) {
  const Tensor a = taut::rand({state.range(0)}), b = taut::rand({state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(add)->Arg(1)->Arg(64);

void add_no_grad(benchmark::State& state) {
  const taut::NoGradGuard no_grad;
  const Tensor a = taut::rand({1}), b = taut::rand({1});
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(add_no_grad);

void add_with_graph(benchmark::State& state) {
  const Tensor a = taut::rand({state.range(0)}).requires_grad_(), b = taut::rand({state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(a + b);
}
BENCHMARK(add_with_graph)->Arg(1)->Arg(64);

void mul_with_graph(benchmark::State& state) {
  const Tensor a = taut::rand({1}).requires_grad_(), b = taut::rand({1});
  for (auto _ : state) benchmark::DoNotOptimize(a * b);
}
BENCHMARK(mul_with_graph);

void add_number(benchmark::State& state) {
  const Tensor a = taut::rand({1});
  for (auto _ : state) benchmark::DoNotOptimize(a + 1.0);
}
BENCHMARK(add_number);

void add_in_place(benchmark::State& state) {
  const Tensor a = taut::zeros({1}), b = taut::ones({1});
  for (auto _ : state) a.add_(b);
}
BENCHMARK(add_in_place);

void view(benchmark::State& state) {
  const Tensor a = taut::rand({4, 16});
  for (auto _ : state) benchmark::DoNotOptimize(a.view({16, 4}));
}
BENCHMARK(view);

void select(benchmark::State& state) {
  const Tensor a = taut::rand({4, 16});
  for (auto _ : state) benchmark::DoNotOptimize(a[2]);
}
BENCHMARK(select);

void empty(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(taut::empty({1}));
}
BENCHMARK(empty);

void sum(benchmark::State& state) {
  const Tensor a = taut::rand({64});
  for (auto _ : state) benchmark::DoNotOptimize(a.sum());
}
BENCHMARK(sum);

void matmul_2x2(benchmark::State& state) {
  const Tensor a = taut::rand({2, 2}), b = taut::rand({2, 2});
  for (auto _ : state) benchmark::DoNotOptimize(a.matmul(b));
}
BENCHMARK(matmul_2x2);

// Forward and backward of a chain of ops; `per_op` is the time of one.
void chain(benchmark::State& state) {
  constexpr int kLength = 100;
  const Tensor x = taut::rand({1}).requires_grad_(), factor = taut::full({1}, 1.01);
  for (auto _ : state) {
    Tensor y = x;
    for (int i = 0; i < kLength; ++i) y = i % 2 == 0 ? y * factor : y + factor;
    y.backward();
    x.set_grad(Tensor());
  }
  state.counters["per_op"] = benchmark::Counter(
      kLength, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(chain);

}  // namespace
