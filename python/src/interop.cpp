#include "interop.h"

#include <pybind11/numpy.h>

#include <cstring>
#include <string>
#include <vector>

#include "op_rows.h"
#include "taut/autograd/grad_mode.h"
#include "taut/core/scalar_range.h"
#include "taut/ops/ops.h"

namespace py = pybind11;

namespace taut::python {
namespace {

// Numbers ----------------------------------------------------------------------------------------

DType dtype_from_numpy(const char* what, const py::dtype& type) {
  const char kind = type.kind();
  const auto size = type.itemsize();
  const bool native = type.attr("isnative").cast<bool>();
  if (native) {
    if (kind == 'b') return DType::bool_;
    if (kind == 'u' && size == 1) return DType::uint8;
    if (kind == 'i' && size == 1) return DType::int8;
    if (kind == 'i' && size == 2) return DType::int16;
    if (kind == 'i' && size == 4) return DType::int32;
    if (kind == 'i' && size == 8) return DType::int64;
    if (kind == 'f' && size == 2) return DType::float16;
    if (kind == 'f' && size == 4) return DType::float32;
    if (kind == 'f' && size == 8) return DType::float64;
  }
  throw py::type_error(std::string(what) + " of " + py::cast<std::string>(py::str(type)) +
                       " cannot become a tensor; expected float64, float32, float16, int64, int32, "
                       "int16, int8, uint8 or bool in native byte order");
}

/// A number and the dtype that a tensor of it has.
struct TypedNumber {
  Scalar value;
  DType dtype;
};

/// Scalars of NumPy and tensors keep their dtype.
TypedNumber typed_number(PyObject* object, DTypeOpt wanted) {
  if (is_tensor(object)) return {tensor_of(object).item(), tensor_of(object).dtype()};
  if (!wanted && is_numpy_scalar(object)) {
    const auto type = py::cast<py::dtype>(py::handle(object).attr("dtype"));
    wanted = dtype_from_numpy("a number", type);
  }
  Scalar value;
  if (!read(object, value)) {
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    throw py::type_error(concat("tensor: numbers, lists and arrays make a tensor; got a ",
                                Py_TYPE(object)->tp_name));
  }
  return {value, wanted.value_or(value.dtype())};
}

// Nested lists -----------------------------------------------------------------------------------

bool is_sequence(PyObject* object) { return PyList_Check(object) || PyTuple_Check(object); }
bool is_array(PyObject* object) {
  return std::strncmp(Py_TYPE(object)->tp_name, "numpy.ndarray", 13) == 0;
}

/// Finds the shape of nested lists and the dtype that holds all their numbers, which it reads.
class NestedLists {
 public:
  NestedLists(PyObject* data, DTypeOpt wanted) : wanted_(wanted) {
    for (PyObject* level = data; is_sequence(level);) {
      const Py_ssize_t count = PySequence_Fast_GET_SIZE(level);
      shape_.push_back(count);
      if (count == 0) break;
      level = PySequence_Fast_GET_ITEM(level, 0);
    }
    reals_.reserve(static_cast<size_t>(shape_.numel()));
    visit(data, 0);
  }

  Tensor make(DeviceOpt device) const {
    // Integers are read as such: a double does not hold all of them.
    const Tensor result = empty(shape_, has_reals_ ? kFloat64 : kInt64);
    if (result.numel() > 0) {
      const void* source = has_reals_ ? static_cast<const void*>(reals_.data())
                                      : static_cast<const void*>(integers_.data());
      std::memcpy(result.data_ptr(), source, result.nbytes());
    }
    const DType dtype = wanted_ ? *wanted_ : natural_.value_or(get_default_dtype());
    return to(result, TensorOptions().dtype(dtype).device(device));
  }

