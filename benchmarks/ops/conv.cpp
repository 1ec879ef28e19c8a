// The convolutions of a network for 28 x 28 images at batch 64: forward, and forward with backward.

#include <benchmark/benchmark.h>
#include <taut/taut.h>

namespace {

namespace functional = taut::nn::functional;
using taut::Tensor;

constexpr int64_t kBatch = 64;

struct Layer {
  int64_t in, out, size;
  // One product and one sum for each tap of each output; 3 x 3 taps.
  double operations() const {
    return 2.0 * static_cast<double>(kBatch * in * out * 9 * size * size);
  }
};
constexpr Layer kLayers[] = {{1, 32, 28}, {32, 64, 14}, {64, 64, 7}};

void forward(benchmark::State& state) {
  const Layer& layer = kLayers[state.range(0)];
  taut::set_num_threads(static_cast<int>(state.range(1)));
  const taut::NoGradGuard no_grad;
  const Tensor x = taut::rand({kBatch, layer.in, layer.size, layer.size});
  const Tensor weight = taut::rand({layer.out, layer.in, 3, 3}), bias = taut::rand({layer.out});
  for (auto _ : state) {
    benchmark::DoNotOptimize(functional::conv2d(x, weight, bias, {1}, {1}));
  }
  state.counters["FLOP/s"] =
      benchmark::Counter(layer.operations(), benchmark::Counter::kIsIterationInvariantRate);
}

void forward_backward(benchmark::State& state) {
  const Layer& layer = kLayers[state.range(0)];
  taut::set_num_threads(static_cast<int>(state.range(1)));
  const Tensor x = taut::rand({kBatch, layer.in, layer.size, layer.size});
  if (layer.in > 1) x.requires_grad_();
  const Tensor weight = taut::rand({layer.out, layer.in, 3, 3}).requires_grad_();
  const Tensor bias = taut::rand({layer.out}).requires_grad_();
  const Tensor grad = taut::ones({kBatch, layer.out, layer.size, layer.size});
  for (auto _ : state) {
    functional::conv2d(x, weight, bias, {1}, {1}).backward(grad);
    for (const Tensor& leaf : {x, weight, bias}) leaf.set_grad(Tensor());
  }
  // The first layer of a network needs no gradient of its input.
  const double passes = layer.in > 1 ? 3 : 2;
  state.counters["FLOP/s"] = benchmark::Counter(passes * layer.operations(),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(forward)->ArgsProduct({{0, 1, 2}, {1, 2}})->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(forward_backward)
    ->ArgsProduct({{0, 1, 2}, {1, 2}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
