// Attention on CUDA, by cuDNN and by each set of our own kernels, against the composed op on the
// CPU in float64: forward and gradients, over dtypes, widths, lengths, masks, dropout and layouts.

#include <cmath>
#include <cstdlib>
#include <limits>
#include <vector>

#include "kernels/attention/flash_attention.h"
#include "taut/core/allocator.h"
#include "tests/gpu/agreement.h"

namespace taut::testing {
namespace {

namespace F = nn::functional;
using kernels::cuda::AttentionKernelSet;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr DType kAttentionDTypes[] = {kFloat32, kFloat16, kBFloat16};
// Our own alone with TAUT_TEST_OWN_KERNELS=1, for tools that misjudge the libraries' kernels.
std::vector<AttentionKernelSet> sets_to_test() {
  if (std::getenv("TAUT_TEST_OWN_KERNELS") != nullptr)
    return {AttentionKernelSet::own, AttentionKernelSet::plain};
  return {AttentionKernelSet::all, AttentionKernelSet::cudnn, AttentionKernelSet::own,
          AttentionKernelSet::plain};
}

const char* name_of(AttentionKernelSet set) {
  switch (set) {
    case AttentionKernelSet::cudnn: return "cuDNN";
    case AttentionKernelSet::own: return "own kernels";
    case AttentionKernelSet::plain: return "plain kernels";
    default: return "all kernels";
  }
}

// Only these kernels run while it lives.
class OnlyKernels {
 public:
  explicit OnlyKernels(AttentionKernelSet set) { kernels::cuda::limit_attention_kernels(set); }
  ~OnlyKernels() { kernels::cuda::limit_attention_kernels(AttentionKernelSet::all); }
};

enum class Placing {
  contiguous,
  length_first,  // (batch, length, heads, width) seen as (batch, heads, length, width)
  batch_inside,  // (length, batch, heads, width) seen so
  misaligned,    // rows of an odd length from an odd element on
};

struct AttentionCase {
  int64_t queries = 64, keys = 64;
  int64_t width = 64, value_width = 64;
  int64_t heads = 2, kv_heads = 2;
  bool is_causal = false;
  double dropout_p = 0;
  Placing placing = Placing::contiguous;
  Tensor mask = {};
  std::optional<double> scale = {};
};

std::string text(const AttentionCase& row) {
  const std::string mask =
      row.mask.defined() ? concat(" mask ", row.mask.dtype(), " ", row.mask.shape()) : "";
  return concat(row.queries, " x ", row.keys, " of ", row.width, " and ", row.value_width, ", ",
                row.heads, " / ", row.kv_heads, " heads", row.is_causal ? " causal" : "", mask,
                " dropout ", row.dropout_p, " placing ", static_cast<int>(row.placing));
}

Tensor placed(const Tensor& tensor, Placing placing) {
  if (placing == Placing::length_first) {
    return tensor.transpose(1, 2).contiguous().transpose(1, 2);
  }
  if (placing == Placing::batch_inside) {
    return tensor.permute({2, 0, 1, 3}).contiguous().permute({1, 2, 0, 3});
  }
  if (placing == Placing::misaligned) {
    const int64_t width = tensor.size(3);
    const TensorOptions options = TensorOptions(tensor.dtype()).device(tensor.device());
    const Tensor wide = zeros({tensor.size(0), tensor.size(1), tensor.size(2), width + 3}, options);
    const Tensor part = wide.slice(3, 1, 1 + width);
    part.copy_(tensor);
    return part;
  }
  return tensor;
}

// What all dtypes have, so that one reference serves them.
Tensor draw(const Dims& shape) { return randn(shape).to(kBFloat16).to(kFloat32); }

// Rounding of inputs to products, weights and results, by the norm of what is compared.
double room(DType dtype) {
  switch (dtype) {
    case DType::float32: return 1e-5;
    case DType::float16: return 2e-3;
    default: return 1.2e-2;
  }
}

void expect_close_by_norm(const Tensor& gpu, const Tensor& reference, double tolerance,
                          const std::string& what) {
  ASSERT_TRUE(gpu.is_cuda()) << what;
  ASSERT_EQ(gpu.shape(), reference.shape()) << what;
  const auto norm_of = [](const Tensor& x) { return sqrt(sum(mul(x, x))).item<double>(); };
  const double norm = norm_of(reference);
  const double error = norm_of(sub(gpu.cpu().to(kFloat64), reference));
  EXPECT_LE(error, tolerance * (norm > 0 ? norm : 1)) << what << ", of norm " << norm;
}

// Inputs, the gradient of the output, and what the composed op makes of them in float64.
struct Reference {
  Tensor inputs[3];
  Tensor grad;
  Tensor output;
  Tensor grads[3];
};

class CudaAttention : public GpuTest {
 protected:
  static constexpr int64_t kBatch = 2;

