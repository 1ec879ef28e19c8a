#pragma once
// Arguments whose values an op does not take.

#include "taut/core/tensor.h"

namespace taut::ops {

/// @throws ValueError unless every element is in [low, high]: at once on the CPU, at the next
/// synchronisation on a GPU, which is not waited for. `expected` says the range in words; both
/// texts must never go away.
void check_range(const char* op, const char* expected, const Tensor& tensor, double low,
                 double high);

/// On a GPU: an IndexError at the next synchronisation for an element of a contiguous int64 tensor
/// that is not in [0, size).
void check_indices_later(const char* op, const Tensor& indices, int64_t size);

}  // namespace taut::ops
