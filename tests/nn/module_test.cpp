#include "taut/nn/module.h"

#include <gtest/gtest.h>

#include "taut/taut.h"

namespace taut::nn {
namespace {

struct Net : Module {
  std::shared_ptr<Linear> hidden = register_module<Linear>("hidden", 3, 4);
  std::shared_ptr<BatchNorm1d> norm = register_module("norm", BatchNorm1d(4));
  std::shared_ptr<Linear> out = register_module("out", std::make_shared<Linear>(4, 2, false));
  Tensor scale = register_parameter("scale", ones({1}));
  Tensor forward(const Tensor& input) override {
    return (*out)(functional::relu((*norm)((*hidden)(input)))) * scale;
  }
};

std::vector<std::string> names_of(const NamedTensors& named) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named) names.push_back(name);
  return names;
}

using Names = std::vector<std::string>;

TEST(Module, NamesItsPartsInOrder) {
  const Net net;
  EXPECT_EQ(names_of(net.named_parameters()), (Names{"scale", "hidden.weight", "hidden.bias",
                                                     "norm.weight", "norm.bias", "out.weight"}));
  EXPECT_EQ(names_of(net.named_buffers()),
            (Names{"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}));
  EXPECT_EQ(net.parameters(false).size(), 1u);
  EXPECT_EQ(net.children().size(), 3u);
  EXPECT_EQ(net.modules().size(), 4u);
  EXPECT_EQ(net.state_dict().keys(), (Names{"scale", "hidden.weight", "hidden.bias", "norm.weight",
                                            "norm.bias", "norm.running_mean", "norm.running_var",
                                            "norm.num_batches_tracked", "out.weight"}));
  EXPECT_TRUE(net.get_parameter("hidden.weight").is_same(net.hidden->weight));
  EXPECT_THROW(net.get_parameter("hidden.nothing"), ValueError);
  EXPECT_EQ(net.get_submodule("norm"), net.norm);
  EXPECT_TRUE(net.hidden->weight.requires_grad());
  EXPECT_FALSE(net.norm->running_mean.requires_grad());
}

TEST(Module, ASharedPartIsListedOnce) {
  Net net;
  net.register_module("again", net.hidden);
  EXPECT_EQ(net.parameters().size(), 6u);
  EXPECT_EQ(net.modules().size(), 4u);
  EXPECT_EQ(net.state_dict().size(), 11u);  // both names are saved
}

TEST(Module, ASharedPartIsListedUnderAllItsNamesWhenAsked) {
  Net net;
  net.register_module("again", net.norm);
  net.register_parameter("tied", net.out->weight);
  EXPECT_EQ(
      names_of(net.named_parameters("net", true, /*remove_duplicate=*/false)),
      (Names{"net.scale", "net.tied", "net.hidden.weight", "net.hidden.bias", "net.norm.weight",
             "net.norm.bias", "net.out.weight", "net.again.weight", "net.again.bias"}));
  EXPECT_EQ(net.named_buffers("", true, false).size(), 6u);
  EXPECT_EQ(net.named_parameters("", false, false).size(), 2u);
  const NamedModules modules = net.named_modules("", /*remove_duplicate=*/false);
  EXPECT_EQ(modules.size(), 5u);
  EXPECT_EQ(modules.back().first, "again");
}

TEST(Module, KnowsTheFieldsOfAMovedModule) {
  Linear first(2, 3);
  const Tensor weight = first.weight;
  const auto moved = std::make_shared<Linear>(std::move(first));
  EXPECT_TRUE(moved->get_parameter("weight").is_same(weight));
  moved->weight = ones({3, 2}).requires_grad_();
  EXPECT_TRUE(moved->get_parameter("weight").is_same(moved->weight));
  moved->register_parameter("weight", zeros({3, 2}));
  EXPECT_EQ(moved->weight.sum().item<double>(), 0.0);
}

TEST(Module, RefusesNamesAndCycles) {
  const auto outer = std::make_shared<Sequential>(Linear(1, 1));
  EXPECT_THROW(outer->register_parameter("a.b", ones({1})), ValueError);
  EXPECT_THROW(outer->register_parameter("", ones({1})), ValueError);
  EXPECT_THROW(outer->register_buffer("0", ones({1})), ValueError);
  const auto inner = std::make_shared<Sequential>();
  outer->push_back(inner);
  EXPECT_THROW(inner->push_back(std::shared_ptr<Module>(outer)), ValueError);
  EXPECT_THROW(outer->register_parameter("p", ones({1}).requires_grad_() * 2), ValueError);
  EXPECT_TRUE(outer->unregister("0"));
  EXPECT_FALSE(outer->unregister("0"));
}

TEST(Module, ForwardMustBeDefined) {
  struct Bare : Module {};
  Bare bare;
  try {
    bare(ones({1}));
    FAIL();
  } catch (const NotImplementedError& error) {
    EXPECT_STREQ(error.what(), "Bare: forward of one tensor is not defined");
  }
}

TEST(Module, TrainAndEvalReachAllInside) {
  Net net;
  EXPECT_TRUE(net.norm->is_training());
  net.eval();
  EXPECT_FALSE(net.norm->is_training());
  net.train();
  EXPECT_TRUE(net.norm->is_training());
}

TEST(Module, LoadsItsOwnState) {
  Net a, b;
  a.norm->running_mean.fill_(3);
  const LoadReport report = b.load_state_dict(a.state_dict());
  EXPECT_TRUE(report.missing_keys.empty() && report.unexpected_keys.empty());
  for (const auto& [key, tensor] : a.state_dict())
    EXPECT_TRUE(equal(tensor, b.state_dict().at(key)));
  EXPECT_FALSE(a.hidden->weight.storage() == b.hidden->weight.storage());
}

TEST(Module, AWrongStateChangesNothing) {
  Net net;
  const Tensor before = net.hidden->bias.clone();
  StateDict wrong;
  for (const auto& [key, tensor] : net.state_dict()) {
    if (key == "scale") continue;
    wrong.insert(key, key == "hidden.weight" ? ones({4, 5}) : ones_like(tensor));
  }
  wrong.insert("extra", ones({1}));
  try {
    net.load_state_dict(wrong);
    FAIL();
  } catch (const ValueError& error) {
    EXPECT_STREQ(
        error.what(),
        "load_state_dict: the state does not fit Net; missing keys: \"scale\"; unexpected keys: "
        "\"extra\"; shape of \"hidden.weight\": got (4, 5); expected (4, 3)");
  }
  EXPECT_TRUE(equal(net.hidden->bias, before));
  // Without strict names may differ, shapes may not.
  EXPECT_THROW(net.load_state_dict(wrong, false), ValueError);
  wrong.insert("hidden.weight", ones({4, 3}));
  const LoadReport report = net.load_state_dict(wrong, false);
  EXPECT_EQ(report.missing_keys, Names{"scale"});
  EXPECT_EQ(report.unexpected_keys, Names{"extra"});
  EXPECT_EQ(net.hidden->bias.sum().item<double>(), 4.0);
}

TEST(Module, MovesToAnotherDtypeAsTheSameTensors) {
  Net net;
  net.eval();
  const Tensor weight = net.hidden->weight;
  net(ones({2, 3})).sum().backward();
  int calls = 0;
  register_hook(weight, [&](const Tensor&) {
    ++calls;
    return Tensor();
  });
  net.to(kFloat64);
  EXPECT_TRUE(weight.is_same(net.hidden->weight));
  EXPECT_EQ(weight.dtype(), kFloat64);
  EXPECT_EQ(weight.grad().dtype(), kFloat64);
  EXPECT_EQ(net.norm->num_batches_tracked.dtype(), kInt64);
  EXPECT_TRUE(weight.requires_grad());
  net(ones({2, 3}, kFloat64)).sum().backward();
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(net.to(kInt64), DTypeError);
}

TEST(Module, ClearsGradients) {
  Net net;
  net(rand({4, 3})).sum().backward();
  EXPECT_TRUE(net.scale.grad().defined());
  net.zero_grad(false);
  EXPECT_EQ(net.scale.grad().item<double>(), 0.0);
  net.zero_grad();
  EXPECT_FALSE(net.scale.grad().defined());
  net.requires_grad_(false);
  EXPECT_FALSE(net.scale.requires_grad());
}

TEST(Module, HooksSeeAndReplace) {
  Linear layer(2, 2);
  std::vector<std::string> seen;
  HookHandle before = layer.register_forward_pre_hook([&](Module& module, TensorList inputs) {
    seen.push_back("before " + module.name());
    return std::optional<Tensors>({inputs[0] * 0});
  });
  HookHandle after = layer.register_forward_hook([&](Module&, TensorList, TensorList) {
    seen.push_back("after");
    return std::optional<Tensors>();
  });
  EXPECT_TRUE(equal(layer(ones({1, 2}))[0], layer.bias));
  EXPECT_EQ(seen, (Names{"before Linear", "after"}));
  before.remove();
  after.remove();
  after.remove();
  layer(ones({1, 2}));
  EXPECT_EQ(seen.size(), 2u);
}

TEST(Module, AWrapperStandsAroundForward) {
  Linear layer(1, 1);
  init::ones_(layer.weight);
  init::zeros_(layer.bias);
  int failures = 0;
  layer.wrap_forward([&](Module&, TensorList inputs, const Proceed& proceed) {
    try {
      return Tensors{proceed(Tensors{inputs[0] * 2})[0] + 1};
    } catch (const ShapeError&) {
      ++failures;
      throw;
    }
  });
  EXPECT_EQ(layer(ones({1, 1})).item<float>(), 3);
  EXPECT_THROW(layer(ones({1, 2})), ShapeError);
  EXPECT_EQ(failures, 1);
  layer.wrap_forward(nullptr);
  EXPECT_EQ(layer(ones({1, 1})).item<float>(), 1);
}

TEST(Module, AHandleMayOutliveItsModule) {
  HookHandle handle;
  {
    Linear layer(1, 1);
    handle = layer.register_forward_hook(
        [](Module&, TensorList, TensorList) { return std::optional<Tensors>(); });
  }
  handle.remove();
}

TEST(Module, AppliesInnerFirst) {
  Net net;
  Names order;
  net.apply([&](Module& module) { order.push_back(module.name()); });
  EXPECT_EQ(order, (Names{"Linear", "BatchNorm1d", "Linear", "Net"}));
}

TEST(Module, LeavesNothingBehind) {
  const int64_t before = live_storages();
  {
    auto net = std::make_shared<Net>();
    (*net)(rand({4, 3})).sum().backward();
  }
  EXPECT_EQ(live_storages(), before);
}

TEST(Module, PrintsAsPyTorchDoes) {
  struct Case {
    std::shared_ptr<Module> module;
    const char* text;
  };
  const auto same = [](auto module) {
    return std::static_pointer_cast<Module>(std::make_shared<decltype(module)>(std::move(module)));
  };
  const Case cases[] = {
      {same(Linear(3, 4)), "Linear(in_features=3, out_features=4, bias=True)"},
      {same(Conv1d(1, 2, 3)), "Conv1d(1, 2, kernel_size=(3,), stride=(1,))"},
      {same(Conv2d(1, 2, 3, {.stride = 2, .padding = 1, .bias = false})),
       "Conv2d(1, 2, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), bias=False)"},
      {same(Conv2d(4, 4, {3, 5}, {.padding = "same", .dilation = 2, .groups = 2})),
       "Conv2d(4, 4, kernel_size=(3, 5), stride=(1, 1), padding=same, dilation=(2, 2), groups=2)"},
      {same(ConvTranspose2d(
           4, 2, 3, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2, .bias = false})),
       "ConvTranspose2d(4, 2, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), "
       "output_padding=(1, 1), groups=2, "
       "bias=False)"},
      {same(BatchNorm2d(3, 1e-5, std::nullopt, false, false)),
       "BatchNorm2d(3, eps=1e-05, momentum=None, affine=False, bias=False, "
       "track_running_stats=False)"},
      {same(LayerNorm({3, 4})), "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias=True)"},
      {same(RMSNorm(4)), "RMSNorm((4,), eps=None, elementwise_affine=True)"},
      {same(GroupNorm(2, 4)), "GroupNorm(2, 4, eps=1e-05, affine=True, bias=True)"},
      {same(Dropout(0.2)), "Dropout(p=0.2, inplace=False)"},
      {same(Embedding(10, 3, -10)), "Embedding(10, 3, padding_idx=0)"},
      {same(MaxPool2d({3, 2}, {.stride = 2, .padding = 1, .ceil_mode = true})),
       "MaxPool2d(kernel_size=(3, 2), stride=2, padding=1, dilation=1, ceil_mode=True)"},
      {same(AvgPool1d(2)), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"},
      {same(AdaptiveAvgPool2d({-1, 2})), "AdaptiveAvgPool2d(output_size=(None, 2))"},
      {same(ReLU(true)), "ReLU(inplace=True)"},
      {same(GELU("tanh")), "GELU(approximate='tanh')"},
      {same(CrossEntropyLoss()), "CrossEntropyLoss()"},
      {same(Sequential(Linear(2, 3), Sequential(ReLU()))),
       "Sequential(\n  (0): Linear(in_features=2, out_features=3, bias=True)\n  (1): Sequential(\n "
       "   (0): ReLU()\n  )\n)"},
      {same(ModuleList({same(ReLU()), same(ReLU()), same(Tanh())})),
       "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)"},
      {same(ParameterList({zeros({2, 3})})),
       "ParameterList(  (0): Parameter containing: [taut.float32 of size 2x3])"},
  };
  for (const Case& c : cases) EXPECT_EQ(c.module->str(), c.text);
}

TEST(Sequential, HoldsAndChains) {
  Sequential model(Linear(2, 3), ReLU(), std::make_shared<Linear>(3, 1));
  EXPECT_EQ(model.size(), 3u);
  EXPECT_EQ(model[-1]->name(), "Linear");
  EXPECT_THROW(model.at(3), IndexError);
  EXPECT_EQ(model(ones({5, 2})).shape(), (Dims{5, 1}));
  EXPECT_EQ(names_of(model.named_parameters()),
            (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
}

TEST(ModuleList, InsertsAndFinds) {
  ModuleList list({std::make_shared<ReLU>(), std::make_shared<Tanh>()});
  list.insert(0, std::make_shared<Linear>(1, 2));
  list.push_back(Sigmoid());
  EXPECT_EQ(list[0]->name() + list[1]->name() + list[2]->name() + list[3]->name(),
            "LinearReLUTanhSigmoid");
  EXPECT_EQ(list.get<Linear>(0).out_features, 2);
  EXPECT_THROW(list.get<Linear>(1), ValueError);
}

}  // namespace
}  // namespace taut::nn