  static Tensor apply(const AttentionCase& row, const Tensor (&x)[3], const Tensor& mask) {
    manual_seed(kSeed);
    return F::scaled_dot_product_attention(x[0], x[1], x[2], mask, row.dropout_p, row.is_causal,
                                           row.scale, row.heads != row.kv_heads);
  }
  static Reference make_reference(const AttentionCase& row) {
    Reference reference;
    reference.inputs[0] = draw({kBatch, row.heads, row.queries, row.width});
    reference.inputs[1] = draw({kBatch, row.kv_heads, row.keys, row.width});
    reference.inputs[2] = draw({kBatch, row.kv_heads, row.keys, row.value_width});
    reference.grad = draw({kBatch, row.heads, row.queries, row.value_width});
    Tensor x[3];
    for (int i = 0; i < 3; ++i) x[i] = reference.inputs[i].to(kFloat64).requires_grad_();
    const bool is_added = row.mask.defined() && row.mask.dtype() != kBool;
    const Tensor output = apply(row, x, is_added ? row.mask.to(kFloat64) : row.mask);
    output.backward(reference.grad.to(kFloat64));
    reference.output = output.detach();
    for (int i = 0; i < 3; ++i) reference.grads[i] = x[i].grad();
    return reference;
  }
  static void compare(const AttentionCase& row, const Reference& reference, DType dtype,
                      AttentionKernelSet set) {
    const OnlyKernels only(set);
    const std::string what = concat(name_of(set), " ", dtype, " ", text(row), ", seed ", kSeed);
    Tensor x[3];
    for (int i = 0; i < 3; ++i) {
      x[i] = placed(reference.inputs[i].to(dtype).cuda(), row.placing).requires_grad_();
    }
    Tensor mask = row.mask;
    if (mask.defined()) mask = (mask.dtype() == kBool ? mask : mask.to(dtype)).cuda();
    const Tensor output = apply(row, x, mask);
    expect_close_by_norm(output, reference.output, room(dtype), what);
    output.backward(placed(reference.grad.to(dtype).cuda(), row.placing));
    const char* const names[] = {" by query", " by key", " by value"};
    for (int i = 0; i < 3; ++i) {
      expect_close_by_norm(x[i].grad(), reference.grads[i], 2 * room(dtype), what + names[i]);
    }
  }
  static void compare(const AttentionCase& row) {
    const Reference reference = make_reference(row);
    const std::vector<AttentionKernelSet> sets = sets_to_test();
    for (DType dtype : kAttentionDTypes) {
      if (dtype == kFloat16 && is_under_tool()) continue;
      for (AttentionKernelSet set : sets) {
        // float32 has only the plain kernels.
        if (dtype == kFloat32 && set != sets[0]) continue;
        compare(row, reference, dtype, set);
      }
    }
  }
};

TEST_F(CudaAttention, TakesAnyWidth) {
  const std::vector<int64_t> widths =
      first_under_tool<int64_t>(4, {8, 40, 128, 256, 1, 32, 64, 80, 96, 160, 192});
  for (int64_t width : widths) {
    compare({.queries = 70, .keys = 90, .width = width, .value_width = width});
  }
  compare({.queries = 70, .keys = 90, .width = 64, .value_width = 200});
  compare({.queries = 70, .keys = 90, .width = 129, .value_width = 8});
  compare({.queries = 70, .keys = 90, .width = 16, .value_width = 1, .is_causal = true});
}

TEST_F(CudaAttention, TakesAnyLengths) {
  const std::vector<int64_t> lengths = first_under_tool<int64_t>(2, {17, 130, 1, 64, 257});
  for (int64_t queries : lengths) {
    for (int64_t keys : lengths) {
      for (bool is_causal : {false, true}) {
        compare({.queries = queries,
                 .keys = keys,
                 .width = 32,
                 .value_width = 32,
                 .is_causal = is_causal});
      }
    }
  }
  compare({.queries = 257, .keys = 257, .width = 128, .value_width = 128, .is_causal = true});
  if (is_under_tool()) return;
  compare({.queries = 257, .keys = 130, .width = 256, .value_width = 256, .is_causal = true});
}

TEST_F(CudaAttention, SharesKeysAmongHeads) {
  compare({.queries = 70, .keys = 90, .heads = 6, .kv_heads = 2});
  compare({.queries = 90, .keys = 70, .heads = 4, .kv_heads = 1, .is_causal = true});
  compare({.queries = 33,
           .keys = 35,
           .width = 40,
           .value_width = 24,
           .heads = 4,
           .kv_heads = 2,
           .dropout_p = 0.2});
}

TEST_F(CudaAttention, TakesAnyStrides) {
  for (Placing placing : {Placing::length_first, Placing::batch_inside, Placing::misaligned}) {
    compare({.queries = 70, .keys = 90, .placing = placing});
    compare({.queries = 70,
             .keys = 90,
             .width = 33,
             .value_width = 130,
             .is_causal = true,
             .placing = placing});
  }
}

TEST_F(CudaAttention, TakesAnyScale) {
  for (double scale : {-0.3, 0.0, 1.0}) {
    compare({.queries = 70,
             .keys = 90,
             .width = 16,
             .value_width = 16,
             .is_causal = true,
             .scale = scale});
  }
}

TEST_F(CudaAttention, TakesMasks) {
  constexpr int64_t kQueries = 70, kKeys = 91;
  const Tensor seen = rand({kBatch, 2, kQueries, kKeys}).gt(0.4);
  const Tensor added = randn({kBatch, 2, kQueries, kKeys}).to(kBFloat16).to(kFloat32);
  const std::vector<Tensor> masks =
      first_under_tool<Tensor>(3, {
                                      rand({kKeys, kQueries}).gt(0.4).t(),
                                      added,
                                      added.slice(0, 0, 1).slice(2, 0, 1),
                                      added.slice(3, 0, 1),
                                      added.select(0, 1).select(0, 1),
                                      seen,
                                      seen.slice(1, 0, 1),
                                      seen.slice(2, 0, 1),
                                      seen.select(0, 0).select(0, 0),
                                  });
  for (const Tensor& mask : masks) {
    if (!is_under_tool()) compare({.queries = kQueries, .keys = kKeys, .mask = mask});
    compare({.queries = kQueries,
             .keys = kKeys,
             .width = 130,
             .value_width = 16,
             .heads = 2,
             .kv_heads = 1,
             .dropout_p = 0.3,
             .mask = mask});
  }
}

TEST_F(CudaAttention, GivesZerosForRowsWithoutKeys) {
  constexpr int64_t kQueries = 70, kKeys = 90;
  const Tensor seen = rand({kQueries, kKeys}).gt(0.4);
  seen.select(0, 3).fill_(false);
  seen.select(0, 69).fill_(false);
  const Tensor added = masked_fill(zeros({kQueries, kKeys}), logical_not(seen), -kInfinity);
  const Tensor nothing = zeros({kQueries, kKeys}, TensorOptions(kBool));
  for (const Tensor& mask : {seen, added, nothing}) {
    compare({.queries = kQueries, .keys = kKeys, .mask = mask});
    const Tensor x = randn({2, kQueries, 64}).to(kFloat16).cuda();
    const Tensor y = randn({2, kKeys, 64}).to(kFloat16).cuda();
    const Tensor gpu_mask = mask.dtype() == kBool ? mask.cuda() : mask.to(kFloat16).cuda();
    const Tensor output = F::scaled_dot_product_attention(x, y, y, gpu_mask);
    EXPECT_EQ(sum(abs(output.select(1, 3))).item<double>(), 0);
  }
}

TEST_F(CudaAttention, DropsTheWeightsThatTheCpuDrops) {
  for (int64_t keys : first_under_tool<int64_t>(2, {66, 64, 90, 256})) {
    for (double p : first_under_tool<double>(1, {0.5, 0.1, 1.0})) {
      compare({.queries = 70, .keys = keys, .is_causal = p == 0.5, .dropout_p = p});
    }
  }
  compare({.queries = 40, .keys = 44, .width = 256, .value_width = 256, .dropout_p = 0.3});
  compare({.queries = 130, .keys = 132, .width = 128, .value_width = 100, .dropout_p = 0.3});
}

TEST_F(CudaAttention, RepeatsBitForBit) {
  for (DType dtype : kAttentionDTypes) {
    if (dtype == kFloat16 && is_under_tool()) continue;
    for (AttentionKernelSet set : {AttentionKernelSet::own, AttentionKernelSet::plain}) {
      const OnlyKernels only(set);
      const Tensor q = randn({2, 4, 257, 64}).to(dtype).cuda().requires_grad_();
      const Tensor k = randn({2, 2, 300, 64}).to(dtype).cuda().requires_grad_();
      const Tensor v = randn({2, 2, 300, 64}).to(dtype).cuda().requires_grad_();
      const Tensor grad = randn({2, 4, 257, 64}).to(dtype).cuda();
      const auto run = [&] {
        manual_seed(kSeed);
        const Tensor output =
            F::scaled_dot_product_attention(q, k, v, Tensor(), 0.1, true, {}, /*enable_gqa=*/true);
        const Tensor inputs[] = {q, k, v};
        Tensors found = autograd::grad(TensorList(&output, 1), inputs, TensorList(&grad, 1));
        found.push_back(output.detach());
        return found;
      };
      const Tensors once = run(), again = run();
      for (size_t i = 0; i < once.size(); ++i) {
        expect_same_bits(once[i], again[i], concat(name_of(set), " ", dtype, ", result ", i));
      }
    }
  }
}

// Query, key and value of one product: their gradients are written where the split had them, and
// are those of three tensors.
TEST_F(CudaAttention, GradientsOfAJointProjectionLieTogether) {
  constexpr int64_t kLength = 70, kHeads = 4, kShared = 2, kWidth = 64;
  const std::vector<int64_t> widths{kHeads * kWidth, kShared * kWidth, kShared * kWidth};
  const auto compare_order = [&](DType dtype, bool batch_inside) {
    const Dims shape = batch_inside ? Dims{kLength, kBatch, (kHeads + 2 * kShared) * kWidth}
                                    : Dims{kBatch, kLength, (kHeads + 2 * kShared) * kWidth};
    const Tensor values = randn(shape).to(dtype).cuda();
    const Tensor grad = randn({kBatch, kHeads, kLength, kWidth}).to(dtype).cuda();
    const auto run = [&](bool apart) {
      const Tensor x = values.clone().requires_grad_();
      Tensors parts = split_with_sizes(x, widths, 2);
      for (Tensor& part : parts) {
        if (apart) part = part.clone();
        const Tensor heads = part.view({shape[0], shape[1], part.size(2) / kWidth, kWidth});
        part = batch_inside ? heads.permute({1, 2, 0, 3}) : heads.transpose(1, 2);
      }
      F::scaled_dot_product_attention(parts[0], parts[1], parts[2], Tensor(), 0.0, true, {},
                                      /*enable_gqa=*/true)
          .backward(grad);
      return x.grad();
    };
    expect_close_by_norm(run(false), run(true).cpu(), room(dtype), concat(dtype, batch_inside));
  };
  for (DType dtype : kAttentionDTypes) {
    compare_order(dtype, false);
    compare_order(dtype, true);
  }
}

TEST_F(CudaAttention, HasSecondDerivatives) {
  const Tensor values[] = {randn({1, 2, 9, 8}), randn({1, 2, 11, 8}), randn({1, 2, 11, 5})};
  const Tensor weight = randn({1, 2, 9, 5});
  // The gradient by each input of the squared norm of the first derivatives.
  const auto second = [&](DType dtype, Device device) {
    Tensors x;
    for (const Tensor& value : values) x.push_back(value.to(dtype).to(device).requires_grad_());
    const Tensor output =
        F::scaled_dot_product_attention(x[0], x[1], x[2], Tensor(), 0.0, /*is_causal=*/true);
    const Tensor grad = weight.to(dtype).to(device);
    const Tensors first =
        autograd::grad(TensorList(&output, 1), x, TensorList(&grad, 1), /*retain_graph=*/true,
                       /*create_graph=*/true);
    Tensor total = sum(mul(first[0], first[0]));
    for (size_t i = 1; i < first.size(); ++i) total = add(total, sum(mul(first[i], first[i])));
    return autograd::grad(TensorList(&total, 1), x);
  };
  const Tensors expected = second(kFloat64, kCPU), result = second(kFloat32, kCUDA);
  for (size_t i = 0; i < expected.size(); ++i) {
    expect_close_by_norm(result[i], expected[i], 1e-4, concat("second derivative by input ", i));
  }
}

TEST_F(CudaAttention, HasSecondDerivativesOfOneTensorInThreePlaces) {
  const Tensor value = randn({1, 2, 9, 8});
  const auto second = [&](DType dtype, Device device) {
    const Tensor x = value.to(dtype).to(device).requires_grad_();
    const Tensor output = sum(F::scaled_dot_product_attention(x, x, x));
    const Tensor first = autograd::grad(TensorList(&output, 1), TensorList(&x, 1), {},
                                        /*retain_graph=*/true, /*create_graph=*/true)[0];
    const Tensor total = sum(mul(first, first));
    return Tensors{first.detach(), autograd::grad(TensorList(&total, 1), TensorList(&x, 1))[0]};
  };
  const Tensors expected = second(kFloat64, kCPU), result = second(kFloat32, kCUDA);
  expect_close_by_norm(result[0], expected[0], 1e-4, "first derivative");
  expect_close_by_norm(result[1], expected[1], 1e-4, "second derivative");
}

TEST_F(CudaAttention, TakesLinearMemoryForLargeLengths) {
  constexpr int64_t kLength = 8192, kWidth = 64;
  for (DType dtype : kAttentionDTypes) {
    const OnlyKernels only(AttentionKernelSet::own);
    const Tensor x = randn({1, 1, kLength, kWidth}).to(dtype).cuda().requires_grad_();
    const int64_t before = memory_stats(kCUDA).allocated;
    reset_peak_memory_stats(kCUDA);
    const Tensor output = F::scaled_dot_product_attention(x, x, x, Tensor(), 0.1, true);
    output.backward(ones(output.shape(), TensorOptions(dtype).device(kCUDA)));
    // The output, gradients and one copy of each take 16 matrices; scores would take 128.
    const int64_t matrix = kLength * kWidth * static_cast<int64_t>(item_size(dtype));
    EXPECT_LT(memory_stats(kCUDA).max_allocated - before, 16 * matrix + (4 << 20)) << concat(dtype);
    EXPECT_TRUE(isfinite(x.grad()).all().item<bool>()) << concat(dtype);
  }
}

}  // namespace
}  // namespace taut::testing
