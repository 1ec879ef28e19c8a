#pragma once
// How layers that are made of layers make those.

#include <cstdint>
#include <memory>

#include "taut/core/tensor_options.h"

namespace taut::nn {

class Dropout;
class LayerNorm;
class Linear;
class MultiheadAttention;
struct MultiheadAttentionOptions;

/// Makes the layers of C++. Another language makes them as its own objects, by a class derived from
/// this one.
class TAUT_API LayerFactory {
 public:
  virtual ~LayerFactory() = default;
  virtual std::shared_ptr<Linear> linear(int64_t in_features, int64_t out_features, bool bias,
                                         const TensorOptions& options) const;
  virtual std::shared_ptr<LayerNorm> layer_norm(int64_t features, double eps, bool bias,
                                                const TensorOptions& options, bool recompute) const;
  virtual std::shared_ptr<Dropout> dropout(double p) const;
  virtual std::shared_ptr<MultiheadAttention> attention(
      int64_t embed_dim, int64_t num_heads, const MultiheadAttentionOptions& options) const;
};

}  // namespace taut::nn
