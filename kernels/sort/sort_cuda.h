#pragma once
// The kernels of the sort family on CUDA; sort_cuda.cpp puts them into the table.

#include "kernels/api/sort.h"

namespace taut::kernels::cuda {

IndexResult searchsorted(const SearchSortedArgs& args);
int64_t unique(const UniqueArgs& args);
IndexResult bincount(const BincountArgs& args);
void histogram(const HistogramArgs& args);

}  // namespace taut::kernels::cuda