 private:
  void visit(PyObject* object, int depth) {
    if (depth < shape_.rank()) {
      if (!is_sequence(object)) {
        throw py::value_error(concat("tensor: expected a list of ", shape_[depth], " at depth ",
                                     depth, "; got a ", Py_TYPE(object)->tp_name));
      }
      const Py_ssize_t count = PySequence_Fast_GET_SIZE(object);
      if (count != shape_[depth]) {
        throw py::value_error(concat("tensor: lists at depth ", depth, " differ in length; got ",
                                     static_cast<int64_t>(count), "; expected ", shape_[depth]));
      }
      for (Py_ssize_t i = 0; i < count; ++i) visit(PySequence_Fast_GET_ITEM(object, i), depth + 1);
      return;
    }
    if (is_sequence(object)) {
      throw py::value_error(concat("tensor: a list where a number was expected, at depth ", depth));
    }
    add(typed_number(object, wanted_));
  }

  void add(const TypedNumber& number) {
    if (natural_ != number.dtype) {
      natural_ = natural_ ? promote_types(*natural_, number.dtype) : number.dtype;
    }
    if (wanted_ && is_integral(*wanted_)) check_holds("tensor", *wanted_, number.value);
    const bool is_real = number.value.is_floating_point();
    has_reals_ |= is_real;
    reals_.push_back(number.value.to_double());
    integers_.push_back(is_real ? 0 : number.value.to_int64());
  }

