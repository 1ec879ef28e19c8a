#include "indexing.h"

#include <cstring>
#include <vector>

#include "errors.h"
#include "gil.h"
#include "interop.h"
#include "taut/ops/indexing.h"
#include "taut/ops/ops.h"
#include "tensor_object.h"
#include "values.h"

namespace py = pybind11;

namespace taut::python {
namespace {

bool is_array(PyObject* object) {
  return std::strcmp(Py_TYPE(object)->tp_name, "numpy.ndarray") == 0;
}

/// As in PyTorch, `x[[0, 1]]` is a list of indices, and `x[[0, slice(1)]]` a tuple.
bool is_list_of_items(PyObject* key) {
  if (!PyList_Check(key)) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); ++i) {
    PyObject* item = PyList_GET_ITEM(key, i);
    if (item == Py_None || item == Py_Ellipsis || PySlice_Check(item)) return true;
  }
  return false;
}

/// The key of x[key], as C++ takes it.
class Key {
 public:
  explicit Key(PyObject* key) {
    if (PyTuple_Check(key)) {
      indices_.reserve(static_cast<size_t>(PyTuple_GET_SIZE(key)));
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) add(PyTuple_GET_ITEM(key, i));
    } else if (is_list_of_items(key)) {
      for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); ++i) add(PyList_GET_ITEM(key, i));
    } else {
      add(key);
    }
  }
  TensorIndices indices() const { return indices_; }
  /// Whether x[key] is a view.
  bool is_plain() const { return plain_; }

 private:
  void add(PyObject* item) {
    int64_t number = 0;
    if (PyLong_CheckExact(item)) {
      if (!read(item, number)) throw py::error_already_set();
      indices_.emplace_back(number);
    } else if (PySlice_Check(item)) {
      add_slice(item);
    } else if (item == Py_None) {
      indices_.emplace_back(indexing::None);
    } else if (item == Py_Ellipsis) {
      indices_.emplace_back(indexing::Ellipsis);
    } else if (PyBool_Check(item)) {
      indices_.emplace_back(item == Py_True);
      plain_ = false;
    } else if (is_tensor(item)) {
      add_tensor(tensor_of(item));
    } else if (PyList_Check(item) || PyTuple_Check(item) || is_array(item)) {
      Tensor index = tensor_from(item, {}, {});
      if (index.numel() == 0 && !is_array(item)) index = index.to(kInt64);  // an empty list
      add_tensor(index);
    } else if (read(item, number)) {
      indices_.emplace_back(number);
    } else if (PyErr_Occurred() != nullptr) {
      throw py::error_already_set();
    } else {
      throw IndexError(
          concat("index: ints, slices, None, Ellipsis, bool masks and integer tensors "
                 "index a tensor; got a ",
                 Py_TYPE(item)->tp_name));
    }
  }

  void add_slice(PyObject* item) {
    Py_ssize_t start = 0, stop = 0, step = 0;
    if (PySlice_Unpack(item, &start, &stop, &step) < 0) throw py::error_already_set();
    TAUT_CHECK(step > 0, ValueError, "index: slice step must be greater than zero; got ",
               static_cast<int64_t>(step), "; use flip()");
    indices_.emplace_back(indexing::Slice(int64_t{start}, int64_t{stop}, int64_t{step}));
  }

  void add_tensor(const Tensor& index) {
    if (index.dim() == 0 && is_integral(index.dtype()) && index.dtype() != kUInt8) {
      indices_.emplace_back(index.item<int64_t>());
      return;
    }
    plain_ = false;
    // Masks of uint8 come from before there was bool.
    indices_.emplace_back(index.dtype() == kUInt8 ? index.to(kBool) : index);
  }

  std::vector<TensorIndex> indices_;
  bool plain_ = true;
};

/// `value` without leading dims of size 1 that the target does not have, as assignment takes it.
Tensor fit_value(Tensor value, int rank) {
  while (value.dim() > rank && value.shape()[0] == 1) value = value.squeeze(0);
  return value;
}

void assign(const Tensor& target, PyObject* value) {
  Scalar number;
  if (is_tensor(value)) {
    const Tensor source = fit_value(tensor_of(value), target.dim());
    const Unlocked unlocked(target.numel() > kLargeWork);
    target.copy_(source);
  } else if (read(value, number)) {
    const Unlocked unlocked(target.numel() > kLargeWork);
    target.fill_(number);
  } else if (PyErr_Occurred() != nullptr) {
    throw py::error_already_set();
  } else {
    target.copy_(fit_value(tensor_from(value, {}, target.device()), target.dim()));
  }
}

Tensor row(const Tensor& tensor, int64_t index) {
  const int64_t size = tensor.shape()[0];
  TAUT_CHECK(index >= -size && index < size, IndexError, "index: index ", index,
             " is out of range for dim 0 of size ", size);
  return tensor.select(0, index);
}

}  // namespace

PyObject* get_item(PyObject* self, PyObject* key) {
  try {
    const Tensor& tensor = tensor_of(self);
    int64_t number = 0;
    // The common cases, without ceremony.
    if (PyLong_CheckExact(key) && tensor.dim() > 0) {
      if (!read(key, number)) return nullptr;
      return wrap(row(tensor, number));
    }
    const Key parts(key);
    if (parts.is_plain()) {
      Tensor view = index(tensor, parts.indices());
      return wrap(view.is_same(tensor) ? alias(tensor) : std::move(view));
    }
    Tensor result = [&] {
      const Unlocked unlocked(tensor.numel() > kLargeWork);
      return index(tensor, parts.indices());
    }();
    return wrap(std::move(result));
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

int set_item(PyObject* self, PyObject* key, PyObject* value) {
  try {
    const Tensor& tensor = tensor_of(self);
    if (value == nullptr) throw py::type_error("elements of a tensor cannot be deleted");
    const Key parts(key);
    if (parts.is_plain()) {
      assign(index(tensor, parts.indices()), value);
      return 0;
    }
    const Tensor source =
        is_tensor(value) ? tensor_of(value) : tensor_from(value, tensor.dtype(), tensor.device());
    const Unlocked unlocked(tensor.numel() > kLargeWork);
    index_put_(tensor, parts.indices(), source);
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

}  // namespace taut::python
