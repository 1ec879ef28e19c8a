#pragma once
// The kernels of the index family on CUDA, one file each; index_cuda.cpp puts them into the table.

#include "kernels/api/index.h"

namespace taut::kernels::cuda {

IndexResult get(const IndexGetArgs& args);
IndexResult put(const IndexPutArgs& args);
IndexResult embedding_backward(const EmbeddingBackwardArgs& args);
int64_t count_nonzero(const CountNonzeroArgs& args);
void nonzero(const NonzeroArgs& args);
void masked_select(const MaskedSelectArgs& args);
int64_t masked_scatter(const MaskedScatterArgs& args);

}  // namespace taut::kernels::cuda
