// Small ops and training steps in Taut or in LibTorch, from one text; benchmarks/libtorch.py
// compiles it against both. Prints `case nanoseconds`.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#ifdef AGAINST_LIBTORCH
#include <torch/torch.h>
namespace lib = torch;
using Shape = std::vector<int64_t>;
static void clear_grad(const lib::Tensor& x) { x.mutable_grad() = lib::Tensor(); }
static lib::Tensor conv(const lib::Tensor& x, const lib::Tensor& weight, const lib::Tensor& bias) {
  return torch::conv2d(x, weight, bias, 1, 1);
}
static lib::Tensor pool(const lib::Tensor& x) { return torch::max_pool2d(x, 2); }
#else
#include <taut/taut.h>
namespace lib = taut;
using Shape = taut::Dims;
static void clear_grad(const lib::Tensor& x) { x.set_grad(lib::Tensor()); }
static lib::Tensor conv(const lib::Tensor& x, const lib::Tensor& weight, const lib::Tensor& bias) {
  return lib::nn::functional::conv2d(x, weight, bias, {1}, {1});
}
static lib::Tensor pool(const lib::Tensor& x) { return lib::nn::functional::max_pool2d(x, {2}); }
#endif

namespace {

using lib::Tensor;

// The best of several turns, each of about 20 ms.
template <class Op>
void measure(const char* name, int per, Op op) {
  const auto seconds_of = [&](long calls) {
    const auto start = std::chrono::steady_clock::now();
    for (long i = 0; i < calls; ++i) op();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  long calls = 1;
  while (seconds_of(calls) < 0.005) calls *= 2;
  calls *= 4;
  double best = 1e9;
  for (int turn = 0; turn < 10; ++turn)
    best = std::min(best, seconds_of(calls) / static_cast<double>(calls));
  std::printf("%s %.1f\n", name, best * 1e9 / per);
}

namespace F = lib::nn::functional;

// Weight and bias of one layer after another, as small random numbers.
struct Parameters {
  std::vector<Tensor> all;
  void add(const Shape& weight) {
    all.push_back((lib::rand(weight) * 0.1 - 0.05).detach().requires_grad_());
    all.push_back(lib::zeros({weight[0]}).requires_grad_());
  }
  const Tensor& operator[](size_t i) const { return all[i]; }
};

// Training steps with 1 and 2 threads.
template <class Forward>
void measure_training(const char* name, const Parameters& p, const Tensor& x, Forward forward) {
  const Tensor y = lib::randint(0, 10, {64}).to(lib::kInt64);
  lib::optim::AdamW optimizer(p.all);
  for (int threads = 1; threads <= 2; ++threads) {
    lib::set_num_threads(threads);
    measure((std::string(name) + "_" + std::to_string(threads)).c_str(), 1, [&] {
      optimizer.zero_grad();
      F::cross_entropy(forward(x), y).backward();
      optimizer.step();
    });
  }
}

void measure_mlp() {
  Parameters p;
  for (auto shape : {Shape{256, 784}, Shape{128, 256}, Shape{10, 128}}) p.add(shape);
  measure_training("mlp", p, lib::rand({64, 784}), [&](const Tensor& x) {
    const Tensor first = lib::relu(F::linear(x, p[0], p[1]));
    return F::linear(lib::relu(F::linear(first, p[2], p[3])), p[4], p[5]);
  });
}

void measure_cnn() {
  Parameters p;
  for (auto shape :
       {Shape{32, 1, 3, 3}, Shape{64, 32, 3, 3}, Shape{128, 64 * 7 * 7}, Shape{10, 128}})
    p.add(shape);
  measure_training("cnn", p, lib::rand({64, 1, 28, 28}), [&](const Tensor& x) {
    const Tensor first = pool(lib::relu(conv(x, p[0], p[1])));
    const Tensor second = pool(lib::relu(conv(first, p[2], p[3]))).flatten(1);
    return F::linear(lib::relu(F::linear(second, p[4], p[5])), p[6], p[7]);
  });
}

}  // namespace

int main() {
  lib::set_num_threads(1);
  Tensor keep;  // what an op returns lives until the next
  const Tensor one = lib::rand({1}), other = lib::rand({1}), many = lib::rand({64}),
               matrix = lib::rand({4, 16});
  const Tensor leaf = lib::rand({1}).requires_grad_(), factor = lib::full({1}, 1.01);
  measure("add_1", 1, [&] { keep = one + other; });
  measure("add_64", 1, [&] { keep = many + many; });
  measure("add_with_graph", 1, [&] { keep = leaf + other; });
  measure("view", 1, [&] { keep = matrix.view({16, 4}); });
  measure("chain_100", 100, [&] {
    Tensor y = leaf;
    for (int i = 0; i < 50; ++i) y = y * factor + factor;
    y.backward();
    clear_grad(leaf);
  });

  const Tensor x = lib::rand({8, 16}), target = lib::rand({8, 1});
  const std::vector<Tensor> parameters = {
      lib::rand({16, 16}).requires_grad_(), lib::rand({16}).requires_grad_(),
      lib::rand({1, 16}).requires_grad_(), lib::rand({1}).requires_grad_()};
  lib::optim::AdamW optimizer(parameters);
  const auto step = [&] {
    optimizer.zero_grad();
    const Tensor hidden = lib::relu(lib::nn::functional::linear(x, parameters[0], parameters[1]));
    const Tensor output = lib::nn::functional::linear(hidden, parameters[2], parameters[3]);
    lib::nn::functional::mse_loss(output, target).backward();
    optimizer.step();
  };
  measure("adamw_training_step", 1, step);
  measure("adamw_step_alone", 1, [&] { optimizer.step(); });
  measure_mlp();
  measure_cnn();
}
