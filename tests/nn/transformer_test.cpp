// Attention and transformers: PyTorch's numbers, and what only C++ shows of them.

#include "taut/nn/modules/transformer.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "taut/taut.h"

namespace taut::nn {
namespace {

constexpr int64_t kWidth = 8, kHeads = 2, kHidden = 12, kBatch = 3, kLength = 5;

TensorOptions doubles() { return TensorOptions(kFloat64); }

TransformerLayerOptions small(bool norm_first = false) {
  TransformerLayerOptions options;
  options.dim_feedforward = kHidden;
  options.dropout = 0.0;
  options.norm_first = norm_first;
  options.options = doubles();
  return options;
}

// What tests/golden/make_transformer.py wrote of a case.
class Golden {
 public:
  explicit Golden(std::string name) : name_(std::move(name) + "/") {
    Metadata metadata;
    tensors_ = load(TAUT_TEST_GOLDEN "/transformer.safetensors", metadata);
  }
  Tensor operator[](const std::string& key) const { return tensors_.at(name_ + key); }
  Tensor input(const std::string& key) const {
    return (*this)["input." + key].clone().requires_grad_();
  }
  void load_into(Module& module) const {
    StateDict state;
    for (const auto& [key, tensor] : tensors_) {
      const std::string prefix = name_ + "state.";
      if (key.starts_with(prefix)) state.insert(key.substr(prefix.size()), tensor);
    }
    module.load_state_dict(state);
  }
  // The output, and the gradients of sum(output * slope).
  void compare(const Module& module, const Tensor& output,
               const std::vector<std::pair<std::string, Tensor>>& inputs) const {
    EXPECT_TRUE(allclose(output, (*this)["output"], 1e-11, 1e-11));
    const Tensor slope = linspace(-1, 1, output.numel(), kFloat64).view(output.shape());
    (output * slope).sum().backward();
    for (const auto& [key, tensor] : inputs) {
      EXPECT_TRUE(allclose(tensor.grad(), (*this)["input_grad." + key], 1e-11, 1e-11)) << key;
    }
    for (const auto& [key, parameter] : module.named_parameters()) {
      EXPECT_TRUE(allclose(parameter.grad(), (*this)["grad." + key], 1e-11, 1e-11)) << key;
    }
  }

