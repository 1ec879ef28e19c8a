#include "indexing.h"

#include <cstring>

#include "errors.h"
#include "interop.h"
#include "tensor_object.h"
#include "values.h"
#include "gil.h"
#include "taut/ops/ops.h"
#if __has_include("taut/ops/indexing.h")
#include "taut/ops/indexing.h"
#define TAUT_HAS_INDEXING 1
#endif

namespace py = pybind11;

namespace taut::python {
namespace {

bool is_array(PyObject* object) {
  return std::strcmp(Py_TYPE(object)->tp_name, "numpy.ndarray") == 0;
}

/// Items that select by value: masks, tensors and lists of indices.
bool is_advanced(PyObject* item) {
  if (is_tensor(item)) {
    const Tensor& tensor = tensor_of(item);
    return tensor.dim() > 0 || tensor.dtype() == kBool;
  }
  return PyBool_Check(item) || PyList_Check(item) || PyTuple_Check(item) || is_array(item);
}

/// As in PyTorch, `x[[0, 1]]` is an index list, and `x[[0, slice(1)]]` a tuple.
bool is_list_of_items(PyObject* key) {
  if (!PyList_Check(key)) return false;
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); ++i) {
    PyObject* item = PyList_GET_ITEM(key, i);
    if (item == Py_None || item == Py_Ellipsis || PySlice_Check(item)) return true;
  }
  return false;
}

/// Reads the parts of a key one after the other and applies those that make a view.
class Indexer {
 public:
  explicit Indexer(const Tensor& tensor) : view_(tensor) {}

  void apply(PyObject* key) {
    py::object items;
    if (PyTuple_Check(key)) {
      items = py::reinterpret_borrow<py::object>(key);
    } else if (is_list_of_items(key)) {
      items = py::reinterpret_steal<py::object>(PyList_AsTuple(key));
    } else {
      items = py::reinterpret_steal<py::object>(PyTuple_Pack(1, key));
    }
    const Py_ssize_t count = PyTuple_GET_SIZE(items.ptr());
    int named = 0;
    for (Py_ssize_t i = 0; i < count; ++i) named += dims_of(PyTuple_GET_ITEM(items.ptr(), i));
    TAUT_CHECK(named <= view_.dim(), IndexError, "too many indices: got ", named,
               " for a tensor of shape ", view_.shape());
    const int hidden = view_.dim() - named;  // what an Ellipsis stands for
    for (Py_ssize_t i = 0; i < count; ++i) apply_item(PyTuple_GET_ITEM(items.ptr(), i), hidden);
  }

  const Tensor& view() const { return view_; }
  bool is_plain() const { return !advanced_; }
#ifdef TAUT_HAS_INDEXING
  const std::vector<std::optional<Tensor>>& indices() const { return indices_; }
#endif

 private:
  /// How many dims of the tensor an item stands for.
  static int dims_of(PyObject* item) {
    if (item == Py_None || item == Py_Ellipsis || PyBool_Check(item)) return 0;
    if (is_tensor(item) && (tensor_of(item).dtype() == kBool || tensor_of(item).dtype() == kUInt8)) {
      return tensor_of(item).dim();
    }
    if (is_array(item)) {
      const py::handle array(item);
      if (array.attr("dtype").attr("kind").cast<std::string>() == "b") {
        return array.attr("ndim").cast<int>();
      }
    }
    return 1;
  }

  void apply_item(PyObject* item, int hidden) {
    int64_t number = 0;
    if (item == Py_Ellipsis) {
      TAUT_CHECK(!seen_ellipsis_, IndexError, "an index can have one Ellipsis only");
      seen_ellipsis_ = true;
      dim_ += hidden;
    } else if (item == Py_None) {
      view_ = view_.unsqueeze(dim_++);
    } else if (PySlice_Check(item)) {
      apply_slice(item);
    } else if (is_advanced(item)) {
      apply_advanced(item);
    } else if (read(item, number)) {
      const int64_t size = view_.shape()[dim_];
      TAUT_CHECK(number >= -size && number < size, IndexError, "index ", number,
                 " is out of range for dim ", dim_, " of size ", size);
      view_ = view_.select(dim_, number);
    } else if (PyErr_Occurred() != nullptr) {
      throw py::error_already_set();
    } else {
      throw py::index_error(concat(
          "a tensor is indexed by ints, slices, None, Ellipsis, bool masks and integer tensors; got ",
          Py_TYPE(item)->tp_name));
    }
  }