  DTypeOpt wanted_;
  DTypeOpt natural_;
  Dims shape_;
  bool has_reals_ = false;
  std::vector<double> reals_;
  std::vector<int64_t> integers_;
};

// NumPy ------------------------------------------------------------------------------------------

py::dtype numpy_dtype(DType dtype) {
  if (dtype == DType::bfloat16) {
    throw py::type_error("numpy: NumPy has no bfloat16; convert with .float() first");
  }
  return py::dtype(std::string(name(dtype)));
}

void drop_reference(void*, size_t, void* context) noexcept {
  if (Py_IsInitialized() == 0) return;
  const Locked locked;
  Py_DECREF(static_cast<PyObject*>(context));
}

/// Kernels count on a bool to be 0 or 1, while other libraries take every byte but 0 for true:
/// memory with such bytes is not shared but copied. Iff `wants_shared`, that is warned of.
Tensor with_bools_of_one(const char* op, const Tensor& shared, bool wants_shared = true) {
  if (shared.dtype() != kBool || shared.numel() == 0 || !shared.is_cpu()) return shared;
  const Tensor bytes = from_blob(shared.data_ptr(), shared.shape(), kUInt8, shared.strides());
  if (max(bytes).item<int64_t>() <= 1) return shared;
  if (wants_shared) {
    const std::string text =
        concat(op, ": the array has bools that are neither 0 nor 1; the tensor is a copy");
    PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1);
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  }
  return ne(bytes, 0);
}

Tensor from_numpy(const py::object& object, bool wants_shared = true) {
  if (!py::isinstance<py::array>(object)) {
    throw py::type_error(std::string("from_numpy: expected numpy.ndarray; got ") +
                         Py_TYPE(object.ptr())->tp_name);
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  const DType dtype = dtype_from_numpy("an array", array.dtype());
  if (!array.writeable()) {
    PyErr_WarnEx(PyExc_UserWarning,
                 "the array is read-only, but the tensor that shares its memory can be written to",
                 1);
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  }
  TAUT_CHECK(array.ndim() <= kMaxRank, ShapeError, "from_numpy: tensors have at most ", kMaxRank,
             " dims; got ", static_cast<int64_t>(array.ndim()));
  Dims shape;
  Dims strides;
  for (int i = 0; i < static_cast<int>(array.ndim()); ++i) {
    shape.push_back(array.shape(i));
    const auto stride = static_cast<int64_t>(array.strides(i));
    const auto item = static_cast<int64_t>(item_size(dtype));
    TAUT_CHECK(stride >= 0 && stride % item == 0, ValueError, "from_numpy: dim ", i,
               " has a stride of ", stride, " bytes; tensors take multiples of ", item,
               " from 0 on; copy the array first");
    strides.push_back(stride / item);
  }
  Py_INCREF(object.ptr());
  const Tensor shared = from_blob(const_cast<void*>(array.data()), shape, dtype, strides,
                                  drop_reference, object.ptr());
  return with_bools_of_one("from_numpy", shared, wants_shared);
}

/// An array over the tensor's memory, which it keeps alive.
py::array array_over(const Tensor& tensor) {
  std::vector<py::ssize_t> shape(tensor.shape().begin(), tensor.shape().end());
  std::vector<py::ssize_t> strides;
  for (int64_t stride : tensor.strides()) {
    strides.push_back(stride * static_cast<py::ssize_t>(tensor.element_size()));
  }
  const py::dtype dtype = numpy_dtype(tensor.dtype());
  const py::capsule owner(new Tensor(tensor),
                          [](void* kept) { delete static_cast<Tensor*>(kept); });
  return py::array(dtype, shape, strides, tensor.data_ptr(), owner);
}

py::object to_numpy(const py::handle& self, bool force) {
  Tensor tensor = tensor_of(self.ptr());
  if (force) {
    tensor = tensor.detach().cpu();
  } else {
    TAUT_CHECK(!tensor.requires_grad(), AutogradError,
               "numpy: the tensor requires grad; use tensor.detach().numpy()");
    TAUT_CHECK(tensor.is_cpu(), DTypeError, "numpy: the tensor is on ", tensor.device(),
               "; use tensor.cpu().numpy()");
  }
  return array_over(tensor);
}

// Lists ------------------------------------------------------------------------------------------

py::object list_of(const Tensor& tensor) {
  if (tensor.dim() == 0) return py::reinterpret_steal<py::object>(to_object(tensor.item()));
  const int64_t count = tensor.shape()[0];
  py::list list(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    PyList_SET_ITEM(list.ptr(), i, list_of(tensor.select(0, i)).release().ptr());
  }
  return list;
}

/// The innermost lists are read straight from memory.
template <class T>
PyObject* nested_list(const T*& values, const Dims& shape, int dim) {
  const auto count = static_cast<Py_ssize_t>(shape[dim]);
  PyObject* list = PyList_New(count);
  for (Py_ssize_t i = 0; list != nullptr && i < count; ++i) {
    PyObject* item =
        dim + 1 < shape.rank() ? nested_list(values, shape, dim + 1) : to_object(Scalar(*values++));
    PyList_SET_ITEM(list, i, item);
  }
  return list;
}

py::object to_list(const py::handle& self) {
  const NoGradGuard no_grad;
  const Tensor tensor = tensor_of(self.ptr()).detach().cpu();
  if (tensor.dim() == 0) return list_of(tensor);
  const auto read_as = [&]<class T>(DType dtype, const T*) {
    const Tensor source = tensor.to(dtype).contiguous();
    const T* values = source.numel() > 0 ? source.data_ptr<T>() : nullptr;
    return py::reinterpret_steal<py::object>(nested_list(values, source.shape(), 0));
  };
  if (tensor.is_floating_point()) return read_as(kFloat64, static_cast<const double*>(nullptr));
  if (tensor.dtype() == kBool) return read_as(kBool, static_cast<const bool*>(nullptr));
  return read_as(kInt64, static_cast<const int64_t*>(nullptr));
}

// DLPack -----------------------------------------------------------------------------------------
// The structures of the DLPack standard, version 1.0: a C ABI that array libraries share.

struct DLDevice {
  int32_t type;
  int32_t index;
};
struct DLDataType {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t rank;
  DLDataType dtype;
  int64_t* shape;
  int64_t* strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor tensor;
  void* context;
  void (*release)(DLManagedTensor* self);
};
struct DLManagedTensorVersioned {
  uint32_t major;
  uint32_t minor;
  void* context;
  void (*release)(DLManagedTensorVersioned* self);
  uint64_t flags;
  DLTensor tensor;
};

constexpr int32_t kDLCpu = 1, kDLCuda = 2;
constexpr uint64_t kDLFlagCopied = 2;
constexpr uint8_t kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBFloat = 4, kDLBool = 6;

DLDataType dlpack_dtype(DType dtype) {
  const auto bits = static_cast<uint8_t>(8 * item_size(dtype));
  if (dtype == DType::bfloat16) return {kDLBFloat, bits, 1};
  if (is_floating_point(dtype)) return {kDLFloat, bits, 1};
  if (dtype == DType::bool_) return {kDLBool, bits, 1};
  return {dtype == DType::uint8 ? kDLUInt : kDLInt, bits, 1};
}

DType dtype_from_dlpack(const DLDataType& type) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DLDataType known = dlpack_dtype(static_cast<DType>(i));
    if (known.code == type.code && known.bits == type.bits && type.lanes == 1) {
      return static_cast<DType>(i);
    }
  }
  TAUT_CHECK(false, DTypeError, "from_dlpack: no dtype of Taut has DLPack code ",
             static_cast<int>(type.code), ", ", static_cast<int>(type.bits), " bits and ",
             static_cast<int>(type.lanes), " lanes");
  return DType::float32;
}

