#include "values.h"

#include <structmember.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "errors.h"
#include "taut/base/check.h"
#include "tensor_object.h"

namespace py = pybind11;

namespace taut::python {
namespace {

struct DTypeObject {
  PyObject_HEAD DType dtype;
};
struct DeviceObject {
  PyObject_HEAD Device device;
};
struct FormatObject {
  PyObject_HEAD MemoryFormat format;
};

PyTypeObject* dtype_type = nullptr;
PyTypeObject* device_type = nullptr;
PyTypeObject* format_type = nullptr;
PyTypeObject* size_type = nullptr;
PyObject* dtype_objects[kDTypeCount];

template <class T>
T* as(PyObject* object) {
  return reinterpret_cast<T*>(object);
}

PyObject* text(std::string_view value) {
  return PyUnicode_FromStringAndSize(value.data(), static_cast<Py_ssize_t>(value.size()));
}

PyTypeObject* make_type(py::module_& module, PyType_Spec& spec, PyTypeObject* base = nullptr) {
  PyObject* type = base == nullptr ? PyType_FromSpec(&spec)
                                   : PyType_FromSpecWithBases(
                                         &spec, py::make_tuple(py::handle((PyObject*)base)).ptr());
  if (type == nullptr) throw py::error_already_set();
  module.add_object(std::strrchr(spec.name, '.') + 1, py::handle(type));
  return reinterpret_cast<PyTypeObject*>(type);
}

// dtype ------------------------------------------------------------------------------------------

DType dtype_of(PyObject* object) { return as<DTypeObject>(object)->dtype; }

PyObject* dtype_repr(PyObject* self) { return text("taut." + std::string(name(dtype_of(self)))); }
/// Pickled by name, so that it stays the one object.
PyObject* dtype_reduce(PyObject* self, PyObject*) { return text(name(dtype_of(self))); }
PyObject* dtype_name(PyObject* self, void*) { return text(name(dtype_of(self))); }
PyObject* dtype_itemsize(PyObject* self, void*) {
  return PyLong_FromSize_t(item_size(dtype_of(self)));
}
PyObject* dtype_is_floating(PyObject* self, void*) {
  return PyBool_FromLong(is_floating_point(dtype_of(self)));
}
PyObject* dtype_is_complex(PyObject*, void*) { return PyBool_FromLong(0); }
PyObject* dtype_is_signed(PyObject* self, void*) {
  return PyBool_FromLong(dtype_of(self) != DType::uint8 && dtype_of(self) != DType::bool_);
}

PyGetSetDef dtype_members[] = {{"name", dtype_name, nullptr, nullptr, nullptr},
                               {"itemsize", dtype_itemsize, nullptr, nullptr, nullptr},
                               {"is_floating_point", dtype_is_floating, nullptr, nullptr, nullptr},
                               {"is_complex", dtype_is_complex, nullptr, nullptr, nullptr},
                               {"is_signed", dtype_is_signed, nullptr, nullptr, nullptr},
                               {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef dtype_methods[] = {{"__reduce__", dtype_reduce, METH_NOARGS, nullptr},
                               {nullptr, nullptr, 0, nullptr}};

void bind_dtypes(py::module_& module) {
  static constexpr char kDoc[] =
      "What the elements of a tensor are: taut.float32, taut.int64, taut.bool and so on.";
  PyType_Slot slots[] = {{Py_tp_doc, (void*)kDoc},
                         {Py_tp_repr, (void*)dtype_repr},
                         {Py_tp_getset, dtype_members},
                         {Py_tp_methods, dtype_methods},
                         {0, nullptr}};
  PyType_Spec spec = {"taut.dtype", sizeof(DTypeObject), 0, Py_TPFLAGS_DEFAULT, slots};
  dtype_type = make_type(module, spec);
  dtype_type->tp_new = nullptr;  // there are exactly those below
  for (int i = 0; i < kDTypeCount; ++i) {
    PyObject* object = dtype_type->tp_alloc(dtype_type, 0);
    as<DTypeObject>(object)->dtype = static_cast<DType>(i);
    dtype_objects[i] = object;
    const std::string dtype_name_text(name(static_cast<DType>(i)));
    module.add_object(dtype_name_text.c_str(), py::handle(object));
  }
  const struct {
    const char* alias;
    DType dtype;
  } aliases[] = {{"float", DType::float32}, {"double", DType::float64}, {"half", DType::float16},
                 {"short", DType::int16},   {"int", DType::int32},      {"long", DType::int64}};
  for (const auto& [alias, dtype] : aliases) {
    module.add_object(alias, py::handle(dtype_objects[static_cast<int>(dtype)]));
  }
}

// device -----------------------------------------------------------------------------------------

PyObject* device_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static const char* names[] = {"type", "index", nullptr};
  PyObject* first = nullptr;
  PyObject* index = Py_None;
  if (PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:device", const_cast<char**>(names), &first,
                                  &index) == 0) {
    return nullptr;
  }
  Device device;
  if (!read(first, device)) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_Format(PyExc_TypeError,
                   "device: expected a name such as 'cuda:0', an index or a device; got %.100s",
                   Py_TYPE(first)->tp_name);
    }
    return nullptr;
  }
  if (index != Py_None) {
    int64_t number = 0;
    if (!read(index, number) || number < 0 || number > 127) {
      if (PyErr_Occurred() == nullptr) {
        PyErr_SetString(PyExc_ValueError, "device: index must be an int from 0 on");
      }
      return nullptr;
    }
    device = Device(device.type(), static_cast<int>(number));
  }
  PyObject* self = type->tp_alloc(type, 0);
  if (self != nullptr) as<DeviceObject>(self)->device = device;
  return self;
}

