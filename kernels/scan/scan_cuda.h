#pragma once
// The scans on CUDA, compiled in several files; scan_cuda.cpp puts them into the table.

#include "kernels/api/scan.h"

namespace taut::kernels::cuda {

void cumsum(const ScanArgs& args);
void cumprod(const ScanArgs& args);
void logcumsumexp(const ScanArgs& args);
void cummax(const IndexScanArgs& args);
void cummin(const IndexScanArgs& args);

}  // namespace taut::kernels::cuda
