// Ops with a name: which version runs, which derivative, and what is refused.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include "taut/autograd/node.h"
#include "taut/taut.h"

namespace taut {
namespace {

// A new name in each call, since names are never free again.
std::string new_name() {
  static std::atomic<int> count{0};
  return "op_test::op" + std::to_string(count++);
}

Tensor doubles(std::initializer_list<double> values) {
  return tensor(values).to(kFloat64).requires_grad_();
}

Tensors cube(CustomCall&, const Tensors& in) { return {in[0] * in[0] * in[0]}; }
Tensors cube_saving(CustomCall& call, const Tensors& in) {
  call.save_for_backward({in[0]});
  return cube(call, in);
}
Tensors cube_backward(CustomCall& call, const Tensors& grads) {
  const Tensor x = call.saved_tensors()[0];
  return {grads[0] * x * x * 3};
}
// Off the tape, as a kernel is.
Tensors cube_backward_by_kernel(CustomCall& call, const Tensors& grads) {
  const NoGradGuard no_grad;
  return cube_backward(call, grads);
}

autograd::TensorFunction function_of(const CustomOp& op) {
  return [op](TensorList in) { return op(in); };
}

template <class Kind, class Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Kind& error) {
    return error.what();
  }
  return "nothing was thrown";
}

// ---- derivatives ------------------------------------------------------------------------------

TEST(CustomOp, IsDifferentiatedByItsBackward) {
  const CustomOp op({.name = new_name(),
                     .inputs = {"x"},
                     .cpu = {.forward = cube_saving},
                     .backward = cube_backward,
                     .differentiable_backward = true});
  const Tensor x = doubles({-1, 0.5, 2});
  const Tensor y = op({x})[0];
  EXPECT_STREQ(autograd::gradient_edge(y).node->name(), op.name().c_str());
  EXPECT_TRUE(autograd::gradcheck(function_of(op), {x}));
  EXPECT_TRUE(autograd::gradgradcheck(function_of(op), {x}));
}

TEST(CustomOp, HasSecondDerivativesByItsComposedVersion) {
  const CustomOp op({.name = new_name(),
                     .inputs = {"x"},
                     .cpu = {.forward = cube_saving, .backward = cube_backward_by_kernel},
                     .composed = cube});
  const Tensor x = doubles({-1, 0.5, 2});
  EXPECT_TRUE(autograd::gradcheck(function_of(op), {x}));
  EXPECT_TRUE(autograd::gradgradcheck(function_of(op), {x}));
}

TEST(CustomOp, NeedsNoBackwardBesideAComposedVersion) {
  const CustomOp op({.name = new_name(),
                     .inputs = {"a", "b?"},
                     .cpu = {.forward =
                                 [](CustomCall&, const Tensors& in) {
                                   return Tensors{in[0] * in[0] * in[1], in[0] + in[1]};
                                 }},
                     .composed = [](CustomCall&, const Tensors& in) {
                       return Tensors{in[0] * in[0] * in[1], in[0] + in[1]};
                     }});
  const Tensor a = doubles({1, 2});
  const Tensor b = doubles({3, -1});
  EXPECT_TRUE(autograd::gradcheck(function_of(op), {a, b}));
  EXPECT_TRUE(autograd::gradgradcheck(function_of(op), {a, b}));
  // One input twice, one that is made of the other, one that needs no gradient.
  const Tensor both = op({a, a})[0];
  EXPECT_TRUE(allclose(autograd::grad({both.sum()}, {a})[0], a.detach() * a.detach() * 3));
  const Tensor made = op({a, a * 2})[0];
  EXPECT_TRUE(allclose(autograd::grad({made.sum()}, {a})[0], a.detach() * a.detach() * 6));
  const Tensor one = op({a, b.detach()})[0];
  EXPECT_TRUE(allclose(autograd::grad({one.sum()}, {a})[0], a.detach() * b.detach() * 2));
}

TEST(CustomOp, RunsItsComposedVersionWhereItHasNoOther) {
  const CustomOp op({.name = new_name(), .inputs = {"x"}, .composed = cube});
  const Tensor x = doubles({-1, 2});
  EXPECT_TRUE(equal(op({x})[0].detach(), doubles({-1, 8}).detach()));
  EXPECT_TRUE(autograd::gradcheck(function_of(op), {x}));
}

