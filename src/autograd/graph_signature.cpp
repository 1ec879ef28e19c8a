#include "src/autograd/graph_signature.h"

#include "taut/autograd/autocast_mode.h"
#include "taut/autograd/grad_mode.h"
#include "taut/core/generator.h"
#include "taut/ops/matmul.h"

namespace taut::autograd {
namespace {

std::string modes() {
  std::string text =
      concat(is_grad_enabled(), is_inference_mode_enabled(), are_deterministic_algorithms_enabled(),
             is_autocast_cache_enabled(), get_float32_matmul_precision());
  for (DeviceType type : {DeviceType::cpu, DeviceType::cuda}) {
    if (is_autocast_enabled(type)) text += concat(" ", Device(type), get_autocast_dtype(type));
  }
  return text;
}

}  // namespace

std::string graph_signature(const Tensors& inputs, std::string_view key) {
  std::string text = concat(modes(), " ", key.size(), ":", key);
  for (const Tensor& input : inputs) {
    text += concat("|", input.dtype(), input.shape(), input.strides());
  }
  return text;
}

}  // namespace taut::autograd