Device device_of(PyObject* object) { return as<DeviceObject>(object)->device; }

PyObject* device_str(PyObject* self) { return text(device_of(self).str()); }
PyObject* device_repr(PyObject* self) {
  const Device device = device_of(self);
  return device.is_cpu() ? text("device(type='cpu')")
                         : text(concat("device(type='cuda', index=", device.index(), ")"));
}
PyObject* device_type_name(PyObject* self, void*) {
  return text(device_of(self).is_cpu() ? "cpu" : "cuda");
}
PyObject* device_index(PyObject* self, void*) {
  if (device_of(self).is_cpu()) Py_RETURN_NONE;
  return PyLong_FromLong(device_of(self).index());
}
PyObject* device_compare(PyObject* a, PyObject* b, int op) {
  if (Py_TYPE(a) != device_type || Py_TYPE(b) != device_type || (op != Py_EQ && op != Py_NE)) {
    Py_RETURN_NOTIMPLEMENTED;
  }
  return PyBool_FromLong((device_of(a) == device_of(b)) == (op == Py_EQ));
}
Py_hash_t device_hash(PyObject* self) {
  return static_cast<Py_hash_t>(device_of(self).type()) * 1024 + device_of(self).index() + 1;
}
PyObject* device_reduce(PyObject* self, PyObject*) {
  return Py_BuildValue("O(s)", device_type, device_of(self).str().c_str());
}