TEST(CustomOp, SaysWhatItLacks) {
  const CustomOp nothing({.name = new_name(), .inputs = {"x"}});
  const Tensor x = doubles({1});
  EXPECT_NE(refusal<NotImplementedError>([&] { nothing({x}); }).find("no version for cpu"),
            std::string::npos);

  const CustomOp constant({.name = new_name(), .inputs = {"x"}, .cpu = {.forward = cube}});
  const Tensor y = constant({x})[0];
  EXPECT_NE(refusal<NotImplementedError>([&] {
              y.sum().backward();
            }).find(constant.name() + ": it has no derivative on cpu"),
            std::string::npos);

  const CustomOp once({.name = new_name(),
                       .inputs = {"x"},
                       .cpu = {.forward = cube_saving},
                       .backward = cube_backward_by_kernel});
  EXPECT_TRUE(autograd::gradcheck(function_of(once), {x}));
  const Tensor roots[] = {once({x})[0].sum()};
  const Tensor leaves[] = {x};
  EXPECT_NE(refusal<NotImplementedError>([&] {
              autograd::grad(roots, leaves, {}, true, /*create_graph=*/true);
            }).find("no second derivative"),
            std::string::npos);
}

TEST(CustomOp, KeepsTheRulesOfSavedTensors) {
  const CustomOp op(
      {.name = new_name(),
       .inputs = {"x", "offset"},
       .cpu = {.forward =
                   [](CustomCall& call, const Tensors& in) {
                     call.save_for_backward({in[0]});
                     return Tensors{in[0] * in[0] + in[1]};
                   }},
       .composed = [](CustomCall&, const Tensors& in) { return Tensors{in[0] * in[0] + in[1]}; },
       .backward =
           [](CustomCall& call, const Tensors& grads) {
             return Tensors{grads[0] * call.saved_tensors()[0] * 2, grads[0]};
           }});
  const Tensor leaf = doubles({1, 2});
  Tensor x = leaf * 1;
  Tensor offset = leaf * 1;
  const Tensor y = op({x, offset})[0].sum();
  offset.add_(1);  // backward does not read it
  const Tensor roots[] = {y};
  const Tensor leaves[] = {leaf};
  autograd::grad(roots, leaves, {}, /*retain_graph=*/true);
  EXPECT_THROW(autograd::grad(roots, leaves, {}, true, /*create_graph=*/true), AutogradError);
  x.add_(1);
  EXPECT_THROW(autograd::grad(roots, leaves), AutogradError);
}

TEST(CustomOp, RefusesToLoseASecondDerivative) {
  const CustomOp op({.name = new_name(),
                     .inputs = {"x"},
                     .cpu = {.forward =
                                 [](CustomCall& call, const Tensors& in) {
                                   const Tensor square = in[0] * in[0];
                                   call.save_for_backward({square});
                                   return Tensors{square * in[0]};
                                 }},
                     .backward = cube_backward,
                     .differentiable_backward = true});
  EXPECT_NE(refusal<AutogradError>([&] { op({doubles({1})}); }).find("neither input nor output"),
            std::string::npos);
}

TEST(CustomOp, HasSeveralOutputs) {
  const CustomOp op({.name = new_name(),
                     .inputs = {"x"},
                     .cpu = {.forward =
                                 [](CustomCall& call, const Tensors& in) {
                                   const Tensor rounded = floor(in[0]);
                                   call.mark_non_differentiable({rounded});
                                   return Tensors{in[0] * 2, rounded, in[0] > 0, in[0] * 3};
                                 }},
                     .backward = [](CustomCall& call, const Tensors& grads) {
                       EXPECT_EQ(grads.size(), 4u);
                       EXPECT_TRUE(call.needs_input_grad(0));
                       EXPECT_THROW(call.needs_input_grad(1), IndexError);
                       return Tensors{grads[0] * 2 + grads[3] * 3};
                     }});
  const Tensor x = doubles({0.5, -2});
  const Tensors y = op({x});
  EXPECT_TRUE(y[0].requires_grad());
  EXPECT_FALSE(y[1].requires_grad());
  EXPECT_FALSE(y[2].requires_grad());
  EXPECT_TRUE(allclose(autograd::grad({y[3].sum()}, {x})[0], full({2}, 3.0, kFloat64)));
}

