// Transformers on CUDA: against the CPU in float64, and in captured training steps.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/attention/flash_attention.h"
#include "taut/autograd/graphed_step.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

constexpr int64_t kWidth = 64, kHeads = 4, kHidden = 160, kBatch = 3, kSource = 20, kTarget = 13;

nn::TransformerLayerOptions layer_options(bool norm_first, double dropout, bool recompute = false) {
  nn::TransformerLayerOptions options;
  options.dim_feedforward = kHidden;
  options.dropout = dropout;
  options.activation = "gelu_tanh";
  options.batch_first = true;
  options.norm_first = norm_first;
  options.recompute = recompute;
  return options;
}

std::shared_ptr<nn::Transformer> make_model(const nn::TransformerLayerOptions& options) {
  manual_seed(61);
  return std::make_shared<nn::Transformer>(kWidth, kHeads, 2, 2, options);
}

nn::TransformerMasks masks_on(Device device) {
  nn::TransformerMasks masks;
  masks.tgt_is_causal = true;
  const Tensor lengths = tensor({kSource, kSource - 7, int64_t{1}}).unsqueeze(1);
  masks.src_key_padding_mask = ge(arange(kSource, TensorOptions(kInt64)), lengths).to(device);
  masks.memory_key_padding_mask = masks.src_key_padding_mask;
  return masks;
}

// The norm of the difference, as a part of the reference's.
double error_of(const Tensor& gpu, const Tensor& reference) {
  const Tensor difference = gpu.detach().cpu().to(kFloat64) - reference.detach();
  const double scale = linalg::vector_norm(reference.detach()).item<double>();
  return linalg::vector_norm(difference).item<double>() / std::max(scale, 1e-30);
}

struct Outcome {
  Tensor output, src_grad, tgt_grad;
  std::vector<std::pair<std::string, Tensor>> grads;
};

// With weights and inputs that the dtype holds.
Outcome outcome_of(const nn::TransformerLayerOptions& options, DType rounded, DType dtype,
                   Device device) {
  const auto model = make_model(options);
  model->to(rounded);
  model->to(dtype);
  model->to(device);
  manual_seed(62);
  const auto sequence = [&](int64_t length) {
    const Dims shape =
        options.batch_first ? Dims{kBatch, length, kWidth} : Dims{length, kBatch, kWidth};
    return randn(shape).to(rounded).to(dtype).to(device).requires_grad_();
  };
  const Tensor src = sequence(kSource), tgt = sequence(kTarget);
  Outcome result;
  result.output = model->forward(src, tgt, masks_on(device));
  const Tensor slope = linspace(-1, 1, result.output.numel(), kFloat64)
                           .view(result.output.shape())
                           .to(rounded)
                           .to(dtype)
                           .to(device);
  (result.output * slope).sum().backward();
  result.src_grad = src.grad();
  result.tgt_grad = tgt.grad();
  for (const auto& [name, parameter] : model->named_parameters()) {
    result.grads.emplace_back(name, parameter.grad());
  }
  return result;
}

class CudaTransformer : public GpuTest {};

// The same bits in every run: cuDNN would take attention over once a shape has turned up often.
class SameBits {
 public:
  SameBits() {
    kernels::cuda::limit_attention_kernels(kernels::cuda::AttentionKernelSet::own);
    use_deterministic_algorithms(true);
  }
  ~SameBits() {
    kernels::cuda::limit_attention_kernels(kernels::cuda::AttentionKernelSet::all);
    use_deterministic_algorithms(false);
  }
};

TEST_F(CudaTransformer, GivesTheNumbersOfTheCpu) {
  struct Precision {
    DType dtype;
    double tolerance;
  };
  for (const bool norm_first : {false, true}) {
    for (const auto& [dtype, tolerance] :
         {Precision{kFloat64, 1e-12}, {kFloat32, 1e-4}, {kFloat16, 2e-2}, {kBFloat16, 1.2e-1}}) {
      nn::TransformerLayerOptions options = layer_options(norm_first, 0.0);
      options.batch_first = norm_first;  // each order of the dims once
      const Outcome gpu = outcome_of(options, dtype, dtype, kCUDA);
      const Outcome cpu = outcome_of(options, dtype, kFloat64, kCPU);
      const std::string what = concat(dtype, norm_first ? " norm first " : " norm last ");
      EXPECT_LT(error_of(gpu.output, cpu.output), tolerance) << what;
      EXPECT_LT(error_of(gpu.src_grad, cpu.src_grad), tolerance) << what << "src";
      EXPECT_LT(error_of(gpu.tgt_grad, cpu.tgt_grad), tolerance) << what << "tgt";
      for (size_t i = 0; i < gpu.grads.size(); ++i) {
        EXPECT_LT(error_of(gpu.grads[i].second, cpu.grads[i].second), tolerance)
            << what << gpu.grads[i].first;
      }
    }
  }
}