/// What an exported tensor needs for as long as somebody holds it.
template <class Managed>
struct Exported {
  Managed managed;
  Tensor tensor;
  Dims shape;
  Dims strides;
};

template <class Managed>
py::capsule export_dlpack(const Tensor& tensor, const char* capsule_name, bool copied) {
  auto* exported = new Exported<Managed>{{}, tensor, tensor.shape(), tensor.strides()};
  DLTensor& view = exported->managed.tensor;
  view.data = tensor.data_ptr();
  view.device = tensor.is_cpu() ? DLDevice{kDLCpu, 0} : DLDevice{kDLCuda, tensor.device().index()};
  view.rank = tensor.dim();
  view.dtype = dlpack_dtype(tensor.dtype());
  view.shape = exported->shape.data();
  view.strides = exported->strides.data();
  view.byte_offset = 0;
  exported->managed.context = exported;
  exported->managed.release = [](Managed* self) {
    delete static_cast<Exported<Managed>*>(self->context);
  };
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    exported->managed.major = 1;
    exported->managed.minor = 0;
    exported->managed.flags = copied ? kDLFlagCopied : 0;
  }
  // A consumer renames the capsule; one that keeps its name was never consumed.
  const auto destroy = [](PyObject* capsule) {
    const char* current = PyCapsule_GetName(capsule);
    if (current == nullptr || std::strncmp(current, "used", 4) == 0) return;
    auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, current));
    managed->release(managed);
  };
  PyObject* capsule = PyCapsule_New(&exported->managed, capsule_name, destroy);
  if (capsule == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::capsule>(capsule);
}

py::object dlpack(const py::handle& self, const py::handle& stream, const py::handle& max_version,
                  const py::handle& dl_device, std::optional<bool> copy) {
  Tensor tensor = tensor_of(self.ptr());
  TAUT_CHECK(!tensor.requires_grad(), AutogradError,
             "__dlpack__: the tensor requires grad; use tensor.detach()");
  static_cast<void>(stream);  // work is finished before memory is shown to another library
  if (tensor.is_cuda()) py::module_::import("taut.cuda").attr("synchronize")();
  if (!dl_device.is_none()) {
    const auto wanted = dl_device.cast<std::pair<int, int>>();
    const int type = tensor.is_cpu() ? kDLCpu : kDLCuda;
    if (wanted.first != type) {
      if (copy.has_value() && !*copy) {
        throw py::buffer_error("__dlpack__: another device needs a copy, which copy=False forbids");
      }
      tensor = tensor.to(wanted.first == kDLCpu ? kCPU : Device(DeviceType::cuda, wanted.second));
      copy = std::nullopt;
    }
  }
  const bool copied = copy.value_or(false);
  if (copied) tensor = tensor.clone();
  const bool versioned =
      !max_version.is_none() && max_version.attr("__getitem__")(0).cast<int>() >= 1;
  if (versioned) {
    return export_dlpack<DLManagedTensorVersioned>(tensor, "dltensor_versioned", copied);
  }
  return export_dlpack<DLManagedTensor>(tensor, "dltensor", copied);
}