TEST(CustomOp, IsPlainWithoutGradients) {
  const CustomOp op({.name = new_name(),
                     .inputs = {"x"},
                     .cpu = {.forward = cube_saving},
                     .backward = cube_backward});
  const Tensor x = doubles({2});
  EXPECT_FALSE(op({x.detach()})[0].requires_grad());
  const NoGradGuard no_grad;
  EXPECT_FALSE(op({x})[0].requires_grad());
}

// ---- calls ------------------------------------------------------------------------------------

TEST(CustomOp, TakesAttributes) {
  const CustomOp op(
      {.name = new_name(),
       .inputs = {"x", "bias?"},
       .attributes = {{"scale", 2.0}, {"times", 1}, {"is_shifted", false}},
       .composed = [](CustomCall& call, const Tensors& in) {
         EXPECT_EQ(call.attributes().size(), 3u);
         const double shift = call.flag("is_shifted") ? 1 : 0;
         Tensor y =
             in[0] * (call.number("scale") * static_cast<double>(call.integer("times"))) + shift;
         if (in[1].defined()) y = y + in[1];
         return Tensors{y};
       }});
  const Tensor x = ones({1});
  const auto value = [&](const CustomAttributes& given) {
    return op({x, Tensor()}, given)[0].item<double>();
  };
  EXPECT_EQ(value({}), 2);
  EXPECT_EQ(value({{"scale", 3}, {"times", 2}, {"is_shifted", true}}), 7);
  EXPECT_EQ(op({x, x})[0].item<double>(), 3);
  EXPECT_NE(refusal<ValueError>([&] {
              value({{"size", 3}});
            }).find("no attribute 'size'; it has: scale, times, is_shifted"),
            std::string::npos);
  EXPECT_NE(refusal<ValueError>([&] {
              value({{"times", 1.5}});
            }).find("times is 1.5; expected an integer"),
            std::string::npos);
  EXPECT_THROW(value({{"is_shifted", 1}}), ValueError);
  EXPECT_THROW(value({{"scale", true}}), ValueError);
}

TEST(CustomOp, ChecksItsInputs) {
  int checks = 0;
  const CustomOp op({.name = new_name(),
                     .inputs = {"x", "y"},
                     .check =
                         [&](CustomCall& call, const Tensors& in) {
                           ++checks;
                           EXPECT_THROW(call.saved_tensors(), AutogradError);
                           TAUT_CHECK(in[0].dim() == 2, ShapeError, "expected a matrix");
                         },
                     .composed = [](CustomCall&, const Tensors& in) { return in; }});
  EXPECT_THROW(op({ones({2}), ones({2})}), ShapeError);
  op({ones({2, 1}), ones({2})});
  EXPECT_EQ(checks, 2);
  EXPECT_NE(refusal<ValueError>([&] { op({ones({2, 1})}); }).find("it has 2 inputs; got 1"),
            std::string::npos);
  EXPECT_NE(refusal<ValueError>([&] { op({ones({2, 1}), Tensor()}); }).find("y is undefined"),
            std::string::npos);
}

TEST(CustomOp, ReturnsNewTensors) {
  const CustomOp writes(
      {.name = new_name(), .inputs = {"x"}, .cpu = {.forward = [](CustomCall&, const Tensors& in) {
                                              return Tensors{Tensor(in[0]).add_(1)};
                                            }}});
  EXPECT_NE(refusal<ValueError>([&] { writes({ones({2})}); }).find("forward wrote to x in place"),
            std::string::npos);
  const CustomOp none({.name = new_name(),
                       .inputs = {"x"},
                       .cpu = {.forward = [](CustomCall&, const Tensors&) { return Tensors{}; }}});
  EXPECT_THROW(none({ones({2})}), ValueError);
}

