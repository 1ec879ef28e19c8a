#pragma once
// Functions to fuse: chains that papers and models have, and chains drawn at random.

#include <random>
#include <string>
#include <vector>

#include "src/fusion/trace.h"
#include "taut/core/tensor.h"

namespace taut::fusion {

struct Chain {
  std::string name;
  Function function;
  Tensors inputs;
  std::vector<bool> wanted;  // inputs by which there are gradients
};

/// GEGLU (Shazeer, 2020), RMSNorm with residual, rotary embedding, focal loss (Lin et al., 2017),
/// AdaLN (Peebles and Xie, 2023), each in `dtype`.
std::vector<Chain> published_chains(DType dtype);

/// What views, joins, reductions and casts there are, each in a small function.
std::vector<Chain> single_chains(DType dtype);

/// A chain of elementwise ops, broadcasts, views and reductions.
Chain random_chain(uint64_t seed);

}  // namespace taut::fusion
