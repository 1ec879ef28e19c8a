#include "taut/nn/modules/layer_factory.h"

#include "taut/nn/modules/dropout.h"
#include "taut/nn/modules/linear.h"
#include "taut/nn/modules/multihead_attention.h"
#include "taut/nn/modules/norm.h"

namespace taut::nn {

std::shared_ptr<Linear> LayerFactory::linear(int64_t in_features, int64_t out_features, bool bias,
                                             const TensorOptions& options) const {
  return std::make_shared<Linear>(in_features, out_features, bias, options);
}

std::shared_ptr<LayerNorm> LayerFactory::layer_norm(int64_t features, double eps, bool bias,
                                                    const TensorOptions& options,
                                                    bool recompute) const {
  return std::make_shared<LayerNorm>(SizeArg(features), eps, /*elementwise_affine=*/true, bias,
                                     options, recompute);
}

std::shared_ptr<Dropout> LayerFactory::dropout(double p) const {
  return std::make_shared<Dropout>(p);
}

std::shared_ptr<MultiheadAttention> LayerFactory::attention(
    int64_t embed_dim, int64_t num_heads, const MultiheadAttentionOptions& options) const {
  return std::make_shared<MultiheadAttention>(embed_dim, num_heads, options);
}

}  // namespace taut::nn