TEST(CustomOp, FollowsAutocast) {
  const auto same = [](CustomCall&, const Tensors& in) { return Tensors{in[0] * 1}; };
  const auto dtype_under = [&](AutocastPolicy policy, DType dtype) {
    const CustomOp op({.name = new_name(),
                       .inputs = {"x", "y?"},
                       .cpu = {.forward = same},
                       .composed = same,
                       .autocast = policy});
    const Tensor x = ones({1}, dtype);
    EXPECT_EQ(op({x, Tensor()})[0].dtype(), dtype);
    const AutocastMode autocast(DeviceType::cpu);
    return op({x, ones({1})})[0].dtype();
  };
  EXPECT_EQ(dtype_under(AutocastPolicy::as_they_are, kFloat32), kFloat32);
  EXPECT_EQ(dtype_under(AutocastPolicy::lower_dtype, kFloat32), kBFloat16);
  EXPECT_EQ(dtype_under(AutocastPolicy::lower_dtype, kFloat64), kFloat64);
  EXPECT_EQ(dtype_under(AutocastPolicy::float32, kBFloat16), kFloat32);
  EXPECT_EQ(dtype_under(AutocastPolicy::widest_dtype, kBFloat16), kFloat32);

  const CustomOp op({.name = new_name(),
                     .inputs = {"x"},
                     .cpu = {.forward = same},
                     .composed = same,
                     .autocast = AutocastPolicy::lower_dtype});
  const Tensor x = ones({2}).requires_grad_();
  Tensor loss;
  {
    const AutocastMode autocast(DeviceType::cpu);
    loss = op({x})[0].sum();
  }
  EXPECT_EQ(autograd::grad({loss}, {x})[0].dtype(), kFloat32);
}

// ---- registration -----------------------------------------------------------------------------

TEST(CustomOp, IsFoundByItsName) {
  const CustomOp op({.name = new_name(), .inputs = {"x"}, .composed = cube});
  EXPECT_EQ(&CustomOp::find(op.name()).definition(), &op.definition());
  const std::vector<std::string> names = CustomOp::names();
  EXPECT_NE(std::find(names.begin(), names.end(), op.name()), names.end());
  EXPECT_NE(refusal<ValueError>([] {
              CustomOp::find("op_test::absent");
            }).find("there is no 'op_test::absent'; registered: "),
            std::string::npos);
}

TEST(CustomOp, HasANameOfItsOwn) {
  const std::string name = new_name();
  const CustomOp op({.name = name, .inputs = {"x"}, .composed = cube}, "first.cpp:1");
  EXPECT_EQ(refusal<ValueError>([&] {
              const CustomOp other({.name = name, .inputs = {"x"}, .composed = cube},
                                   "second.cpp:2");
            }),
            name +
                ": an op of this name is registered already, at first.cpp:1; again at "
                "second.cpp:2");
  for (const char* bad :
       {"", "op", "::op", "op::", "a::b::c", "a b::c", "1a::b", "a::b-c", "a:b"}) {
    EXPECT_THROW(CustomOp({.name = bad, .inputs = {"x"}}), ValueError) << bad;
  }
  EXPECT_NE(refusal<ValueError>([] {
              CustomOp({.name = "taut::op", .inputs = {"x"}});
            }).find("the library's own"),
            std::string::npos);
  EXPECT_THROW(CustomOp({.name = new_name(), .inputs = {}}), ValueError);
  EXPECT_THROW(CustomOp({.name = new_name(), .inputs = {"x", "x?"}}), ValueError);
  EXPECT_THROW(CustomOp({.name = new_name(), .inputs = {"x"}, .attributes = {{"x", 1}}}),
               ValueError);
  EXPECT_THROW(CustomOp({.name = new_name(), .inputs = {"x"}, .cpu = {.backward = cube}}),
               ValueError);
}

TEST(CustomOp, MayBeImplementedLaterButOnce) {
  const CustomOp op({.name = new_name(), .inputs = {"x"}, .composed = cube});
  op.implement(DeviceType::cpu,
               {.forward = [](CustomCall&, const Tensors& in) { return Tensors{in[0] * 0}; }},
               "first.cpp:1");
  EXPECT_EQ(op({ones({1})})[0].item<double>(), 0);
  EXPECT_EQ(refusal<ValueError>(
                [&] { op.implement(DeviceType::cpu, {.forward = cube}, "second.cpp:2"); }),
            op.name() +
                ": it has a version for cpu already, from first.cpp:1; another at "
                "second.cpp:2");
  EXPECT_THROW(op.implement(DeviceType::cuda, {}), ValueError);
}

TEST(CustomOp, IsSafeFromManyThreads) {
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      const CustomOp op({.name = new_name(),
                         .inputs = {"x"},
                         .cpu = {.forward = cube_saving},
                         .backward = cube_backward});
      const Tensor x = doubles({2});
      for (int round = 0; round < 20; ++round) {
        const Tensor grad = autograd::grad({CustomOp::find(op.name())({x})[0]}, {x})[0];
        right += grad.item<double>() == 12;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

}  // namespace
}  // namespace taut
