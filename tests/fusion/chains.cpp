#include "tests/fusion/chains.h"

#include "taut/nn/functional/activation.h"
#include "taut/nn/functional/loss.h"
#include "taut/nn/functional/norm.h"
#include "taut/nn/functional/softmax.h"
#include "taut/ops/ops.h"

namespace taut::fusion {
namespace {

namespace F = nn::functional;

Tensor random(const Dims& shape, DType dtype) { return to(randn(shape), dtype); }

Tensor rotate_half(const Tensor& x) {
  const Tensors halves = chunk(x, 2, -1);
  return cat({neg(halves[1]), halves[0]}, -1);
}

Tensors geglu(TensorList in) {
  const Tensors halves = chunk(in[0], 2, -1);
  return {halves[0] * F::gelu(halves[1])};
}
Tensors rms_norm_with_residual(TensorList in) {
  const Tensor sum = in[0] + in[1];
  return {F::rms_norm(sum, {sum.size(-1)}, in[2], 1e-6), sum};
}
Tensors rotary(TensorList in) {
  const auto turned = [&](const Tensor& x) { return x * in[2] + rotate_half(x) * in[3]; };
  return {turned(in[0]), turned(in[1])};
}
Tensors focal_loss(TensorList in) {
  const Tensor p = sigmoid(in[0]);
  const Tensor loss =
      F::binary_cross_entropy_with_logits(in[0], in[1], Tensor(), F::Reduction::none);
  const Tensor hit = p * in[1] + (1 - p) * (1 - in[1]);
  const Tensor weight = in[1] * 0.25 + (1 - in[1]) * 0.75;
  return {mean(weight * loss * pow(1 - hit, 2.0))};
}
Tensors ada_ln(TensorList in) {
  const Tensor normal = F::layer_norm(in[0], {in[0].size(-1)}, Tensor(), Tensor(), 1e-6);
  return {normal * (unsqueeze(in[1], 1) + 1) + unsqueeze(in[2], 1)};
}

}  // namespace

std::vector<Chain> published_chains(DType dtype) {
  std::vector<Chain> chains;
  chains.push_back({"geglu", geglu, {random({6, 80}, dtype)}, {true}});
  chains.push_back({"rms_norm",
                    rms_norm_with_residual,
                    {random({4, 6, 96}, dtype), random({4, 6, 96}, dtype), random({96}, dtype)},
                    {true, true, true}});
  chains.push_back({"rotary",
                    rotary,
                    {random({2, 5, 3, 16}, dtype), random({2, 5, 3, 16}, dtype),
                     random({5, 1, 16}, dtype), random({5, 1, 16}, dtype)},
                    {true, true, false, false}});
  chains.push_back({"focal",
                    focal_loss,
                    {random({700, 24}, dtype), to(gt(randn({700, 24}), 0), dtype)},
                    {true, false}});
  chains.push_back({"ada_ln",
                    ada_ln,
                    {random({3, 10, 64}, dtype), random({3, 64}, dtype), random({3, 64}, dtype)},
                    {true, true, true}});
  return chains;
}

std::vector<Chain> single_chains(DType dtype) {
  std::vector<Chain> chains;
  const auto add = [&](const char* name, const Function& function, Tensors inputs) {
    std::vector<bool> wanted(inputs.size(), true);
    chains.push_back({name, function, std::move(inputs), std::move(wanted)});
  };
  const auto of = [&](const Dims& shape) { return random(shape, dtype); };
  add("softmax", [](TensorList in) -> Tensors { return {softmax(in[0] * 2, -1) * in[1]}; },
      {of({5, 37}), of({37})});
  add("softmax of a middle dim", [](TensorList in) -> Tensors { return {softmax(sin(in[0]), 1)}; },
      {of({3, 7, 4})});
  add("log_softmax", [](TensorList in) -> Tensors { return {log_softmax(in[0], -1)}; },
      {of({4, 130})});
  add("layer norm with weights",
      [](TensorList in) -> Tensors {
        return {F::silu(F::layer_norm(in[0] + in[1], {24}, in[2], in[3]))};
      },
      {of({7, 24}), of({7, 24}), of({24}), of({24})});
  add("norm of a sum in one op",
      [](TensorList in) -> Tensors {
        const auto [normal, sum] = F::add_layer_norm(in[0], in[1], {24}, in[2], in[3]);
        const auto [again, total] = F::add_rms_norm(normal, sum, {24}, in[2], 1e-5);
        return {again * 2, total};
      },
      {of({7, 24}), of({7, 24}), of({24}), of({24})});
  add("rows of a whole",
      [](TensorList in) -> Tensors {
        return {select(in[0], 0, 1) * sin(select(in[0], 0, 2)) + slice(in[0], 0, 0, 4, 3)};
      },
      {of({5, 8})});
  add("bias and activation", [](TensorList in) -> Tensors { return {F::gelu(in[0] + in[1])}; },
      {of({33, 40}), of({40})});
  add("bias of channels", [](TensorList in) -> Tensors { return {relu(in[0] * in[1] + in[2])}; },
      {of({3, 4, 5, 6}), of({4, 1, 1}), of({4, 1, 1})});
  add("bias of positions", [](TensorList in) -> Tensors { return {tanh(in[0] + in[1])}; },
      {of({4, 5, 16}), of({5, 16})});
  add("mean of squares", [](TensorList in) -> Tensors { return {mean(square(in[0] - in[1]))}; },
      {of({130, 70}), of({130, 70})});
  add("slices",
      [](TensorList in) -> Tensors {
        const Tensor a = slice(in[0], 1, 0, 8), b = slice(in[0], 1, 8, 16);
        return {a * sigmoid(b), a + b};
      },
      {of({6, 16})});
  add("uneven slices",
      [](TensorList in) -> Tensors {
        const Tensor a = slice(in[0], 1, 0, 5), b = slice(in[0], 1, 3, 8);
        return {exp(a * 0.5) * b};
      },
      {of({6, 11})});
  add("steps",
      [](TensorList in) -> Tensors {
        const Tensor even = slice(in[0], -1, 0, 16, 2), odd = slice(in[0], -1, 1, 16, 2);
        return {flatten(stack({neg(odd), even}, -1), -2, -1) * in[1]};
      },
      {of({3, 16}), of({16})});
  add("uneven cat",
      [](TensorList in) -> Tensors { return {cat({in[0] * 2, sin(in[1]), in[0] * in[0]}, 1)}; },
      {of({4, 3}), of({4, 8})});
  add("transposed", [](TensorList in) -> Tensors { return {transpose(in[0], 0, 1) * in[1]}; },
      {of({12, 8}), of({8, 12})});
  add("permuted result",
      [](TensorList in) -> Tensors { return {permute(exp(in[0]) + 1, {2, 0, 1})}; },
      {of({3, 4, 8})});
  add("heads",
      [](TensorList in) -> Tensors {
        const Tensor heads = view(in[0] * 2, {2, 6, 4, 8});
        return {flatten(F::rms_norm(heads, {8}, in[1], 1e-5), -2, -1) + in[0]};
      },
      {of({2, 6, 32}), of({8})});
  add("variance",
      [](TensorList in) -> Tensors {
        return {(in[0] - mean(in[0], {-1}, true)) / sqrt(var(in[0], {-1}, 1.0, true) + 1e-5)};
      },
      {of({9, 20})});
  add("largest", [](TensorList in) -> Tensors { return {amax(in[0] * in[1], {-1})}; },
      {of({9, 20}), of({20})});
  add("normalised over everything",
      [](TensorList in) -> Tensors { return {in[0] / sqrt(sum(square(in[0])) + 1)}; },
      {of({150, 120})});
  add("sum over rows used again",
      [](TensorList in) -> Tensors { return {in[0] - mean(in[0], {0}, true)}; }, {of({40, 12})});
  add("cross entropy with soft targets",
      [](TensorList in) -> Tensors {
        return {neg(mean(sum(log_softmax(in[0], -1) * in[1], {-1})))};
      },
      {of({130, 90}), of({130, 90})});
  add("where and comparisons",
      [](TensorList in) -> Tensors {
        return {where(gt(in[0], 0), in[0] * in[1], clamp(in[1], -0.5, 0.5))};
      },
      {of({5, 9}), of({5, 9})});
  add("casts",
      [](TensorList in) -> Tensors {
        return {to(to(in[0], kFloat32) * 1.5, in[0].dtype()) + in[0]};
      },
      {of({5, 9})});
  add("two axes",
      [](TensorList in) -> Tensors {
        const Tensor x = in[0] - mean(in[0], {1, 2}, true);
        return {x / (sqrt(mean(x * x, {1, 2}, true)) + 0.1)};
      },
      {of({4, 6, 10})});
  add("an input as it is", [](TensorList in) -> Tensors { return {in[0], in[0] * in[1]}; },
      {of({4, 6}), of({4, 6})});
  add("views of inputs",
      [](TensorList in) -> Tensors {
        return {view(in[0], {24}), slice(in[0], 0, 0, 2), transpose(in[0], 0, 1), in[0] + 1};
      },
      {of({4, 6})});
  add("in place on its own",
      [](TensorList in) -> Tensors {
        Tensor x = in[0] * 2;
        x.add_(in[1]);
        return {sigmoid(x)};
      },
      {of({4, 6}), of({4, 6})});
  return chains;
}

namespace {

class Drawer {
 public:
  explicit Drawer(uint64_t seed) : random_(seed) {}
  int below(int count) { return std::uniform_int_distribution<int>(0, count - 1)(random_); }
  template <class T>
  const T& pick(const std::vector<T>& values) {
    return values[static_cast<size_t>(below(static_cast<int>(values.size())))];
  }

