#include "adaptive_size.h"

namespace taut::python {
namespace {

constexpr int64_t kKept = -1;

bool read_part(PyObject* object, int64_t& size) {
  if (object == Py_None) {
    size = kKept;
    return true;
  }
  if (!read(object, size)) return false;
  if (size >= 0) return true;
  PyErr_Format(PyExc_ValueError, "output_size must be None or at least 0; got %lld",
               static_cast<long long>(size));
  return false;
}

PyObject* part_to_object(int64_t size) {
  return size == kKept ? new_reference(Py_None) : PyLong_FromLongLong(size);
}

}  // namespace

bool read(PyObject* object, nn::functional::AdaptiveSize& size) {
  int64_t part = 0;
  if (!PyTuple_Check(object) && !PyList_Check(object)) {
    if (!read_part(object, part)) return false;
    size = nn::functional::AdaptiveSize(part);
    return true;
  }
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
  if (count > kMaxRank) {
    PyErr_Format(PyExc_ValueError, "output_size has at most 3 parts; got %zd", count);
    return false;
  }
  Dims sizes;
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!read_part(PySequence_Fast_GET_ITEM(object, i), part)) return false;
    sizes.push_back(part);
  }
  size = nn::functional::AdaptiveSize(sizes);
  return true;
}

PyObject* to_object(const nn::functional::AdaptiveSize& size) {
  const Dims& sizes = size.values();
  if (!size.is_list()) return part_to_object(sizes[0]);
  PyObject* tuple = PyTuple_New(sizes.rank());
  for (int i = 0; tuple != nullptr && i < sizes.rank(); ++i) {
    PyTuple_SET_ITEM(tuple, i, part_to_object(sizes[i]));
  }
  return tuple;
}

}  // namespace taut::python