template <class Managed>
Tensor import_dlpack(PyObject* capsule, const char* name, const char* used_name) {
  auto* managed = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
  if (managed == nullptr) throw py::error_already_set();
  if constexpr (std::is_same_v<Managed, DLManagedTensorVersioned>) {
    TAUT_CHECK(managed->major <= 1, ValueError, "from_dlpack: DLPack version ", managed->major, ".",
               managed->minor, " is not known; expected 1.x");
  }
  const DLTensor& view = managed->tensor;
  TAUT_CHECK(view.rank >= 0 && view.rank <= kMaxRank, ShapeError,
             "from_dlpack: tensors have at most ", kMaxRank, " dims; got ", view.rank);
  TAUT_CHECK(view.device.type == kDLCpu || view.device.type == kDLCuda || view.device.type == 3,
             DeviceError, "from_dlpack: DLPack device type ", view.device.type,
             " is neither the CPU nor CUDA");
  Dims shape;
  for (int i = 0; i < view.rank; ++i) shape.push_back(view.shape[i]);
  Dims strides = contiguous_strides(shape);
  for (int i = 0; view.strides != nullptr && i < view.rank; ++i) {
    TAUT_CHECK(view.strides[i] >= 0, ValueError,
               "from_dlpack: a negative stride; copy the array first");
    strides[i] = view.strides[i];
  }
  const Device device =
      view.device.type == kDLCuda ? Device(DeviceType::cuda, view.device.index) : kCPU;
  const DType dtype = dtype_from_dlpack(view.dtype);
  // From here on the tensor owns what the capsule held.
  PyCapsule_SetName(capsule, used_name);
  const auto release = [](void*, size_t, void* context) noexcept {
    if (Py_IsInitialized() == 0) return;
    const Locked locked;  // producers expect it
    auto* held = static_cast<Managed*>(context);
    if (held->release != nullptr) held->release(held);
  };
  return from_blob(static_cast<char*>(view.data) + view.byte_offset, shape,
                   TensorOptions(dtype).device(device), strides, release, managed);
}

Tensor from_dlpack(const py::object& source, DeviceOpt device, std::optional<bool> copy) {
  py::object capsule = source;
  if (!PyCapsule_CheckExact(source.ptr())) {
    if (!py::hasattr(source, "__dlpack__")) {
      throw py::type_error(std::string("from_dlpack: expected an object with __dlpack__; got ") +
                           Py_TYPE(source.ptr())->tp_name);
    }
    try {
      capsule = source.attr("__dlpack__")(py::arg("max_version") = py::make_tuple(1, 0));
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_TypeError)) throw;
      capsule = source.attr("__dlpack__")();  // a producer from before versions
    }
  }
  Tensor tensor;
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned") != 0) {
    tensor = import_dlpack<DLManagedTensorVersioned>(capsule.ptr(), "dltensor_versioned",
                                                     "used_dltensor_versioned");
  } else if (PyCapsule_IsValid(capsule.ptr(), "dltensor") != 0) {
    tensor = import_dlpack<DLManagedTensor>(capsule.ptr(), "dltensor", "used_dltensor");
  } else {
    throw py::value_error(
        "from_dlpack: the capsule holds no DLPack tensor, or was consumed already");
  }
  tensor = with_bools_of_one("from_dlpack", tensor, !copy.value_or(false));
  if (device && !(*device == tensor.device())) return tensor.to(*device);
  return copy.value_or(false) ? tensor.clone() : tensor;
}

}  // namespace

Tensor tensor_from(py::handle data, DTypeOpt dtype, DeviceOpt device) {
  const NoGradGuard no_grad;
  PyObject* object = data.ptr();
  if (is_tensor(object)) {
    const Tensor& source = tensor_of(object);
    return to(source.detach(),
              TensorOptions()
                  .dtype(dtype.value_or(source.dtype()))
                  .device(device.value_or(source.device())),
              true);
  }
  if (is_sequence(object)) {
    if (PySequence_Fast_GET_SIZE(object) > 0 && is_array(PySequence_Fast_GET_ITEM(object, 0))) {
      return tensor_from(py::module_::import("numpy").attr("array")(data), dtype, device);
    }
    return NestedLists(object, dtype).make(device);
  }
  if (is_array(object)) {
    const py::object packed = py::module_::import("numpy").attr("array")(data);
    const Tensor shared = from_numpy(packed, false);
    return to(shared, TensorOptions().dtype(dtype.value_or(shared.dtype())).device(device), true);
  }
  Scalar value;
  if (!is_numpy_scalar(object) && !read(object, value) && PyErr_Occurred() == nullptr) {
    if (py::hasattr(data, "__dlpack__")) {
      return tensor_from(py::cast(from_dlpack(py::reinterpret_borrow<py::object>(data), {}, {})),
                         dtype, device);
    }
    if (PySequence_Check(object) != 0 && PyUnicode_Check(object) == 0) {
      return tensor_from(py::list(py::reinterpret_borrow<py::object>(data)), dtype, device);
    }
  }
  const TypedNumber number = typed_number(object, dtype);
  return tensor(number.value, TensorOptions().dtype(number.dtype).device(device));
}

