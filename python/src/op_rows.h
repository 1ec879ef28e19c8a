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
  if (!in_place) return result;
  TAUT_CHECK(can_cast(result.dtype(), input.dtype()), DTypeError, "inplace=True: the result is ",
             result.dtype(), ", which the input cannot hold; got ", input.dtype());
  return input.copy_(result);
}

/// A tensor, or two when the caller asked for the second: what functions with return_indices give.
struct TensorOrPair {
  Tensor first;
  Tensor second;
};
inline PyObject* to_python(TensorOrPair&& result, const Overload& overload) {
  if (!result.second.defined()) return wrap(std::move(result.first));
  return to_python(std::pair(result.first, result.second), overload);
}
template <>
struct ResultName<TensorOrPair> {
  static std::string get() { return "Any"; }
};

void add_view_rows(Rows& rows);
void add_reduce_rows(Rows& rows);
void add_tensor_rows(Rows& rows);
void add_linalg_rows(Rows& rows);
void add_index_rows(Rows& rows);
void add_join_rows(Rows& rows);
void add_sort_rows(Rows& rows);
void add_matmul_rows(Rows& rows);
void add_random_rows(Rows& rows);
void add_functional_rows(Rows& rows);
void add_init_rows(Rows& rows);
void bind_generator(pybind11::module_& module);

}  // namespace taut::python
