#pragma once
// The family is compiled in several files; each fills its part of the table.

#include "kernels/api/random.h"

namespace taut::kernels {

void fill_discrete_kernels(RandomKernels& table);    // bernoulli, randint, randperm, dropout
void fill_continuous_kernels(RandomKernels& table);  // the others

}  // namespace taut::kernels