PyGetSetDef device_members[] = {{"type", device_type_name, nullptr, nullptr, nullptr},
                                {"index", device_index, nullptr, nullptr, nullptr},
                                {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMethodDef device_methods[] = {{"__reduce__", device_reduce, METH_NOARGS, nullptr},
                                {nullptr, nullptr, 0, nullptr}};

void bind_device(py::module_& module) {
  static constexpr char kDoc[] =
      "Where a tensor lies: device('cpu'), device('cuda'), device('cuda', 1) or device('cuda:1').";
  PyType_Slot slots[] = {{Py_tp_doc, (void*)kDoc},
                         {Py_tp_new, (void*)device_new},
                         {Py_tp_repr, (void*)device_repr},
                         {Py_tp_str, (void*)device_str},
                         {Py_tp_richcompare, (void*)device_compare},
                         {Py_tp_hash, (void*)device_hash},
                         {Py_tp_getset, device_members},
                         {Py_tp_methods, device_methods},
                         {0, nullptr}};
  PyType_Spec spec = {"taut.device", sizeof(DeviceObject), 0, Py_TPFLAGS_DEFAULT, slots};
  device_type = make_type(module, spec);
}

// memory_format ----------------------------------------------------------------------------------

constexpr const char* kFormatNames[] = {"contiguous_format", "channels_last", "preserve_format"};

PyObject* format_repr(PyObject* self) {
  return text(concat("taut.", kFormatNames[static_cast<int>(as<FormatObject>(self)->format)]));
}
PyObject* format_reduce(PyObject* self, PyObject*) {
  return text(kFormatNames[static_cast<int>(as<FormatObject>(self)->format)]);
}
PyMethodDef format_methods[] = {{"__reduce__", format_reduce, METH_NOARGS, nullptr},
                                {nullptr, nullptr, 0, nullptr}};

void bind_memory_format(py::module_& module) {
  static constexpr char kDoc[] =
      "The order of elements in memory: taut.contiguous_format, taut.channels_last or "
      "taut.preserve_format.";
  PyType_Slot slots[] = {{Py_tp_doc, (void*)kDoc},
                         {Py_tp_repr, (void*)format_repr},
                         {Py_tp_methods, format_methods},
                         {0, nullptr}};
  PyType_Spec spec = {"taut.memory_format", sizeof(FormatObject), 0, Py_TPFLAGS_DEFAULT, slots};
  format_type = make_type(module, spec);
  format_type->tp_new = nullptr;
  for (int i = 0; i < 3; ++i) {
    PyObject* object = format_type->tp_alloc(format_type, 0);
    as<FormatObject>(object)->format = static_cast<MemoryFormat>(i);
    module.add_object(kFormatNames[i], py::handle(object));
  }
  module.attr("channels_last_3d") = module.attr("channels_last");
}

// Size -------------------------------------------------------------------------------------------

/// `result` (a new reference to a tuple, or null) as a Size.
PyObject* size_from_tuple(PyObject* result) {
  if (result == nullptr || Py_TYPE(result) == size_type || !PyTuple_Check(result)) return result;
  const Py_ssize_t count = PyTuple_GET_SIZE(result);
  PyObject* size = size_type->tp_alloc(size_type, count);
  for (Py_ssize_t i = 0; size != nullptr && i < count; ++i) {
    PyTuple_SET_ITEM(size, i, new_reference(PyTuple_GET_ITEM(result, i)));
  }
  Py_DECREF(result);
  return size;
}

PyObject* size_repr(PyObject* self) {
  std::string result = "taut.Size([";
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
    if (i > 0) result += ", ";
    const py::str item = py::repr(py::handle(PyTuple_GET_ITEM(self, i)));
    result += static_cast<std::string>(item);
  }
  return text(result + "])");
}
PyObject* size_concat(PyObject* a, PyObject* b) {
  return size_from_tuple(PyTuple_Type.tp_as_sequence->sq_concat(a, b));
}
PyObject* size_repeat(PyObject* self, Py_ssize_t count) {
  return size_from_tuple(PyTuple_Type.tp_as_sequence->sq_repeat(self, count));
}
PyObject* size_subscript(PyObject* self, PyObject* key) {
  PyObject* item = PyTuple_Type.tp_as_mapping->mp_subscript(self, key);
  return PySlice_Check(key) ? size_from_tuple(item) : item;
}
PyObject* size_numel(PyObject* self, PyObject*) {
  PyObject* product = PyLong_FromLong(1);
  for (Py_ssize_t i = 0; product != nullptr && i < PyTuple_GET_SIZE(self); ++i) {
    PyObject* next = PyNumber_Multiply(product, PyTuple_GET_ITEM(self, i));
    Py_DECREF(product);
    product = next;
  }
  return product;
}
PyObject* size_reduce(PyObject* self, PyObject*) {
  return Py_BuildValue("O(N)", size_type, PySequence_List(self));
}
PyMethodDef size_methods[] = {{"numel", size_numel, METH_NOARGS, "The product of the sizes."},
                              {"__reduce__", size_reduce, METH_NOARGS, nullptr},
                              {nullptr, nullptr, 0, nullptr}};

void bind_size(py::module_& module) {
  static constexpr char kDoc[] = "The shape of a tensor: a tuple that knows its numel().";
  PyType_Slot slots[] = {{Py_tp_doc, (void*)kDoc},
                         {Py_tp_repr, (void*)size_repr},
                         {Py_sq_concat, (void*)size_concat},
                         {Py_sq_repeat, (void*)size_repeat},
                         {Py_mp_subscript, (void*)size_subscript},
                         {Py_tp_methods, size_methods},
                         {0, nullptr}};
  PyType_Spec spec = {"taut.Size", 0, 0, Py_TPFLAGS_DEFAULT, slots};
  size_type = make_type(module, spec, &PyTuple_Type);
}

// Numbers ----------------------------------------------------------------------------------------

bool read_integer(PyObject* object, int64_t& value) {
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
  if (overflow != 0) {
    PyErr_SetString(PyExc_OverflowError, "an int does not fit in 64 bits");
    return false;
  }
  value = number;
  return true;
}

}  // namespace

