#pragma once
// Rotary position embedding (Su et al., RoFormer, 2021): pairs of numbers of a query or key are
// turned by angles that grow with the position, so that their products depend on distances.
//   const auto [cos, sin] = F::rotary_tables(2048, 64, 10000.0, device);
//   const auto [q, k, v] = F::rotary_qkv(qkv(x), cos, sin, 12);
//
// The pairs of a head are (x[i], x[i + h]), h half of the turned numbers, as in GPT-NeoX and
// Llama's published checkpoints; or neighbours (x[2 i], x[2 i + 1]), `interleaved`, as in GPT-J and
// Llama's own code. Where the tables are narrower than half a head, its last numbers stay as they
// are.

#include <optional>
#include <tuple>
#include <utility>

#include "taut/core/tensor.h"
#include "taut/core/tensor_options.h"

namespace taut::nn::functional {

/// cos and sin of (positions, width / 2): of position * base^(-2 i / width), computed in float64;
/// float32 unless options say otherwise. @throws ValueError for an odd width.
TAUT_API std::pair<Tensor, Tensor> rotary_tables(int64_t positions, int64_t width,
                                                 double base = 10000.0,
                                                 const TensorOptions& options = {});

/// The input (..., length, width), of 2 to 4 dims, with each row turned for its position, which is
/// `offset` for the first: the number of tokens that a cache of keys and values holds. cos and sin
/// are tables as of rotary_tables; a 16-bit input is computed in float32 and keeps its dtype.
/// @throws ShapeError for tables that do not go with the input, ValueError for positions beyond
/// them or tables that require grad.
TAUT_API Tensor rotary_embedding(const Tensor& input, const Tensor& cos, const Tensor& sin,
                                 bool interleaved = false, int64_t offset = 0);

/// Query, key and value of (batch, heads, length, width) from one product of (batch, length,
/// (num_heads + 2 num_kv_heads) width), the first two turned: split, views and rotary_embedding in
/// one pass that leaves the values where they are; backward writes one gradient. num_kv_heads is
/// num_heads unless given. Throws as rotary_embedding.
TAUT_API std::tuple<Tensor, Tensor, Tensor> rotary_qkv(const Tensor& qkv, const Tensor& cos,
                                                       const Tensor& sin, int64_t num_heads,
                                                       std::optional<int64_t> num_kv_heads = {},
                                                       bool interleaved = false,
                                                       int64_t offset = 0);

}  // namespace taut::nn::functional