void add_interop_rows(Rows& rows) {
  rows.function("tensor(data, *, dtype=None, device=None, requires_grad=False)",
                [](const py::handle& data, DTypeOpt dtype, DeviceOpt device, bool requires_grad) {
                  Tensor result = tensor_from(data, dtype, device);
                  if (requires_grad) result.requires_grad_();
                  return result;
                });
  rows.function("as_tensor(data, dtype=None, device=None)", [](const py::handle& data,
                                                               DTypeOpt dtype, DeviceOpt device) {
    if (is_tensor(data.ptr())) {
      const Tensor& source = tensor_of(data.ptr());
      return to(source, TensorOptions()
                            .dtype(dtype.value_or(source.dtype()))
                            .device(device.value_or(source.device())));
    }
    if (is_array(data.ptr())) {
      const Tensor shared = from_numpy(py::reinterpret_borrow<py::object>(data));
      return to(shared, TensorOptions().dtype(dtype.value_or(shared.dtype())).device(device));
    }
    return tensor_from(data, dtype, device);
  });
  rows.alias("asarray", "as_tensor");
  rows.function("from_numpy(ndarray)", [](const py::object& array) { return from_numpy(array); });
  rows.function("from_dlpack(ext_tensor, *, device=None, copy=None)",
                [](const py::object& source, DeviceOpt device, std::optional<bool> copy) {
                  return from_dlpack(source, device, copy);
                });
  // For pickling and copying, which taut/_tensor.py does.
  rows.function("_to_bytes(input)", [](const py::handle& self) {
    const Tensor& x = tensor_of(self.ptr());
    return py::object(py::bytes(static_cast<const char*>(x.data_ptr()), x.nbytes()));
  });
  rows.function("_from_bytes(data, dtype, shape)",
                [](const py::handle& data, DType dtype, const Dims& shape) {
                  char* bytes = nullptr;
                  Py_ssize_t count = 0;
                  if (PyBytes_AsStringAndSize(data.ptr(), &bytes, &count) < 0) {
                    throw py::error_already_set();
                  }
                  Tensor result = empty(shape, dtype);
                  TAUT_CHECK(static_cast<size_t>(count) == result.nbytes(), ValueError,
                             "unpickling: ", static_cast<int64_t>(count), " bytes for a tensor of ",
                             result.nbytes());
                  if (count > 0) std::memcpy(result.data_ptr(), bytes, result.nbytes());
                  return result;
                });
  rows.function("_as_subclass(cls, tensor)", [](const py::handle& cls, const Tensor& tensor) {
    auto* type = reinterpret_cast<PyTypeObject*>(cls.ptr());
    // A plain tensor that is already known to Python gets a second handle to its elements.
    const bool is_known = tensor.impl()->python_object != nullptr &&
                          Py_TYPE(static_cast<PyObject*>(tensor.impl()->python_object)) != type;
    return py::reinterpret_steal<py::object>(wrap_as(type, is_known ? tensor.detach() : tensor));
  });
  rows.method("numpy(input, *, force=False)",
              [](const py::handle& self, bool force) { return to_numpy(self, force); });
  rows.method("tolist(input)", [](const py::handle& self) { return to_list(self); });
  rows.method("__dlpack__(input, *, stream=None, max_version=None, dl_device=None, copy=None)",
              [](const py::handle& self, const py::handle& stream, const py::handle& max_version,
                 const py::handle& dl_device, std::optional<bool> copy) {
                return dlpack(self, stream, max_version, dl_device, copy);
              });
  rows.method("__dlpack_device__(input)", [](const Tensor& self) {
    return std::pair<int, int>(self.is_cpu() ? kDLCpu : kDLCuda, self.device().index());
  });
}

}  // namespace taut::python