 private:
  std::string name_;
  StateDict tensors_;
};

TEST(Golden, Transformer) {
  for (const bool norm_first : {false, true}) {
    const Golden golden(norm_first ? "norm first" : "norm last");
    TransformerLayerOptions options = small(norm_first);
    if (norm_first) {
      options.activation = "gelu";
      options.batch_first = true;
      options.bias = false;
    }
    Transformer model(kWidth, kHeads, 1, 1, options);
    golden.load_into(model);
    const Tensor src = golden.input("src"), tgt = golden.input("tgt");
    TransformerMasks masks;
    masks.tgt_is_causal = true;
    masks.src_key_padding_mask = masks.memory_key_padding_mask = golden["padding"];
    golden.compare(model, model.forward(src, tgt, masks), {{"src", src}, {"tgt", tgt}});
  }
}

TEST(Golden, Attention) {
  MultiheadAttentionOptions options;
  options.add_bias_kv = options.add_zero_attn = true;
  options.options = doubles();
  MultiheadAttentionOptions other;
  other.kdim = 5;
  other.vdim = 3;
  other.batch_first = true;
  other.options = doubles();
  struct Case {
    const char* name;
    int64_t heads;
    MultiheadAttentionOptions options;
  };
  for (const Case& at :
       {Case{"attention", 2, options}, Case{"attention of other features", 4, other}}) {
    const Golden golden(at.name);
    MultiheadAttention attention(kWidth, at.heads, at.options);
    golden.load_into(attention);
    const Tensor q = golden.input("query"), k = golden.input("key"), v = golden.input("value");
    const auto [output, weights] = attention.forward(q, k, v, {}, true, golden["mask"]);
    EXPECT_TRUE(allclose(weights, golden["weights"], 1e-11, 1e-11)) << at.name;
    golden.compare(attention, output, {{"query", q}, {"key", k}, {"value", v}});
    const auto [same, none] = attention.forward(q, k, v, {}, false, golden["mask"]);
    EXPECT_TRUE(allclose(same, output, 1e-11, 1e-11));
    EXPECT_FALSE(none.defined());
  }
}

TEST(MultiheadAttention, IsCalledInSeveralWays) {
  manual_seed(51);
  MultiheadAttention attention(kWidth, kHeads, {.options = doubles()});
  const Tensor x = randn({kLength, kBatch, kWidth}, kFloat64);
  const Tensor memory = randn({kLength + 1, kBatch, kWidth}, kFloat64);
  const Tensor mask = triu(ones({kLength, kLength}, kBool), 1);
  EXPECT_TRUE(equal(attention(x), attention.forward(x, x, x, {}, false).first));
  EXPECT_TRUE(
      equal(attention(x, memory, memory), attention.forward(x, memory, memory, {}, false).first));
  const Tensor inputs[] = {x};
  const Tensors named = attention.call(
      inputs, {{"attn_mask", mask}, {"need_weights", true}, {"average_attn_weights", false}});
  ASSERT_EQ(named.size(), 2u);
  EXPECT_EQ(named[1].shape(), (Dims{kBatch, kHeads, kLength, kLength}));
  EXPECT_TRUE(allclose(named[0], attention.call(inputs, {{"is_causal", true}})[0]));
  EXPECT_THROW(attention.call(inputs, {{"mask", mask}}), ValueError);
  EXPECT_THROW(attention.call(inputs, {{"is_causal", mask}}), ValueError);
  EXPECT_THROW(attention.call(inputs, {{"attn_mask", true}}), ValueError);
  EXPECT_THROW(attention(x, memory), ValueError);
  EXPECT_THROW(MultiheadAttention(10, 3), ValueError);
}

TEST(TransformerLayer, KeepsItsFieldsAndItsModulesAlike) {
  manual_seed(52);
  TransformerEncoderLayer layer(kWidth, kHeads, small());
  EXPECT_EQ(layer.find_child("linear1"), layer.linear1);
  const auto wider = std::make_shared<Linear>(kWidth, kHidden, true, doubles());
  layer.add_module("linear1", wider);
  EXPECT_EQ(layer.linear1, wider);
  layer.add_module("norm1", std::make_shared<RMSNorm>(kWidth, std::nullopt, true, doubles()));
  EXPECT_EQ(layer.norm1, nullptr);  // the field is for a LayerNorm
  const Tensor x = randn({kLength, kBatch, kWidth}, kFloat64);
  const Tensor attended = (*layer.find_child("norm1"))(x + (*layer.self_attn)(x));
  const Tensor expected = (*layer.norm2)(attended + (*layer.linear2)(relu((*wider)(attended))));
  EXPECT_TRUE(allclose(layer(x), expected, 1e-12, 1e-12));
  // A module that was moved keeps its fields.
  TransformerEncoderLayer moved(std::move(layer));
  moved.add_module("linear2", std::make_shared<Linear>(kHidden, kWidth, true, doubles()));
  EXPECT_EQ(moved.linear2, moved.find_child("linear2"));
  EXPECT_FALSE(equal(moved(x), expected));
  moved.unregister("linear2");
  EXPECT_THROW(moved(x), ValueError);
}

TEST(TransformerLayer, RunsTheHooksOfItsParts) {
  manual_seed(53);
  for (const bool norm_first : {false, true}) {
    TransformerEncoderLayer layer(kWidth, kHeads, small(norm_first));
    const Tensor x = randn({kLength, kBatch, kWidth}, kFloat64);
    const Tensor expected = layer.forward(x, {}, {}, /*is_causal=*/true);
    std::string seen;
    for (const auto& [name, child] : layer.named_children()) {
      child->register_forward_hook([&, name](Module&, TensorList, TensorList) {
        seen += name + " ";
        return std::optional<Tensors>();
      });
    }
    EXPECT_TRUE(allclose(layer.forward(x, {}, {}, true), expected, 1e-12, 1e-12));
    EXPECT_EQ(seen, norm_first
                        ? "norm1 self_attn dropout1 norm2 linear1 dropout linear2 dropout2 "
                        : "self_attn dropout1 norm1 linear1 dropout linear2 dropout2 norm2 ");
  }
}

TEST(TransformerLayer, TakesActivationsOfEveryKind) {
  manual_seed(54);
  const Tensor x = randn({kLength, kBatch, kWidth}, kFloat64);
  TransformerEncoderLayer layer(kWidth, kHeads, small());
  const auto with = [&](const ActivationArg& activation) {
    layer.set_activation(activation);
    return layer(x);
  };
  const Tensor by_name = with("gelu_tanh"), by_module = with(std::make_shared<GELU>("tanh"));
  EXPECT_TRUE(allclose(by_name, by_module, 1e-12, 1e-12));
  EXPECT_NE(layer.find_child("activation"), nullptr);
  EXPECT_TRUE(allclose(with([](const Tensor& y) { return functional::silu(y); }),
                       with(std::make_shared<SiLU>()), 1e-12, 1e-12));
  EXPECT_TRUE(allclose(with("relu"), with(std::make_shared<ReLU>()), 1e-12, 1e-12));
  EXPECT_FALSE(allclose(with("relu"), by_name));
  EXPECT_EQ(layer.find_child("activation"), nullptr);
  EXPECT_THROW(ActivationArg("swoosh"), ValueError);
  EXPECT_THROW(ActivationArg(std::shared_ptr<Module>()), ValueError);
  EXPECT_THROW(ActivationArg(ActivationArg::Function()), ValueError);
}

TEST(TransformerEncoder, ClonesItsLayer) {
  manual_seed(55);
  TransformerEncoderLayer layer(kWidth, kHeads, small(/*norm_first=*/true));
  layer.linear1->bias.requires_grad_(false);
  layer.dropout->eval();
  const GeneratorState before = default_generator().state();
  TransformerEncoder encoder(layer, 2);
  EXPECT_EQ(default_generator().state().offset, before.offset);
  EXPECT_EQ(encoder.num_layers, 2);
  const auto& first = encoder.layers->get<TransformerEncoderLayer>(0);
  EXPECT_TRUE(equal(first.linear1->weight, layer.linear1->weight));
  EXPECT_FALSE(first.linear1->bias.requires_grad());
  EXPECT_FALSE(first.dropout->is_training());
  EXPECT_TRUE(first.is_training());
  // What was set later is cloned, too.
  TransformerEncoderLayer changed(kWidth, kHeads, small());
  changed.norm_first = true;
  changed.dropout1->p = changed.self_attn->dropout = 0.5;
  changed.norm2->eps = 0.1;
  changed.add_module("activation", std::make_shared<PReLU>(1, 0.25, doubles()));
  const auto later = changed.clone();
  EXPECT_TRUE(later->norm_first);
  EXPECT_EQ(later->dropout1->p + later->self_attn->dropout, 1.0);
  EXPECT_EQ(later->norm2->eps, 0.1);
  EXPECT_EQ(later->find_child("activation"), changed.find_child("activation"));
  init::zeros_(first.linear1->weight);
  EXPECT_GT(layer.linear1->weight.abs().sum().item<double>(), 0.0);
  // The sum at the end of a layer and the norm at the beginning of the next are one op; the numbers
  // are those of layers called one by one.
  const Tensor x = randn({kLength, kBatch, kWidth}, kFloat64);
  const auto& second = encoder.layers->at(1);
  EXPECT_TRUE(equal(encoder(x), (*second)((*encoder.layers->at(0))(x))));
  encoder.add_module("norm", std::make_shared<LayerNorm>(kWidth, 1e-5, true, true, doubles()));
  EXPECT_TRUE(
      allclose(encoder(x), (*encoder.norm)((*second)((*encoder.layers->at(0))(x))), 1e-12, 1e-12));
  layer.add_module("norm1", std::make_shared<Identity>());
  EXPECT_THROW(layer.clone(), ValueError);
  const TransformerEncoder at_once({kWidth, kHeads, {.batch_first = true, .norm_first = true}}, 2);
  EXPECT_TRUE(at_once.layers->get<TransformerEncoderLayer>(1).norm_first);
}

// A layer of another class: it takes no masks.
struct Doubled : Module {
  Tensor forward(const Tensor& input) override { return input * 2; }
};

TEST(TransformerEncoder, TakesOtherLayers) {
  const auto layers = std::make_shared<ModuleList>();
  layers->append(std::make_shared<Doubled>());
  layers->append(std::make_shared<TransformerEncoderLayer>(kWidth, kHeads, small(true)));
  layers->append(std::make_shared<Doubled>());
  TransformerEncoder encoder(layers);
  const Tensor x = randn({kLength, kBatch, kWidth}, kFloat64);
  EXPECT_TRUE(allclose(encoder(x), (*layers->at(1))(x * 2) * 2, 1e-12, 1e-12));
  EXPECT_THROW(encoder.forward(x, ones({kLength, kLength}, kFloat64)), ValueError);
  EXPECT_THROW(encoder.forward(x, {}, {}, /*is_causal=*/true), ValueError);
}

TEST(Transformer, IsCalledWithNames) {
  manual_seed(56);
  Transformer model(kWidth, kHeads, 1, 1, small());
  const Tensor src = randn({kLength + 1, kBatch, kWidth}, kFloat64);
  const Tensor tgt = randn({kLength, kBatch, kWidth}, kFloat64);
  const Tensor inputs[] = {src, tgt};
  TransformerMasks masks;
  masks.tgt_mask = Transformer::generate_square_subsequent_mask(kLength, doubles());
  const Tensor expected = model.forward(src, tgt, masks);
  EXPECT_TRUE(equal(model.call(inputs, {{"tgt_mask", masks.tgt_mask}})[0], expected));
  EXPECT_TRUE(allclose(model.call(inputs, {{"tgt_is_causal", true}})[0], expected, 1e-12, 1e-12));
  EXPECT_TRUE(equal(model(src, tgt), model.forward(src, tgt)));
  EXPECT_FALSE(equal(model(src, tgt), expected));
  EXPECT_THROW(model.call(inputs, {{"mask", masks.tgt_mask}}), ValueError);
  EXPECT_THROW(model(src, tgt.narrow(1, 0, 2)), ShapeError);
  EXPECT_THROW(Transformer(10, 3), ValueError);
}

}  // namespace
}  // namespace taut::nn