bool is_numpy_scalar(PyObject* object) {
  const char* type_name = Py_TYPE(object)->tp_name;
  return std::strncmp(type_name, "numpy.", 6) == 0 &&
         std::strcmp(type_name, "numpy.ndarray") != 0 && std::strcmp(type_name, "numpy.dtype") != 0;
}

bool is_integer(PyObject* object) {
  if (PyLong_Check(object)) return !PyBool_Check(object);
  if (is_tensor(object)) {
    const Tensor& tensor = tensor_of(object);
    return tensor.defined() && tensor.dim() == 0 && is_integral(tensor.dtype());
  }
  return PyIndex_Check(object) && is_numpy_scalar(object) &&
         std::strncmp(Py_TYPE(object)->tp_name, "numpy.bool", 10) != 0;
}

bool read(PyObject* object, int64_t& value) {
  if (PyLong_CheckExact(object)) return read_integer(object, value);
  if (!is_integer(object)) return false;
  PyObject* number = PyNumber_Index(object);
  if (number == nullptr) return false;
  const bool done = read_integer(number, value);
  Py_DECREF(number);
  return done;
}

bool read(PyObject* object, bool& value) {
  if (object == Py_True || object == Py_False) {
    value = object == Py_True;
    return true;
  }
  if (!is_numpy_scalar(object) || std::strncmp(Py_TYPE(object)->tp_name, "numpy.bool", 10) != 0) {
    return false;
  }
  value = PyObject_IsTrue(object) == 1;
  return true;
}

bool read(PyObject* object, double& value) {
  if (PyFloat_CheckExact(object)) {
    value = PyFloat_AS_DOUBLE(object);
    return true;
  }
  const bool is_number = PyFloat_Check(object) || PyLong_Check(object) || is_numpy_scalar(object) ||
                         (is_tensor(object) && tensor_of(object).numel() == 1);
  if (!is_number) return false;
  value = PyFloat_AsDouble(object);
  return value != -1.0 || PyErr_Occurred() == nullptr;
}

