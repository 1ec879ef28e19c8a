#include "taut/nn/modules/embedding.h"

#include "taut/autograd/grad_mode.h"
#include "taut/nn/init.h"
#include "taut/ops/ops.h"

namespace taut::nn {

Embedding::Embedding(int64_t rows, int64_t width, std::optional<int64_t> padding, bool scale,
                     const TensorOptions& options)
    : num_embeddings(rows), embedding_dim(width), padding_idx(padding), scale_grad_by_freq(scale) {
  if (padding_idx) {
    TAUT_CHECK(*padding_idx >= -rows && *padding_idx < rows, IndexError, "Embedding: padding_idx ",
               *padding_idx, " is no row; expected ", -rows, "..", rows - 1);
    if (*padding_idx < 0) *padding_idx += rows;
  }
  register_parameter("weight", weight, empty({rows, width}, options));
  reset_parameters();
}

void Embedding::reset_parameters() {
  init::normal_(weight);
  if (!padding_idx) return;
  const NoGradGuard no_grad;
  weight.select(0, *padding_idx).zero_();
}

Tensor Embedding::forward(const Tensor& input) {
  return functional::embedding(input, weight, padding_idx, scale_grad_by_freq);
}

std::string Embedding::extra_repr() const {
  std::string text = concat(num_embeddings, ", ", embedding_dim);
  if (padding_idx) text += concat(", padding_idx=", *padding_idx);
  if (scale_grad_by_freq) text += ", scale_grad_by_freq=True";
  return text;
}

}  // namespace taut::nn
