// Small ops in Taut or in LibTorch, from one text; benchmarks/libtorch.py compiles it against both. Prints `case nanoseconds`.

#ifdef AGAINST_LIBTORCH
#include <torch/torch.h>
namespace lib = torch;
static void clear_grad(const lib::Tensor& x) { x.mutable_grad() = lib::Tensor(); }
#else
#include <taut/taut.h>
namespace lib = taut;
static void clear_grad(const lib::Tensor& x) { x.set_grad(lib::Tensor()); }
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

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
  for (int turn = 0; turn < 10; ++turn) best = std::min(best, seconds_of(calls) / static_cast<double>(calls));
  std::printf("%s %.1f\n", name, best * 1e9 / per);
}

}  // namespace

int main() {
  lib::set_num_threads(1);
  Tensor keep;  // what an op returns lives until the next
  const Tensor one = lib::rand({1}), other = lib::rand({1}), many = lib::rand({64}), matrix = lib::rand({4, 16});
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
  const std::vector<Tensor> parameters = {lib::rand({16, 16}).requires_grad_(), lib::rand({16}).requires_grad_(),
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
}