 private:
  std::mt19937_64 random_;
};

using Step = Callback<Tensor(const Tensor& value, TensorList in)>;

Step elementwise_step(Drawer& draw) {
  using Unary = Tensor (*)(const Tensor&);
  static const std::vector<Unary> kUnary = {[](const Tensor& x) { return tanh(x); },
                                            [](const Tensor& x) { return sigmoid(x); },
                                            [](const Tensor& x) { return F::silu(x); },
                                            [](const Tensor& x) { return F::gelu(x); },
                                            [](const Tensor& x) { return sin(x); },
                                            [](const Tensor& x) { return F::softplus(x); },
                                            [](const Tensor& x) { return F::elu(x); },
                                            [](const Tensor& x) { return x * x * 0.25; },
                                            [](const Tensor& x) { return abs(x) + 0.5; },
                                            [](const Tensor& x) { return F::hardswish(x); }};
  if (draw.below(2) == 0) {
    return [op = draw.pick(kUnary)](const Tensor& x, TensorList) { return op(x); };
  }
  const int which = draw.below(5);
  return [which](const Tensor& x, TensorList in) -> Tensor {
    switch (which) {
      case 0: return x + in[0];
      case 1: return x * in[1];  // a row
      case 2: return x - in[2];  // a column
      case 3: return maximum(x, in[0] * 0.5);
      default: return where(gt(in[1], 0), x, in[2] * x);
    }
  };
}

Step shape_step(Drawer& draw) {
  const int which = draw.below(8);
  return [which](const Tensor& x, TensorList) -> Tensor {
    switch (which) {
      case 0: return softmax(x, -1);
      case 1: return x - mean(x, {-1}, true);
      case 2: return F::layer_norm(x, {x.size(-1)});
      case 3: return rotate_half(x);
      case 4: return transpose(transpose(x, 0, 1) * 2, 0, 1);
      case 5: return x / (sqrt(mean(x * x, {1, 2}, true)) + 1);
      case 6: return reshape(reshape(x, {x.size(0) * x.size(1), x.size(2)}) * 0.5, x.shape());
      default: return x + amax(x, {-1}, true) * 0.5;
    }
  };
}

}  // namespace

Chain random_chain(uint64_t seed) {
  Drawer draw(seed);
  manual_seed(seed);
  const int64_t columns = draw.pick(std::vector<int64_t>{6, 16, 40, 64, 258});
  const Dims shape{draw.below(4) + 1, draw.below(9) + 1, columns};
  std::vector<Step> steps;
  const int count = 2 + draw.below(5);
  for (int i = 0; i < count; ++i) {
    steps.push_back(draw.below(3) == 0 ? shape_step(draw) : elementwise_step(draw));
  }
  const int last = draw.below(4);
  Chain chain;
  chain.name = concat("random chain ", seed);
  chain.inputs = {randn(shape), randn({columns}), randn({shape[1], 1})};
  chain.wanted = {true, draw.below(2) == 0, draw.below(2) == 0};
  chain.function = [steps, last](TensorList in) -> Tensors {
    Tensor x = in[0];
    for (const Step& step : steps) x = step(x, in);
    switch (last) {
      case 0: return {mean(x)};
      case 1: return {sum(x, {-1}), x * 2};
      default: return {x};
    }
  };
  return chain;
}

}  // namespace taut::fusion
