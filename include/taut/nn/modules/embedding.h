#pragma once
// A table of vectors, looked up by number.

#include <optional>

#include "taut/nn/module.h"

namespace taut::nn {

/// Integers (*) to vectors (*, embedding_dim). Rows start normal; row padding_idx starts at 0 and
/// is not trained. @throws IndexError for a padding_idx that is no row.
class TAUT_API Embedding : public Module {
 public:
  Embedding(int64_t num_embeddings, int64_t embedding_dim, std::optional<int64_t> padding_idx = {},
            bool scale_grad_by_freq = false, const TensorOptions& options = {});
  Tensor forward(const Tensor& input) override;
  std::string extra_repr() const override;
  void reset_parameters();

  int64_t num_embeddings;
  int64_t embedding_dim;
  std::optional<int64_t> padding_idx;  // counted from the start
  bool scale_grad_by_freq;
  Tensor weight;
};

}  // namespace taut::nn
