#pragma once
// What the files of op rows share.

#include "op.h"
#include "taut/ops/ops.h"

namespace taut::python {

// The types that rows are made of, short because each row names several.
using T = const Tensor&;
using S = const Scalar&;
using D = const Dims&;
using DTypeOpt = std::optional<DType>;
using DeviceOpt = std::optional<Device>;
using DimOpt = std::optional<int64_t>;

/// What functions with an `inplace` flag return: the result, or the input that now holds it.
inline Tensor maybe_in_place(const Tensor& input, Tensor result, bool in_place) {
  return in_place ? input.copy_(result) : result;
}

void add_view_rows(Rows& rows);
void add_reduce_rows(Rows& rows);
void add_tensor_rows(Rows& rows);
void add_linalg_rows(Rows& rows);
void add_join_rows(Rows& rows);
void add_matmul_rows(Rows& rows);
void add_random_rows(Rows& rows);
void add_functional_rows(Rows& rows);
void bind_generator(pybind11::module_& module);

}  // namespace taut::python
