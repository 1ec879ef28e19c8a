// The convolutions of a ResNet-50 at batch 4, and a depthwise one, with channels first and last:
// forward, and forward with backward.

#include <benchmark/benchmark.h>
#include <taut/taut.h>

namespace {

namespace functional = taut::nn::functional;
using taut::MemoryFormat;
using taut::Tensor;

struct Layer {
  const char* name;
  int64_t in, out, size, kernel, stride, groups;
};
constexpr Layer kLayers[] = {
    {"7x7/2 3>64, 224", 3, 64, 224, 7, 2, 1},
    {"3x3 64, 56", 64, 64, 56, 3, 1, 1},
    {"1x1 64>256, 56", 64, 256, 56, 1, 1, 1},
    {"1x1 256>64, 56", 256, 64, 56, 1, 1, 1},
    {"3x3/2 128, 56", 128, 128, 56, 3, 2, 1},
    {"3x3 128, 28", 128, 128, 28, 3, 1, 1},
    {"1x1/2 256>512, 56", 256, 512, 56, 1, 2, 1},
    {"3x3 256, 14", 256, 256, 14, 3, 1, 1},
    {"3x3 512, 7", 512, 512, 7, 3, 1, 1},
    {"3x3 depthwise 144, 56", 144, 144, 56, 3, 1, 144},
};

// Arguments: the layer, whether channels are last, whether gradients are computed.
void convolution(benchmark::State& state) {
  const Layer& layer = kLayers[state.range(0)];
  const bool is_last = state.range(1) == 1;
  const bool with_backward = state.range(2) == 1;
  const MemoryFormat format = is_last ? MemoryFormat::channels_last : MemoryFormat::contiguous;
  taut::set_num_threads(1);
  const Tensor x = contiguous(taut::randn({4, layer.in, layer.size, layer.size}), format);
  const Tensor weight = contiguous(
      taut::randn({layer.out, layer.in / layer.groups, layer.kernel, layer.kernel}), format);
  const auto run = [&] {
    return functional::conv2d(x, weight, {}, {layer.stride}, {layer.kernel / 2}, {1}, layer.groups);
  };
  const Tensor grad = contiguous(taut::randn(run().shape()), format);
  if (with_backward) {
    weight.requires_grad_();
    if (layer.in > 3) x.requires_grad_();
  }
  for (auto _ : state) {
    const Tensor y = run();
    if (!with_backward) continue;
    y.backward(grad);
    for (const Tensor& leaf : {x, weight}) leaf.set_grad(Tensor());
  }
  state.SetLabel(taut::concat(layer.name, is_last ? ", channels last" : ""));
}

BENCHMARK(convolution)
    ->ArgsProduct({benchmark::CreateDenseRange(0, std::size(kLayers) - 1, 1), {0, 1}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
