#pragma once
// The kernels of the sort family; table_cpu.cpp puts them into the table.

#include "kernels/api/sort.h"

namespace taut::kernels::sort_cpu {

void sort(const SortArgs& args);
void topk(const TopKArgs& args);
void pick(const PickArgs& args);
IndexResult searchsorted(const SearchSortedArgs& args);
int64_t unique(const UniqueArgs& args);
IndexResult bincount(const BincountArgs& args);
void histogram(const HistogramArgs& args);

}  // namespace taut::kernels::sort_cpu
