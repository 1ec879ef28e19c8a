#pragma once
// Asking the index kernels for an op's access; see Note [Indexed addresses].

#include <string_view>

#include "kernels/api/index.h"
#include "taut/core/tensor.h"

namespace taut::ops {

/// How an indexed tensor is walked.
struct Access {
  Dims size;
  Dims self_strides;
  int index_count = 0;
  kernels::IndexedDim indices[kMaxRank];
  bool wrap_negative = false;
};

/// @throws IndexError that names the op and the index.
void check_result(const char* op, const kernels::IndexResult& result);

Tensor run_get(const char* op, const Tensor& self, const Access& access);
/// `source` is seen with source_strides over access.size; of self's dtype.
void run_put(const char* op, const Tensor& self, const Access& access, const void* source,
             const Dims& source_strides, kernels::PutMode mode, double alpha = 1.0,
             bool include_self = true);

}  // namespace taut::ops
