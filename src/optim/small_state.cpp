#include "src/optim/small_state.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "taut/ops/ops.h"

namespace taut::optim {
namespace {

using kernels::kStateBlock;
using kernels::StateFormat;

float* scales_of(const Tensor& blocks, int64_t n) {
  return reinterpret_cast<float*>(blocks.data_ptr<uint8_t>() + kernels::state_codes(n));
}

// float32 values on the CPU.
Tensor values_of(const Tensor& blocks, const Tensor& param, bool is_signed) {
  const Tensor here = contiguous(taut::to(blocks, kCPU));
  Tensor result = empty(param.shape(), TensorOptions(kFloat32));
  const uint8_t* codes = here.data_ptr<uint8_t>();
  const float* scales = scales_of(here, param.numel());
  float* values = result.data_ptr<float>();
  for (int64_t i = 0; i < param.numel(); ++i) {
    const float value = is_signed ? kernels::signed_value(kernels::kSignedStateMap.values, codes[i])
                                  : kernels::kUnsignedStateMap.values[codes[i]];
    values[i] = scales[i / kStateBlock] * value;
  }
  return result;
}

Tensor in_blocks(const Tensor& state, const Tensor& param, bool is_signed) {
  const Tensor here = contiguous(taut::to(state, TensorOptions(kFloat32).device(kCPU)));
  const int64_t n = here.numel();
  const Tensor result = zeros({kernels::state_bytes(n)}, TensorOptions(kUInt8));
  const float* values = here.data_ptr<float>();
  uint8_t* codes = result.data_ptr<uint8_t>();
  float* scales = scales_of(result, n);
  const kernels::StateMap& map = is_signed ? kernels::kSignedStateMap : kernels::kUnsignedStateMap;
  for (int64_t begin = 0; begin < n; begin += kStateBlock) {
    const int64_t end = std::min(begin + kStateBlock, n);
    float largest = 0.0f;
    for (int64_t i = begin; i < end; ++i) largest = std::max(largest, std::fabs(values[i]));
    scales[begin / kStateBlock] = largest;
    const float factor = kernels::share_factor(largest);
    for (int64_t i = begin; i < end; ++i) {
      const float share = values[i] * factor;
      codes[i] =
          is_signed
              ? kernels::signed_code(map.values, share)
              : static_cast<uint8_t>(kernels::nearest_entry(map.values, map.last, false, share));
    }
  }
  return taut::to(result, param.device());
}

}  // namespace

namespace {

[[noreturn]] void refuse_state_dtype(const Value& value) {
  const auto* name = std::get_if<std::string>(&value);
  taut::detail::raise<ValueError>(
      "optimizer: state_dtype must be None, \"float32\", \"bfloat16\" or \"int8\"; got ",
      name == nullptr ? std::string("something else") : concat('"', *name, '"'));
}

}  // namespace

StateFormat state_format_of(const Values& options) {
  const Value* value = options.find("state_dtype");
  if (value == nullptr || std::holds_alternative<std::monostate>(*value)) return StateFormat::plain;
  const auto* name = std::get_if<std::string>(value);
  if (name == nullptr) refuse_state_dtype(*value);
  if (*name == "float32") return StateFormat::plain;
  if (*name == "bfloat16") return StateFormat::bfloat16;
  if (*name == "int8") return StateFormat::blocks8;
  refuse_state_dtype(*value);
}

StateFormat state_format_of(const Values& options, const Tensor& param, DType step_dtype) {
  const StateFormat format = state_format_of(options);
  if (format == StateFormat::blocks8 && param.numel() < kLeastInBlocks) return StateFormat::plain;
  if (format == StateFormat::plain && step_dtype != kFloat32) {
    const Value* value = options.find("state_dtype");
    TAUT_CHECK(value == nullptr || std::holds_alternative<std::monostate>(*value) ||
                   step_dtype == kFloat64,
               ValueError, "optimizer: a ", param.dtype(),
               " parameter has no state in float32 of its own; set master_weights");
  }
  return format;
}

Tensor zero_state(const Tensor& param, StateFormat format, DType plain) {
  if (format == StateFormat::blocks8) {
    return zeros({kernels::state_bytes(param.numel())},
                 TensorOptions(kUInt8).device(param.device()));
  }
  const DType dtype = format == StateFormat::bfloat16 ? kBFloat16 : plain;
  return zeros(param.shape(), TensorOptions(dtype).device(param.device()));
}

bool is_in_blocks(const Tensor& state, const Tensor& param) {
  return state.dtype() == kUInt8 && state.dim() == 1 && param.is_floating_point() &&
         state.numel() == kernels::state_bytes(param.numel());
}

Tensor in_format(const Tensor& state, const Tensor& param, StateFormat format, DType plain,
                 bool is_signed) {
  const bool has_blocks = is_in_blocks(state, param);
  if (format == StateFormat::blocks8) {
    if (!has_blocks) return in_blocks(state, param, is_signed);
    return contiguous(taut::to(state, param.device()));
  }
  const Tensor values = has_blocks ? values_of(state, param, is_signed) : state;
  const DType dtype = format == StateFormat::bfloat16 ? kBFloat16 : plain;
  return taut::to(values, TensorOptions(dtype).device(param.device()));
}

}  // namespace taut::optim
