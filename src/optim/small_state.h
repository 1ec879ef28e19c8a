#pragma once
// State tensors of optimizers that are kept in 16 or 8 bits; see Note [Small state].

#include <cstdint>

#include "kernels/api/small_state.h"
#include "taut/optim/values.h"

namespace taut::optim {

/// Parameters below keep their state as it is: what it takes is little, and of biases and norms
/// precision is worth more. bfloat16 has no such bound.
inline constexpr int64_t kLeastInBlocks = 4096;

/// The format that the option "state_dtype" of a group asks for. @throws ValueError for what is
/// none.
kernels::StateFormat state_format_of(const Values& options);
/// The same for one parameter, which is stepped in `step_dtype`.
kernels::StateFormat state_format_of(const Values& options, const Tensor& param, DType step_dtype);

/// A state of zeros for a parameter; `plain` is the dtype of a plain one.
Tensor zero_state(const Tensor& param, kernels::StateFormat format, DType plain);

/// Whether a tensor is a state of `param` in blocks: bytes, codes first and then scales.
bool is_in_blocks(const Tensor& state, const Tensor& param);

/// A state of `param`, of whatever format, in another one. Itself where it is that already. To or
/// from blocks it goes by way of the host.
Tensor in_format(const Tensor& state, const Tensor& param, kernels::StateFormat format, DType plain,
                 bool is_signed);

}  // namespace taut::optim
