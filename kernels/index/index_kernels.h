#pragma once
// The kernels of the index family, one file each; index_cpu.cpp puts them into the table.

#include "kernels/api/index.h"

namespace taut::kernels::index_cpu {

IndexResult get(const IndexGetArgs& args);
IndexResult put(const IndexPutArgs& args);
IndexResult embedding_backward(const EmbeddingBackwardArgs& args);
int64_t count_nonzero(const CountNonzeroArgs& args);
void nonzero(const NonzeroArgs& args);
void masked_select(const MaskedSelectArgs& args);
int64_t masked_scatter(const MaskedScatterArgs& args);

}  // namespace taut::kernels::index_cpu
