// Matrix products by turns with a bare call of OpenBLAS on the same memory.

#include <cblas.h>
#include <omp.h>
#include <taut/taut.h>

#include <chrono>

#include "benchmarks/ops/alternate.h"

namespace {

using taut::Tensor;

// The threads of OpenBLAS's own pool watch for work for 2^28 cycles: 128 ms at 2.1 GHz.
constexpr std::chrono::milliseconds kPause(150);

// op(a) @ op(b), each as it lies in memory or transposed, beside the same by OpenBLAS.
struct Product {
  Tensor a, b;
  bool a_is_turned = false, b_is_turned = false;
};

void compare(benchmark::State& state, const Product& product, int threads) {
  taut::set_num_threads(threads);
  // One build of OpenBLAS asks OpenMP, the other has threads of its own.
  omp_set_num_threads(threads);
  openblas_set_num_threads(threads);
  const Tensor a = product.a_is_turned ? product.a.t() : product.a;
  const Tensor b = product.b_is_turned ? product.b.t() : product.b;
  const int64_t m = a.size(0), n = b.size(1), k = a.size(1);
  const Tensor c = taut::empty({m, n});
  const auto transposition = [](bool is_turned) { return is_turned ? CblasTrans : CblasNoTrans; };
  const auto stride = [](const Tensor& matrix) { return static_cast<int>(matrix.size(1)); };
  taut::bench::alternate(
      state, 2.0 * static_cast<double>(m * n * k), "GFLOP/s",
      [&] { benchmark::DoNotOptimize(taut::matmul(a, b)); },
      [&] {
        cblas_sgemm(CblasRowMajor, transposition(product.a_is_turned),
                    transposition(product.b_is_turned), static_cast<int>(m), static_cast<int>(n),
                    static_cast<int>(k), 1.0f, product.a.data_ptr<float>(), stride(product.a),
                    product.b.data_ptr<float>(), stride(product.b), 0.0f, c.data_ptr<float>(),
                    static_cast<int>(n));
        benchmark::ClobberMemory();
      },
      kPause);
}

void square(benchmark::State& state) {
  const int64_t n = state.range(0);
  compare(state, {taut::rand({n, n}), taut::rand({n, n})}, static_cast<int>(state.range(1)));
}
BENCHMARK(square)
    ->ArgsProduct({{64, 256, 1024, 2048}, {1, 2}})
    ->UseManualTime()
    ->Iterations(15)
    ->Unit(benchmark::kMicrosecond);

// The products of a layer of `in` to `out` features at a batch of `rows`.
struct Layer {
  explicit Layer(const benchmark::State& state)
      : x(taut::rand({state.range(0), state.range(1)})),
        weight(taut::rand({state.range(2), state.range(1)})),
        grad(taut::rand({state.range(0), state.range(2)})),
        threads(static_cast<int>(state.range(3))) {}

  Tensor x, weight, grad;
  int threads;
};

void layer_output(benchmark::State& state) {
  const Layer layer(state);
  compare(state, {layer.x, layer.weight, false, true}, layer.threads);
}
void layer_input_gradient(benchmark::State& state) {
  const Layer layer(state);
  compare(state, {layer.grad, layer.weight}, layer.threads);
}
void layer_weight_gradient(benchmark::State& state) {
  const Layer layer(state);
  compare(state, {layer.grad, layer.x, true, false}, layer.threads);
}

// Of the MLP and of the GPT that benchmarks/compare.py trains.
void layers(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "in", "out", "threads"});
  for (const int64_t threads : {1, 2}) {
    benchmark->Args({64, 784, 256, threads});
    benchmark->Args({2048, 128, 384, threads});
    benchmark->Args({2048, 128, 512, threads});
    benchmark->Args({2048, 512, 128, threads});
  }
  benchmark->UseManualTime()->Iterations(15)->Unit(benchmark::kMicrosecond);
}
BENCHMARK(layer_output)->Apply(layers);
BENCHMARK(layer_input_gradient)->Apply(layers);
BENCHMARK(layer_weight_gradient)->Apply(layers);

}  // namespace
