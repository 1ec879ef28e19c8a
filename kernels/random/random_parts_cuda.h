#pragma once
// The CUDA kernels of the family are compiled in several files; each fills its part of the table.

#include "kernels/api/random.h"

namespace taut::kernels::cuda {

void fill_discrete(RandomKernels& table);  // bernoulli, randint, geometric, dropout
void randperm(const RandpermArgs& args);

}  // namespace taut::kernels::cuda