TEST_F(CudaTransformer, RecomputesToTheSameBits) {
  const SameBits same_bits;
  for (const bool norm_first : {false, true}) {
    const Outcome plain = outcome_of(layer_options(norm_first, 0.0), kFloat32, kFloat32, kCUDA);
    const Outcome again =
        outcome_of(layer_options(norm_first, 0.0, true), kFloat32, kFloat32, kCUDA);
    expect_same_bits(plain.output, again.output, "output");
    for (size_t i = 0; i < plain.grads.size(); ++i) {
      // A fused GELU is made again from rounded numbers, for the second weight alone.
      const bool is_remade = plain.grads[i].first.ends_with("linear2.weight");
      if (is_remade) {
        expect_close(again.grads[i].second, plain.grads[i].second.cpu(), 1e-4,
                     plain.grads[i].first);
      } else {
        expect_same_bits(plain.grads[i].second, again.grads[i].second, plain.grads[i].first);
      }
    }
  }
}

// A model and its optimizer, one step of which is a function of src and tgt.
struct Trainer {
  std::shared_ptr<nn::Transformer> model;
  std::unique_ptr<optim::AdamW> optimizer;
  nn::TransformerMasks masks = masks_on(kCUDA);
  std::optional<DType> autocast;

  Trainer(const nn::TransformerLayerOptions& options, std::optional<DType> autocast_in)
      : model(make_model(options)), autocast(autocast_in) {
    model->to(kCUDA);
    optimizer =
        std::make_unique<optim::AdamW>(model->parameters(), optim::AdamWOptions{.lr = 1e-3});
  }
  Tensor step(TensorList in) const {
    optimizer->zero_grad();
    Tensor loss;
    {
      const AutocastMode mode(DeviceType::cuda, autocast.value_or(kBFloat16), autocast.has_value());
      loss = nn::functional::mse_loss(model->forward(in[0], in[1], masks).to(kFloat32), in[2]);
    }
    loss.backward();
    optimizer->step();
    return loss.detach();
  }
};

TEST_F(CudaTransformer, TrainsInAGraphAsWithout) {
  const SameBits same_bits;
  struct Case {
    bool norm_first, recompute;
    double dropout;
    std::optional<DType> autocast;
  };
  const auto batch = [] {
    const TensorOptions gpu = TensorOptions(kFloat32).device(kCUDA);
    return Tensors{randn({kBatch, kSource, kWidth}, gpu), randn({kBatch, kTarget, kWidth}, gpu),
                   randn({kBatch, kTarget, kWidth}, gpu)};
  };
  for (const Case& at : {Case{false, false, 0.1, {}}, Case{true, false, 0.0, {}},
                         Case{true, true, 0.0, kBFloat16}, Case{false, false, 0.1, kBFloat16}}) {
    const auto options = layer_options(at.norm_first, at.dropout, at.recompute);
    const Trainer plain(options, at.autocast), graphed(options, at.autocast);
    manual_seed(63);
    const Tensors first = batch(), second = batch();
    std::vector<float> expected, losses;
    manual_seed(64);
    for (int i = 0; i < 6; ++i) {
      expected.push_back(plain.step(i % 2 == 0 ? first : second).item<float>());
    }
    auto step = cuda::make_graphed([&](TensorList in) { return graphed.step(in); }, {});
    manual_seed(64);
    for (int i = 0; i < 6; ++i) {
      losses.push_back(step(i % 2 == 0 ? first : second)[0].item<float>());
    }
    EXPECT_EQ(losses, expected) << at.norm_first << at.dropout << at.autocast.has_value();
    EXPECT_EQ(step.graphs(), 1);
    EXPECT_EQ(step.fallback_reason(), "");
    const Tensors ours = graphed.model->parameters(), theirs = plain.model->parameters();
    for (size_t i = 0; i < ours.size(); ++i) {
      expect_same_bits(ours[i].detach(), theirs[i].detach(), concat("parameter ", i));
    }
  }
}

TEST_F(CudaTransformer, AttentionGivesWeightsOnRequest) {
  nn::MultiheadAttention attention(kWidth, kHeads, {.batch_first = true});
  const Tensor x = randn({kBatch, kTarget, kWidth});
  const auto [output, weights] = attention.forward(x, x, x, {}, true, {}, true, /*is_causal=*/true);
  attention.to(kCUDA);
  const Tensor gpu = x.to(kCUDA);
  const auto [gpu_output, gpu_weights] =
      attention.forward(gpu, gpu, gpu, {}, true, {}, true, /*is_causal=*/true);
  expect_close(gpu_output.detach(), output.detach(), 1e-5, "output");
  expect_close(gpu_weights.detach(), weights.detach(), 1e-5, "weights");
  const Tensor fused = attention.forward(gpu, gpu, gpu, {}, false, {}, true, true).first;
  expect_close(fused.detach(), output.detach(), 1e-5, "without weights");
}

}  // namespace
}  // namespace taut::testing