bool read(PyObject* object, Scalar& scalar) {
  if (PyFloat_CheckExact(object)) {
    scalar = Scalar(PyFloat_AS_DOUBLE(object));
    return true;
  }
  bool boolean = false;
  if (PyLong_Check(object) && !PyBool_Check(object)) {
    int64_t integer = 0;
    if (!read_integer(object, integer)) return false;
    scalar = Scalar(integer);
    return true;
  }
  if (read(object, boolean)) {
    scalar = Scalar(boolean);
    return true;
  }
  if (is_tensor(object)) {
    const Tensor& tensor = tensor_of(object);
    if (!tensor.defined() || tensor.dim() != 0 || tensor.requires_grad()) return false;
    scalar = tensor.item();
    return true;
  }
  int64_t integer = 0;
  if (is_integer(object)) {
    if (!read(object, integer)) return false;
    scalar = Scalar(integer);
    return true;
  }
  double floating = 0;
  if (!read(object, floating)) return false;
  scalar = Scalar(floating);
  return true;
}

bool read(PyObject* object, Dims& dims) {
  int64_t value = 0;
  if (!PyTuple_Check(object) && !PyList_Check(object)) {
    if (!read(object, value)) return false;
    dims = Dims{value};
    return true;
  }
  const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
  if (count > kMaxRank) {
    PyErr_Format(PyExc_ValueError, "tensors have at most %d dims; got %zd", kMaxRank, count);
    return false;
  }
  dims = Dims();
  for (Py_ssize_t i = 0; i < count; ++i) {
    if (!read(PySequence_Fast_GET_ITEM(object, i), value)) return false;
    dims.push_back(value);
  }
  return true;
}

bool read(PyObject* object, DType& dtype) {
  if (Py_TYPE(object) == dtype_type) {
    dtype = dtype_of(object);
    return true;
  }
  if (!PyType_Check(object)) return false;
  if (object == (PyObject*)&PyFloat_Type) {
    dtype = DType::float64;
  } else if (object == (PyObject*)&PyBool_Type) {
    dtype = DType::bool_;
  } else if (object == (PyObject*)&PyLong_Type) {
    dtype = DType::int64;
  } else {
    return false;
  }
  return true;
}

bool read(PyObject* object, Device& device) {
  if (Py_TYPE(object) == device_type) {
    device = device_of(object);
    return true;
  }
  if (PyUnicode_Check(object)) {
    Py_ssize_t length = 0;
    const char* characters = PyUnicode_AsUTF8AndSize(object, &length);
    if (characters == nullptr) return false;
    try {
      device = Device(std::string_view(characters, static_cast<size_t>(length)));
    } catch (...) {
      set_python_error();
      return false;
    }
    return true;
  }
  int64_t index = 0;
  if (!PyLong_CheckExact(object) || !read_integer(object, index)) return false;
  if (index < 0 || index > 127) return false;
  device = Device(DeviceType::cuda, static_cast<int>(index));
  return true;
}

bool read(PyObject* object, MemoryFormat& format) {
  if (Py_TYPE(object) != format_type) return false;
  format = as<FormatObject>(object)->format;
  return true;
}

PyObject* to_object(DType dtype) { return new_reference(dtype_objects[static_cast<int>(dtype)]); }

PyObject* to_object(Device device) {
  PyObject* object = device_type->tp_alloc(device_type, 0);
  if (object != nullptr) as<DeviceObject>(object)->device = device;
  return object;
}

PyObject* to_object(const Dims& shape) {
  PyObject* size = size_type->tp_alloc(size_type, shape.rank());
  for (int i = 0; size != nullptr && i < shape.rank(); ++i) {
    PyTuple_SET_ITEM(size, i, PyLong_FromLongLong(shape[i]));
  }
  return size;
}

PyObject* to_object(const Scalar& scalar) {
  if (scalar.is_boolean()) return PyBool_FromLong(scalar.to_bool());
  if (scalar.is_integral()) return PyLong_FromLongLong(scalar.to_int64());
  return PyFloat_FromDouble(scalar.to_double());
}

void bind_values(py::module_& module) {
  bind_dtypes(module);
  bind_device(module);
  bind_memory_format(module);
  bind_size(module);
}

}  // namespace taut::python
