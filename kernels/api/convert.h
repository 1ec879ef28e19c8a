#pragma once
// Converting contiguous elements from one dtype to another, and moving strided ones.

#include <cstddef>
#include <cstdint>

#include "taut/core/dtype.h"

namespace taut::kernels {

/// target[i] = source[i] converted, for n contiguous elements.
using ConvertFn = void (*)(void* target, const void* source, int64_t n);

/// The conversion between two dtypes, for the instruction set of this machine.
ConvertFn convert_row(DType from, DType to);

/// target[i] = source[i * stride] for elements of `size` bytes.
void gather_row(void* target, const void* source, int64_t stride, int64_t n, size_t size);

/// target[i * stride] = source[i] for elements of `size` bytes.
void scatter_row(void* target, int64_t stride, const void* source, int64_t n, size_t size);

}  // namespace taut::kernels
