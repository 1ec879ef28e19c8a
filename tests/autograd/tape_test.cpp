// The rules of the tape: versions, views, freed graphs, modes, hooks, long chains.

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "taut/taut.h"

namespace taut {
namespace {

std::string message_of(const Callback<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

double at(const Tensor& tensor, int64_t i) { return tensor.view({-1})[i].item<double>(); }

TEST(Tape, SumsOverAllPathsAndCalls) {
  const Tensor x = tensor({1.0, 2.0}).requires_grad_();
  const Tensor y = x * 3.0;
  (y * y + x).sum().backward();
  EXPECT_DOUBLE_EQ(at(x.grad(), 0), 19);
  EXPECT_DOUBLE_EQ(at(x.grad(), 1), 37);
  x.sum().backward();
  EXPECT_DOUBLE_EQ(at(x.grad(), 0), 20);
}

TEST(Tape, AMillionNodesNeitherRecurseNorOverflow) {
  const Tensor x = ones({1}).requires_grad_();
  {
    Tensor y = x;
    for (int i = 0; i < 1000000; ++i) y = y * 1.0;
    y.backward();
  }
  EXPECT_DOUBLE_EQ(x.grad().item<double>(), 1);
  // Freed without a backward too.
  Tensor z = x;
  for (int i = 0; i < 1000000; ++i) z = z + 1.0;
  z = Tensor();
}

// The gradient of a reshaped leaf is the very memory that the op after it wrote.
TEST(Tape, KeepsAGradientInAnotherShapeWithoutACopy) {
  const Tensor x = ones({3, 1000}).requires_grad_();
  const Tensor y = x.reshape({1000, 3});
  const void* written = nullptr;
  register_hook(y, [&](const Tensor& grad) {
    written = grad.data_ptr();
    return Tensor();
  });
  exp(y).backward(ones({1000, 3}));
  EXPECT_EQ(x.grad().data_ptr(), written);
  EXPECT_FALSE(x.grad().is_view());
  EXPECT_EQ(x.grad().shape(), (Dims{3, 1000}));
  // Whoever else has it keeps it to himself.
  const Tensor given = ones({1000, 3});
  x.set_grad(Tensor());
  x.reshape({1000, 3}).backward(given);
  x.grad().fill_(7);
  EXPECT_DOUBLE_EQ(at(given, 0), 1);
  // A part of a larger gradient does not keep all of it alive.
  const Tensor w = ones({10}).requires_grad_();
  cat({w, ones({1000})}).backward(ones({1010}));
  EXPECT_EQ(w.grad().storage()->bytes(), 10 * sizeof(float));
}

TEST(Tape, RefusesASecondWalkOfAFreedGraph) {
  const Tensor x = tensor({2.0}).requires_grad_();
  const Tensor y = x * x;
  y.backward(Tensor(), /*retain_graph=*/true);
  y.backward();
  EXPECT_NE(message_of([&] { y.backward(); }).find("retain_graph"), std::string::npos);
}

TEST(Tape, NoticesOverwrittenTensors) {
  const Tensor x = tensor({1.0, 2.0}).requires_grad_();
  const Tensor y = x * 1.0;
  const Tensor z = y * y;
  y.add_(1.0);
  const std::string message = message_of([&] { z.sum().backward(); });
  EXPECT_NE(message.find("mul"), std::string::npos) << message;
  EXPECT_NE(message.find("version 1; expected version 0"), std::string::npos) << message;
  // A write to a view is seen too.
  const Tensor a = x * 1.0;
  const Tensor b = exp(a);
  b[0].zero_();
  EXPECT_THROW(b.sum().backward(), AutogradError);
}

TEST(Tape, RefusesToWriteLeavesThatRequireGrad) {
  const Tensor x = ones({2, 2}).requires_grad_();
  EXPECT_THROW(x.add_(1.0), AutogradError);
  EXPECT_THROW(x[0].add_(1.0), AutogradError);
  EXPECT_THROW(x.view({4}).zero_(), AutogradError);
  EXPECT_DOUBLE_EQ(x.sum().item<double>(), 4) << "a refused write must change nothing";
  const NoGradGuard no_grad;
  x.add_(1.0);
  EXPECT_DOUBLE_EQ(x.sum().item<double>(), 8);
}

TEST(Tape, RefusesToWriteExpandedTensors) {
  const Tensor x = ones({1, 3}).expand({2, 3});
  EXPECT_THROW(x.add_(1.0), ValueError);
}

TEST(Tape, WritesToViewsRewriteTheHistoryOfTheBase) {
  const Tensor w = tensor({1.0, 2.0, 3.0, 4.0}).requires_grad_();
  const Tensor base = w * 1.0;
  const Tensor row = base.view({2, 2})[1];
  const Tensor sibling = base.slice(0, 2, 3);
  row.mul_(10.0);
  EXPECT_EQ(base.grad_fn_name(), "copy_slices");
  EXPECT_EQ(sibling.grad_fn_name(), "as_strided");
  (base.sum() + sibling.sum() * 100.0).backward();
  EXPECT_DOUBLE_EQ(at(w.grad(), 0), 1);
  EXPECT_DOUBLE_EQ(at(w.grad(), 1), 1);
  EXPECT_DOUBLE_EQ(at(w.grad(), 2), 10 + 1000);
  EXPECT_DOUBLE_EQ(at(w.grad(), 3), 10);
}

TEST(Tape, AViewOfAPlainTensorJoinsWhenItIsWritten) {
  const Tensor w = tensor({2.0, 3.0}).requires_grad_();
  const Tensor buffer = zeros({2, 2});
  const Tensor row = buffer[1];
  EXPECT_FALSE(buffer.requires_grad());
  row.copy_(w * w);
  EXPECT_TRUE(buffer.requires_grad());
  EXPECT_TRUE(row.requires_grad());
  EXPECT_TRUE(buffer[1].requires_grad());
  buffer.sum().backward();
  EXPECT_DOUBLE_EQ(at(w.grad(), 0), 4);
  EXPECT_DOUBLE_EQ(at(w.grad(), 1), 6);
}

TEST(Tape, DetachedTensorsShareElementsButNoHistory) {
  const Tensor x = ones({2}).requires_grad_();
  const Tensor y = x * 2.0;
  const Tensor z = y.detach();
  EXPECT_FALSE(z.requires_grad());
  EXPECT_TRUE(z.is_leaf());
  z.fill_(5.0);
  EXPECT_DOUBLE_EQ(at(y, 0), 5);
}

TEST(Tape, ModesNestAndComeBack) {
  const Tensor x = ones({2}).requires_grad_();
  {
    const NoGradGuard no_grad;
    EXPECT_FALSE((x * 2.0).requires_grad());
    const EnableGradGuard enable;
    EXPECT_TRUE((x * 2.0).requires_grad());
  }
  EXPECT_TRUE((x * 2.0).requires_grad());
  Tensor made;
  {
    const InferenceMode inference;
    made = x * 2.0;
    EXPECT_TRUE(made.is_inference());
  }
  EXPECT_THROW(x * made, AutogradError);
  EXPECT_THROW(made.add_(1.0), AutogradError);
  EXPECT_NO_THROW(x * made.clone());
}

TEST(Tape, HigherDerivatives) {
  const Tensor x = tensor({2.0}, kFloat64).requires_grad_();
  Tensor y = pow(x, 4);
  for (double expected : {32.0, 48.0, 48.0, 24.0}) {
    y = autograd::grad({&y, 1}, {&x, 1}, {}, true, /*create_graph=*/true)[0];
    EXPECT_NEAR(y.item<double>(), expected, 1e-9);
  }
}

TEST(Tape, GradTellsUnusedInputs) {
  const Tensor x = ones({2}).requires_grad_();
  const Tensor unused = ones({3}).requires_grad_();
  const Tensor y = (x * x).sum();
  const Tensor inputs[] = {x, unused};
  EXPECT_NE(message_of([&] { autograd::grad({&y, 1}, inputs); }).find("input 1 of shape (3,)"),
            std::string::npos);
  const Tensors allowed = autograd::grad({&y, 1}, inputs, {}, true, false, /*allow_unused=*/true);
  EXPECT_TRUE(allowed[0].defined());
  EXPECT_FALSE(allowed[1].defined());
  const Tensors zeros_for = autograd::grad({&y, 1}, inputs, {}, true, false, false, true);
  EXPECT_DOUBLE_EQ(zeros_for[1].sum().item<double>(), 0);
  EXPECT_FALSE(x.grad().defined()) << "grad() must not touch leaves";
}

TEST(Tape, BackwardToChosenInputsOnly) {
  const Tensor x = ones({2}).requires_grad_();
  const Tensor w = ones({2}).requires_grad_();
  const Tensor y = (x * w).sum();
  autograd::backward({&y, 1}, {}, std::nullopt, false, {&w, 1});
  EXPECT_TRUE(w.grad().defined());
  EXPECT_FALSE(x.grad().defined());
}

TEST(Tape, ExplainsWhatIsMissing) {
  EXPECT_NE(message_of([] { ones({1}).backward(); }).find("does not require grad"),
            std::string::npos);
  const Tensor x = ones({3}).requires_grad_();
  EXPECT_NE(message_of([&] { (x * 2.0).backward(); }).find("one element; got shape (3,)"),
            std::string::npos);
  EXPECT_NE(message_of([&] { (x * 2.0).backward(ones({2})); }).find("expected (3,)"),
            std::string::npos);
  EXPECT_THROW(ones({2}, kInt64).requires_grad_(), AutogradError);
  EXPECT_THROW(x.set_grad(ones({2})), ShapeError);
  EXPECT_THROW(x.set_grad(ones({3}, kFloat64)), DTypeError);
}

TEST(Hooks, SeeAndReplaceGradients) {
  const Tensor x = tensor({1.0, 2.0}).requires_grad_();
  const Tensor y = x * 3.0;
  int calls = 0;
  HookHandle on_y = register_hook(y, [&](const Tensor& grad) {
    ++calls;
    return grad * 2.0;
  });
  register_hook(x, [](const Tensor& grad) { return grad + 1.0; });
  y.sum().backward(Tensor(), true);
  EXPECT_DOUBLE_EQ(at(x.grad(), 0), 7);
  on_y.remove();
  x.set_grad(Tensor());
  y.sum().backward();
  EXPECT_DOUBLE_EQ(at(x.grad(), 0), 4);
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(register_hook(ones({1}), [](const Tensor&) { return Tensor(); }), AutogradError);
}

TEST(Hooks, PostAccumulateSeesTheLeafOncePerBackward) {
  const Tensor x = ones({2}).requires_grad_();
  int calls = 0;
  register_post_accumulate_grad_hook(x, [&](const Tensor& leaf) {
    ++calls;
    EXPECT_TRUE(leaf.is_same(x));
    EXPECT_DOUBLE_EQ(at(leaf.grad(), 0), 5);
  });
  (x * 2.0 + x * 3.0).sum().backward();
  EXPECT_EQ(calls, 1);
}

TEST(Hooks, PostAccumulateOutlivesItsLeaf) {
  Tensor y;
  {
    const Tensor x = ones({2}).requires_grad_();
    register_post_accumulate_grad_hook(x, [](const Tensor&) { FAIL() << "the leaf is gone"; });
    y = x * 2.0;
  }
  y.sum().backward();
}

TEST(Hooks, RetainGradKeepsThatOfANonLeaf) {
  const Tensor x = ones({2}).requires_grad_();
  const Tensor y = x * 2.0;
  y.retain_grad();
  (y * y).sum().backward();
  EXPECT_DOUBLE_EQ(at(y.grad(), 0), 4);
}

TEST(Hooks, SavedTensorsCanBePackedAway) {
  const Tensor x = tensor({2.0, 3.0}).requires_grad_();
  int packed = 0;
  Tensor y;
  {
    const autograd::SavedTensorsHooks hooks([&](const Tensor& tensor) {
      ++packed;
      const Tensor kept = tensor.to(kFloat64);
      return Callback<Tensor()>([kept] { return kept.to(kFloat32); });
    });
    y = exp(x * x);
  }
  y.sum().backward();
  EXPECT_GT(packed, 0);
  EXPECT_NEAR(at(x.grad(), 0), 4 * std::exp(4.0), 1e-3);
}

TEST(Anomaly, NamesTheOpWhoseGradientIsNotFinite) {
  const autograd::AnomalyMode anomaly;
  const Tensor x = zeros({1}).requires_grad_();
  const Tensor y = sqrt(x);
  EXPECT_NE(message_of([&] { y.backward(); }).find("sqrt gave a gradient that is not finite"),
            std::string::npos);
}

struct Cube : autograd::Function<Cube> {
  static Tensors forward(autograd::FunctionContext& context, const Tensor& x, double scale) {
    context.save_for_backward({x});
    static_cast<void>(scale);
    return {x * x * x * scale};
  }
  static Tensors backward(autograd::FunctionContext& context, const Tensors& grads) {
    const Tensor x = context.saved_tensors()[0];
    return {grads[0] * x * x * 6.0, Tensor()};
  }
};

TEST(Function, HasTheDerivativeItSays) {
  const Tensor x = tensor({1.0, 2.0}, kFloat64).requires_grad_();
  const autograd::TensorFunction function = [](TensorList in) { return Cube::apply(in[0], 2.0); };
  EXPECT_TRUE(autograd::gradcheck(function, {x}));
  EXPECT_TRUE(autograd::gradgradcheck(function, {x}));
  const Tensor y = Cube::apply(x, 2.0)[0];
  y.sum().backward();
  EXPECT_THROW(y.sum().backward(), AutogradError);
}

// Makes the gradients of its inputs as parts of one tensor, side by side along dim 1.
struct Weighted : autograd::Function<Weighted> {
  static inline const void* memory = nullptr;
  static inline Tensors kept;
  static inline bool keeps = false;
  static inline bool swaps = false;
  static Tensors forward(autograd::FunctionContext& context, const Tensor& x, const Tensor& y) {
    context.save_for_backward({x, y});
    return {x.sum() + y.sum() * 3.0};
  }
  static Tensors backward(autograd::FunctionContext& context, const Tensors& grads) {
    const Tensors in = context.saved_tensors();
    const Tensor whole = empty({in[0].size(0), in[0].size(1) + in[1].size(1)}, kFloat64);
    memory = whole.data_ptr();
    Tensors parts = {whole.narrow(1, swaps ? in[1].size(1) : 0, in[0].size(1)),
                     whole.narrow(1, swaps ? 0 : in[0].size(1), in[1].size(1))};
    parts[0].copy_(grads[0].expand(parts[0].shape()));
    parts[1].copy_((grads[0] * 3.0).expand(parts[1].shape()));
    if (keeps) kept = parts;
    return parts;
  }
};

TEST(Split, TakesGradientsThatLieSideBySideAsTheyAre) {
  const auto grad_of = [](bool keeps, bool swaps) {
    Weighted::keeps = keeps;
    Weighted::swaps = swaps;
    const Tensor x = rand({40, 7}, kFloat64).requires_grad_();
    const Tensors parts = split_with_sizes(x, {3, 4}, 1);
    Weighted::apply(parts[0], parts[1])[0].backward();
    return x.grad();
  };
  const Tensor expected = cat({ones({40, 3}, kFloat64), full({40, 4}, 3.0, kFloat64)}, 1);
  const Tensor shared = grad_of(false, false);
  EXPECT_EQ(shared.data_ptr(), Weighted::memory);
  EXPECT_TRUE(equal(shared, expected));
  // Somebody else has the parts, or they lie the other way round: a tensor of its own.
  const Tensor copied = grad_of(true, false);
  EXPECT_NE(copied.data_ptr(), Weighted::memory);
  EXPECT_TRUE(equal(copied, expected));
  Weighted::kept[0].fill_(9.0);
  EXPECT_TRUE(equal(copied, expected));
  Weighted::kept.clear();
  const Tensor swapped = grad_of(false, true);
  EXPECT_NE(swapped.data_ptr(), Weighted::memory);
  EXPECT_TRUE(equal(swapped, expected));
}

TEST(Unbind, TakesGradientsThatLieSideBySideAsTheyAre) {
  Weighted::keeps = Weighted::swaps = false;
  const Tensor x = rand({40, 2, 5}, kFloat64).requires_grad_();
  const Tensors parts = x.unbind(1);
  Weighted::apply(parts[0], parts[1])[0].backward();
  EXPECT_EQ(x.grad().data_ptr(), Weighted::memory);
  const Tensor ones_of = ones({40, 1, 5}, kFloat64);
  EXPECT_TRUE(equal(x.grad(), cat({ones_of, ones_of * 3.0}, 1)));
}

TEST(Function, WrongNumberOfGradientsIsAnError) {
  const Tensor x = ones({2}).requires_grad_();
  const Tensors y = autograd::apply_function(
      "broken", {&x, 1}, [&](autograd::FunctionContext&) { return Tensors{x.detach() * 2.0}; },
      [](autograd::FunctionContext&, const Tensors&) { return Tensors{}; });
  EXPECT_NE(message_of([&] {
              y[0].sum().backward();
            }).find("broken: backward returned 0 gradients; expected 1"),
            std::string::npos);
}

TEST(Checkpoint, GivesTheSameGradientsAndDropsWhatItSaved) {
  const Tensor w = rand({8, 8}).requires_grad_();
  const Tensor x = rand({4, 8}).requires_grad_();
  const auto block = [&](TensorList in) {
    Tensor h = in[0];
    for (int i = 0; i < 3; ++i) h = tanh(nn::functional::dropout(matmul(h, w), 0.3));
    return Tensors{h};
  };
  manual_seed(3);
  block({&x, 1})[0].sum().backward();
  const Tensor expected_x = x.grad().clone();
  const Tensor expected_w = w.grad().clone();
  x.set_grad(Tensor());
  w.set_grad(Tensor());
  manual_seed(3);
  const Tensor y = autograd::checkpoint(block, {x})[0];
  rand({5});  // what was drawn since must not matter
  y.sum().backward();
  EXPECT_TRUE(allclose(x.grad(), expected_x));
  EXPECT_TRUE(allclose(w.grad(), expected_w));
}

TEST(Functional, JacobianHessianAndProducts) {
  const Tensor x = tensor({1.0, 2.0}, kFloat64);
  const autograd::TensorFunction squares = [](TensorList in) {
    return Tensors{stack({in[0][0] * in[0][0], in[0][0] * in[0][1], in[0][1] * 3.0})};
  };
  const Tensor jacobian = autograd::jacobian(squares, {x})[0][0];
  EXPECT_TRUE(allclose(jacobian, tensor({2.0, 0.0, 2.0, 1.0, 0.0, 3.0}, kFloat64).view({3, 2})));
  const Tensor v = tensor({1.0, -1.0}, kFloat64);
  EXPECT_TRUE(allclose(autograd::jvp(squares, {x}, {&v, 1}).second[0], matmul(jacobian, v)));
  const Tensor u = tensor({1.0, 2.0, -1.0}, kFloat64);
  EXPECT_TRUE(allclose(autograd::vjp(squares, {x}, {&u, 1}).second[0], matmul(u, jacobian)));
  const Tensor hessian = autograd::hessian(
      [](TensorList in) { return Tensors{(pow(in[0], 3) * in[0][1]).sum()}; }, {x})[0][0];
  EXPECT_TRUE(allclose(hessian, tensor({12.0, 3.0, 3.0, 48.0}, kFloat64).view({2, 2})));
}

TEST(Gradcheck, FindsAWrongDerivative) {
  const Tensor x = tensor({0.5, 1.5}, kFloat64).requires_grad_();
  const autograd::TensorFunction wrong = [](TensorList in) {
    return autograd::apply_function(
        "wrong", in, [&](autograd::FunctionContext&) { return Tensors{in[0] * in[0]}; },
        [in = in[0]](autograd::FunctionContext&, const Tensors& grads) {
          return Tensors{grads[0] * in};  // half of it
        });
  };
  EXPECT_THROW(autograd::gradcheck(wrong, {x}), AutogradError);
  autograd::GradcheckOptions quiet;
  quiet.raise_exception = false;
  EXPECT_FALSE(autograd::gradcheck(wrong, {x}, quiet));
  EXPECT_THROW(autograd::gradcheck(wrong, {ones({1})}), ValueError);
}

TEST(Tape, LeavesNothingBehind) {
  const int64_t before = live_storages();
  {
    const Tensor w = rand({8, 8}).requires_grad_();
    for (int i = 0; i < 20; ++i) {
      const Tensor y = matmul(w, w.relu());
      y[0].mul_(2.0);
      const Tensor loss = y.softmax(1).log().sum();
      loss.backward(Tensor(), false, i % 2 == 1);
      w.set_grad(Tensor());
    }
  }
  EXPECT_EQ(live_storages(), before);
}

TEST(Tape, ThreadsShareALeaf) {
  const Tensor w = ones({16}).requires_grad_();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&w] {
      for (int i = 0; i < 25; ++i) {
        (w * 1.0).sum().backward();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_DOUBLE_EQ(at(w.grad(), 3), 100);
}

TEST(Tape, OrderHoldsForNodesOfManyThreads) {
  // Threads take their places in the order by blocks: whoever goes on from another's node has to
  // come after it. It is what the search for the way to given inputs goes by.
  const Tensor x = ones({1}).requires_grad_();
  Tensor y = x;
  double expected = 1;
  for (int round = 0; round < 50; ++round) {
    const Tensor mine = y * 2.0;
    std::thread other([&] {
      const Tensor unrelated = x * 3.0;
      y = mine + unrelated;
      y[0].mul_(1.0);
    });
    other.join();
    expected = expected * 2 + 3;
    y = y * 0.5;
    expected *= 0.5;
  }
  EXPECT_DOUBLE_EQ(autograd::grad({y}, {x})[0].item<double>(), expected);
}

struct Interrupted {};

TEST(Tape, BackwardCanBeInterrupted) {
  static int nodes;
  nodes = 0;
  const Tensor x = ones({4}).requires_grad_();
  Tensor y = x;
  for (int i = 0; i < 100; ++i) y = y * 2.0;
  set_interrupt_check([] {
    if (++nodes == 50) throw Interrupted();
  });
  EXPECT_THROW(y.sum().backward(), Interrupted);
  set_interrupt_check(nullptr);
  EXPECT_EQ(nodes, 50);
  EXPECT_FALSE(x.grad().defined());
  (x * 3.0).sum().backward();
  EXPECT_DOUBLE_EQ(at(x.grad(), 0), 3);
}

// Pieces of which some get no gradient, or one of another dtype, as slices would.
TEST(Tape, PiecesPutTheirGradientsTogether) {
  manual_seed(7);
  const Tensor start = randn({5, 6, 2});
  const Tensors weights{randn({5, 2, 2}), randn({5, 1, 2}), randn({5, 3, 2})};
  for (int used = 1; used < 8; ++used) {
    const auto gradient = [&](bool as_slices) {
      const Tensor x = start.clone().requires_grad_();
      const Tensors parts = as_slices
                                ? Tensors{x.slice(1, 0, 2), x.slice(1, 2, 3), x.slice(1, 3, 6)}
                                : split(x, std::vector<int64_t>{2, 1, 3}, 1);
      Tensor sum = zeros({});
      for (size_t i = 0; i < parts.size(); ++i) {
        if ((used >> i & 1) != 0) sum = sum + (parts[i].square() * weights[i]).sum();
      }
      const Tensors grads = autograd::grad(TensorList(&sum, 1), TensorList(&x, 1), {}, std::nullopt,
                                           /*create_graph=*/true);
      grads[0].square().sum().backward();
      return Tensors{grads[0].detach(), x.grad()};
    };
    const Tensors found = gradient(false), expected = gradient(true);
    EXPECT_TRUE(equal(found[0], expected[0])) << used;
    EXPECT_TRUE(allclose(found[1], expected[1], 1e-5, 1e-6)) << used;
  }
  const Tensor x = start.clone().requires_grad_();
  unbind(x, 1)[4].sum().backward();
  EXPECT_EQ(x.grad().sum().item<double>(), 10.0);
  EXPECT_EQ(x.grad().select(1, 4).sum().item<double>(), 10.0);
}

}  // namespace
}  // namespace taut
