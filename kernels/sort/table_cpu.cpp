#include "kernels/sort/sort_kernels.h"

namespace taut::kernels {

SortKernels sort_kernels_cpu() {
  SortKernels table;
  table.sort = sort_cpu::sort;
  table.topk = sort_cpu::topk;
  table.pick = sort_cpu::pick;
  table.searchsorted = sort_cpu::searchsorted;
  table.unique = sort_cpu::unique;
  table.bincount = sort_cpu::bincount;
  table.histogram = sort_cpu::histogram;
  return table;
}

}  // namespace taut::kernels