  void apply_slice(PyObject* item) {
    Py_ssize_t start = 0, stop = 0, step = 0;
    if (PySlice_Unpack(item, &start, &stop, &step) < 0) throw py::error_already_set();
    TAUT_CHECK(step > 0, ValueError, "slice step must be greater than zero; got ",
               static_cast<int64_t>(step), "; use flip()");
    const int64_t size = view_.shape()[dim_];
    if (!(start == 0 && stop >= size && step == 1)) {
      view_ = view_.slice(dim_, start, stop, step);
    }
    ++dim_;
  }

  void apply_advanced([[maybe_unused]] PyObject* item) {
    advanced_ = true;
#ifdef TAUT_HAS_INDEXING
    if (PyBool_Check(item)) {
      // A new dim of size 1, kept or dropped.
      view_ = view_.unsqueeze(dim_);
      put_index(full({1}, item == Py_True, kBool), 1);
      return;
    }
    Tensor index = is_tensor(item) ? tensor_of(item) : tensor_from(item, {}, {});
    if (index.numel() == 0 && !is_tensor(item) && index.is_floating_point()) index = index.to(kInt64);
    if (index.dim() == 0 && index.dtype() == kBool) {
      view_ = view_.unsqueeze(dim_);
      put_index(index.unsqueeze(0), 1);
      return;
    }
    const bool is_mask = index.dtype() == kBool || index.dtype() == kUInt8;
    put_index(index, is_mask ? index.dim() : 1);
#else
    TAUT_CHECK(false, NotImplementedError, "indexing by masks and index tensors is not there yet");
#endif
  }

#ifdef TAUT_HAS_INDEXING
  void put_index(const Tensor& index, int dims) {
    indices_.resize(static_cast<size_t>(dim_));
    indices_.emplace_back(index);
    dim_ += dims;
    // A mask of several dims stands for as many indices; the C++ side counts them itself.
    mask_dims_ += dims - 1;
  }
  std::vector<std::optional<Tensor>> indices_;
  int mask_dims_ = 0;
#endif

  Tensor view_;
  int dim_ = 0;
  bool seen_ellipsis_ = false;
  bool advanced_ = false;
};

/// `value` without leading dims of size 1 that the target does not have, as PyTorch's assignment takes it.
Tensor fit_value(Tensor value, int rank) {
  while (value.dim() > rank && value.shape()[0] == 1) value = value.squeeze(0);
  return value;
}

void assign(const Tensor& target, PyObject* value) {
  Scalar number;
  if (is_tensor(value)) {
    const Tensor& source = tensor_of(value);
    const Unlocked unlocked(target.numel() > kLargeWork);
    target.copy_(fit_value(source, target.dim()));
  } else if (read(value, number)) {
    const Unlocked unlocked(target.numel() > kLargeWork);
    target.fill_(number);
  } else if (PyErr_Occurred() != nullptr) {
    throw py::error_already_set();
  } else {
    target.copy_(fit_value(tensor_from(value, target.dtype(), target.device()), target.dim()));
  }
}

}  // namespace

PyObject* get_item(PyObject* self, PyObject* key) {
  try {
    const Tensor& tensor = tensor_of(self);
    if (PyLong_CheckExact(key) && tensor.dim() > 0) {  // the common case, without ceremony
      int64_t index = 0;
      if (!read(key, index)) return nullptr;
      const int64_t size = tensor.shape()[0];
      TAUT_CHECK(index >= -size && index < size, IndexError, "index ", index,
                 " is out of range for dim 0 of size ", size);
      return wrap(tensor.select(0, index));
    }
    Indexer indexer(tensor);
    indexer.apply(key);
    if (indexer.is_plain()) {
      // Always a new view, never the tensor itself.
      return wrap(indexer.view().is_same(tensor) ? alias(tensor) : indexer.view());
    }
#ifdef TAUT_HAS_INDEXING
    Tensor result = [&] {
      const Unlocked unlocked(tensor.numel() > kLargeWork);
      return index(indexer.view(), indexer.indices());
    }();
    return wrap(std::move(result));
#else
    return nullptr;
#endif
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

int set_item(PyObject* self, PyObject* key, PyObject* value) {
  try {
    const Tensor& tensor = tensor_of(self);
    if (value == nullptr) throw py::type_error("elements of a tensor cannot be deleted");
    Indexer indexer(tensor);
    indexer.apply(key);
    if (indexer.is_plain()) {
      assign(indexer.view(), value);
      return 0;
    }
#ifdef TAUT_HAS_INDEXING
    const Tensor source = is_tensor(value)
                              ? tensor_of(value)
                              : tensor_from(value, tensor.dtype(), tensor.device());
    const Unlocked unlocked(tensor.numel() > kLargeWork);
    index_put_(indexer.view(), indexer.indices(), to(source, TensorOptions(tensor.dtype()).device(tensor.device())));
#endif
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

}  // namespace taut::python
