#pragma once
// Rows whose result is larger than the caches; see Note [Streaming stores].

#include <cstdint>

#include "kernels/elementwise/rows.h"

namespace taut::kernels {

/// row(pointers, n, parameters) with `count` operands, for a result that need not stay in the
/// caches. Its elements have result_size bytes, those of the others operand_size. finish_streams()
/// must follow the last row.
void run_streamed_row(const Streaming& streaming, RowFn row, char* const* pointers, int count,
                      int64_t n, int64_t result_size, int64_t operand_size,
                      const double* parameters);

}  // namespace taut::kernels
