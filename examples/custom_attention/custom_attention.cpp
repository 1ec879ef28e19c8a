// The op of custom_attention.py as a plugin: taut::load_library("custom_attention.so") registers
// attention_plugin::attention. The kernels are those of attention.cu, which CMake puts into
// attention_source.h, and are compiled at their first launch.

#include <taut/taut.h>

#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "attention_source.h"

namespace {

using taut::CustomCall;
using taut::DType;
using taut::Tensor;
using taut::Tensors;
using taut::cuda::Kernel;
using taut::cuda::KernelArgument;

constexpr int64_t kRows = 64;   // of a tile: what a block of the kernels makes
constexpr int64_t kWidth = 64;  // of a head
constexpr int64_t kThreads = 128;

// Bytes of shared memory; attention.cu checks them when it is compiled. Rows are padded.
struct Memory {
  int64_t forward;
  int64_t backward;
};
Memory memory_of(DType dtype) {
  constexpr int64_t kFloatTile = kRows * 68 * 4;
  const int64_t tile = dtype == taut::kFloat32 ? kFloatTile : kRows * 72 * 2;
  return {3 * tile + 2 * kFloatTile + kRows * 4, 4 * tile + 4 * kFloatTile};
}

std::string cuda_type(DType dtype) {
  if (dtype == taut::kFloat32) return "float";
  if (dtype == taut::kFloat16) return "__half";
  TAUT_CHECK(dtype == taut::kBFloat16, DTypeError,
             "attention_plugin::attention: the GPU has it in float32 and 16-bit floats; got ",
             dtype);
  return "__nv_bfloat16";
}

// A kernel of attention.cu for a dtype, made once.
Kernel kernel(const std::string& name, DType dtype) {
  static std::mutex mutex;
  static std::map<std::string, Kernel> kernels;
  const std::string instance = name + "<" + cuda_type(dtype) + ">";
  const std::lock_guard lock(mutex);
  const auto known = kernels.find(instance);
  if (known != kernels.end()) return known->second;
  const Memory memory = memory_of(dtype);
  const Kernel made(kAttentionSource, instance,
                    {.compiler = {"-DFORWARD_BYTES=" + std::to_string(memory.forward),
                                  "-DBACKWARD_BYTES=" + std::to_string(memory.backward)}});
  return kernels.emplace(instance, made).first->second;
}

void check(CustomCall&, const Tensors& inputs) {
  const Tensor &query = inputs[0], &key = inputs[1], &value = inputs[2];
  const bool has_shapes = query.dim() == 4 && key.dim() == 4 && key.shape() == value.shape() &&
                          query.size(0) == key.size(0) && query.size(1) == key.size(1) &&
                          query.size(3) == kWidth && key.size(3) == kWidth && key.size(2) > 0;
  TAUT_CHECK(has_shapes, ShapeError,
             "attention_plugin::attention: expected query (batch, heads, queries, 64), key and "
             "value (batch, heads, keys, 64); got ",
             query.shape(), ", ", key.shape(), " and ", value.shape());
  const bool has_dtypes =
      query.is_floating_point() && query.dtype() == key.dtype() && query.dtype() == value.dtype();
  TAUT_CHECK(has_dtypes, DTypeError,
             "attention_plugin::attention: expected tensors of one floating dtype; got ",
             query.dtype(), ", ", key.dtype(), " and ", value.dtype());
}

Tensors composed(CustomCall& call, const Tensors& inputs) {
  const Tensor &query = inputs[0], &key = inputs[1], &value = inputs[2];
  Tensor scores = taut::matmul(query, key.transpose(-2, -1)) * call.number("scale");
  if (call.flag("is_causal")) {
    const taut::TensorOptions options = taut::TensorOptions(taut::kBool).device(query.device());
    const Tensor visible = taut::tril(taut::ones({query.size(2), key.size(2)}, options));
    scores =
        scores.masked_fill(taut::logical_not(visible), -std::numeric_limits<double>::infinity());
  }
  return {taut::matmul(taut::softmax(scores, -1), value)};
}

// Contiguous, and where the kernels may read 16 bytes at a time.
Tensor aligned(const Tensor& x) {
  const Tensor packed = x.contiguous();
  return reinterpret_cast<uintptr_t>(packed.data_ptr()) % 16 == 0 ? packed : packed.clone();
}

int64_t tiles(int64_t length) { return (length + kRows - 1) / kRows; }

Tensors forward(CustomCall& call, const Tensors& inputs) {
  const Tensor query = aligned(inputs[0]), key = aligned(inputs[1]), value = aligned(inputs[2]);
  const int64_t heads = query.size(0) * query.size(1);
  const int64_t queries = query.size(2);
  const Tensor output = taut::empty_like(query);
  const Tensor log_sums = taut::empty({query.size(0), query.size(1), queries},
                                      taut::TensorOptions(taut::kFloat32).device(query.device()));
  if (output.numel() > 0) {
    kernel("attention_forward", query.dtype())(
        {tiles(queries), heads}, {kThreads},
        {query, key, value, output, log_sums, queries, key.size(2), call.number("scale"),
         call.flag("is_causal")},
        memory_of(query.dtype()).forward);
  }
  call.save_for_backward({query, key, value, output, log_sums});
  return {output};
}

Tensors backward(CustomCall& call, const Tensors& grads) {
  const Tensors saved = call.saved_tensors();
  const Tensor &query = saved[0], &key = saved[1], &value = saved[2];
  Tensors results = {taut::zeros_like(query), taut::zeros_like(key), taut::zeros_like(value)};
  if (query.numel() == 0) return results;
  const Tensor grad = aligned(grads[0]);
  const Tensor delta = taut::sum(grad.to(taut::kFloat32) * saved[3].to(taut::kFloat32), {-1});
  const int64_t heads = query.size(0) * query.size(1);
  const int64_t bytes = memory_of(query.dtype()).backward;
  const auto launch = [&](const char* name, int64_t length, const Tensors& made) {
    std::vector<KernelArgument> arguments = {query, key, value, grad, saved[4], delta};
    arguments.insert(arguments.end(), made.begin(), made.end());
    for (const taut::Scalar& number :
         {taut::Scalar(query.size(2)), taut::Scalar(key.size(2)),
          taut::Scalar(call.number("scale")), taut::Scalar(call.flag("is_causal"))}) {
      arguments.emplace_back(number);
    }
    kernel(name, query.dtype()).launch({tiles(length), heads}, {kThreads}, arguments, bytes);
  };
  if (call.needs_input_grad(0)) {
    launch("attention_backward_queries", query.size(2), {results[0]});
  }
  if (call.needs_input_grad(1) || call.needs_input_grad(2)) {
    launch("attention_backward_keys", key.size(2), {results[1], results[2]});
  }
  return results;
}

const taut::CustomOp attention({
    .name = "attention_plugin::attention",
    .inputs = {"query", "key", "value"},
    .attributes = {{"is_causal", false}, {"scale", 1 / std::sqrt(double{kWidth})}},
    .check = check,
    .cuda = {.forward = forward, .backward = backward},
    .composed = composed,
    .autocast = taut::AutocastPolicy::lower_dtype,
});

}  // namespace
