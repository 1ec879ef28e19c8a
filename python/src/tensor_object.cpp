#include "tensor_object.h"

#include <structmember.h>

#include <new>

#include "errors.h"
#include "gil.h"
#include "indexing.h"
#include "taut/autograd/grad_mode.h"
#include "taut/ops/ops.h"
#include "values.h"

namespace py = pybind11;

namespace taut::python {

PyTypeObject* tensor_type = nullptr;

namespace {

TensorObject* as_object(PyObject* object) { return reinterpret_cast<TensorObject*>(object); }

template <class Body>
PyObject* guarded(Body body) {
  try {
    return body();
  } catch (...) {
    set_python_error();
    return nullptr;
  }
}

// Life and death: see Note [One Python object per tensor] ----------------------------------------

PyObject* new_object(PyTypeObject* type, Tensor tensor) {
  PyObject* object = type->tp_alloc(type, 0);
  if (object == nullptr) return nullptr;
  TensorObject* self = as_object(object);
  new (&self->tensor) Tensor(std::move(tensor));
  if (self->tensor.defined()) self->tensor.impl()->python_object = object;
  return object;
}

/// Called by a TensorImpl that goes and still keeps its Python object.
bool release_kept(TensorImpl* impl) noexcept {
  if (Py_IsInitialized() == 0) return false;
  const Locked locked;
  auto* object = static_cast<PyObject*>(impl->python_object);
  TensorObject* self = as_object(object);
  self->kept = false;
  const bool is_held = Py_REFCNT(object) > 1;  // somebody got hold of it through a weak reference
  if (is_held) {
    if (impl->use_count() == 0) impl->retain();
  } else {
    new (&self->tensor) Tensor();  // it owned no reference, so that none is given back
    impl->python_object = nullptr;
  }
  Py_DECREF(object);
  return is_held;
}

bool has_state(TensorObject* self) {
  return Py_TYPE(self) != tensor_type || self->weak_references != nullptr ||
         (self->dict != nullptr && PyDict_GET_SIZE(self->dict) > 0);
}

/// Before an object goes: if C++ still holds its tensor, the tensor takes the object over.
void tensor_finalize(PyObject* object) {
  TensorObject* self = as_object(object);
  if (!self->tensor.defined() || !has_state(self)) return;
  TensorImpl* impl = self->tensor.impl();
  if (impl->use_count() == 1 || impl->python_object != object) return;
  self->kept = true;
  Py_INCREF(object);
  // Our reference goes to nobody; should it have become the last one meanwhile, destroy() frees
  // both.
  if (impl->release()) impl->destroy();
}

void tensor_dealloc(PyObject* object) {
  TensorObject* self = as_object(object);
  PyTypeObject* type = Py_TYPE(object);
  if (type == tensor_type && has_state(self) && PyObject_CallFinalizerFromDealloc(object) < 0) {
    return;
  }
  if (self->weak_references != nullptr) PyObject_ClearWeakRefs(object);
  Py_CLEAR(self->dict);
  if (self->tensor.defined() && self->tensor.impl()->python_object == object) {
    self->tensor.impl()->python_object = nullptr;
  }
  self->tensor.~Tensor();
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded([&]() -> PyObject* {
    // Tensor(data) makes a tensor of the default dtype; a subclass given a tensor shows its
    // elements.
    if (type != tensor_type && PyTuple_GET_SIZE(args) > 0 && is_tensor(PyTuple_GET_ITEM(args, 0))) {
      return new_object(type, tensor_of(PyTuple_GET_ITEM(args, 0)).detach());
    }
    const py::object made =
        py::module_::import("taut._tensor")
            .attr("_new_tensor")(
                *py::reinterpret_borrow<py::args>(args),
                **(kwargs ? py::reinterpret_borrow<py::dict>(kwargs) : py::dict()));
    Tensor tensor = tensor_of(made.ptr());
    if (type == tensor_type) return new_reference(made.ptr());
    return new_object(type, tensor.detach());
  });
}

/// CPython finalizes an object of a subclass once only, so that one that was kept before gives its
/// state to a new one, which can be kept again.
PyObject* renewed(PyObject* old) {
  TensorObject* before = as_object(old);
  PyObject* object = new_object(Py_TYPE(old), before->tensor);
  if (object == nullptr) return old;
  std::swap(as_object(object)->dict, before->dict);
  Py_DECREF(old);
  return object;
}

/// Arguments of a subclass's constructor are its own business.
int tensor_init(PyObject*, PyObject*, PyObject*) { return 0; }

// Operators --------------------------------------------------------------------------------------

bool is_large(const Tensor& tensor) { return tensor.numel() > kLargeWork; }

bool is_numpy_array(PyObject* object) {
  return std::string_view(Py_TYPE(object)->tp_name) == "numpy.ndarray";
}

Tensor from_array(PyObject* array) {
  return tensor_of(py::module_::import("taut").attr("from_numpy")(py::handle(array)).ptr());
}

/// Calls one of the three forms of a binary op; NotImplemented for operands of other kinds.
template <class TensorTensor, class TensorScalar, class ScalarTensor>
PyObject* binary(PyObject* a, PyObject* b, TensorTensor tensor_tensor, TensorScalar tensor_scalar,
                 ScalarTensor scalar_tensor) {
  return guarded([&]() -> PyObject* {
    Scalar number;
    if (TAUT_LIKELY(is_tensor(a))) {
      const Tensor& left = tensor_of(a);
      if (TAUT_LIKELY(is_tensor(b))) {
        const Tensor& right = tensor_of(b);
        Tensor result = [&] {
          const Unlocked unlocked(is_large(left) || is_large(right));
          return tensor_tensor(left, right);
        }();
        return wrap(std::move(result));
      }
      if (read(b, number)) {
        Tensor result = [&] {
          const Unlocked unlocked(is_large(left));
          return tensor_scalar(left, number);
        }();
        return wrap(std::move(result));
      }
      if (PyErr_Occurred() != nullptr) return nullptr;
      if (is_numpy_array(b)) return wrap(tensor_tensor(left, from_array(b)));
      Py_RETURN_NOTIMPLEMENTED;
    }
    const Tensor& right = tensor_of(b);
    if (read(a, number)) {
      Tensor result = [&] {
        const Unlocked unlocked(is_large(right));
        return scalar_tensor(number, right);
      }();
      return wrap(std::move(result));
    }
    if (PyErr_Occurred() != nullptr) return nullptr;
    Py_RETURN_NOTIMPLEMENTED;
  });
}

template <class TensorTensor, class TensorScalar>
PyObject* in_place(PyObject* a, PyObject* b, TensorTensor tensor_tensor,
                   TensorScalar tensor_scalar) {
  return guarded([&]() -> PyObject* {
    const Tensor& left = tensor_of(a);
    Scalar number;
    if (is_tensor(b)) {
      const Unlocked unlocked(is_large(left));
      tensor_tensor(left, tensor_of(b));
    } else if (read(b, number)) {
      const Unlocked unlocked(is_large(left));
      tensor_scalar(left, number);
    } else if (PyErr_Occurred() != nullptr) {
      return nullptr;
    } else if (is_numpy_array(b)) {
      tensor_tensor(left, from_array(b));
    } else {
      Py_RETURN_NOTIMPLEMENTED;
    }
    return new_reference(a);
  });
}

#define TAUT_BINARY_SLOT(slot, tensor_tensor, tensor_scalar, scalar_tensor)   \
  PyObject* slot(PyObject* a, PyObject* b) {                                  \
    return binary(                                                            \
        a, b, [](const Tensor& x, const Tensor& y) { return tensor_tensor; }, \
        [](const Tensor& x, const Scalar& y) { return tensor_scalar; },       \
        [](const Scalar& x, const Tensor& y) { return scalar_tensor; });      \
  }
TAUT_BINARY_SLOT(slot_add, add(x, y), add(x, y), add(y, x))
TAUT_BINARY_SLOT(slot_subtract, sub(x, y), sub(x, y), rsub(y, x))
TAUT_BINARY_SLOT(slot_multiply, mul(x, y), mul(x, y), mul(y, x))
TAUT_BINARY_SLOT(slot_true_divide, true_divide(x, y), true_divide(x, y), true_divide(x, y))
TAUT_BINARY_SLOT(slot_floor_divide, floor_divide(x, y), floor_divide(x, y), floor_divide(x, y))
TAUT_BINARY_SLOT(slot_remainder, remainder(x, y), remainder(x, y), remainder(x, y))
TAUT_BINARY_SLOT(slot_and, bitwise_and(x, y), bitwise_and(x, y), bitwise_and(y, x))
TAUT_BINARY_SLOT(slot_or, bitwise_or(x, y), bitwise_or(x, y), bitwise_or(y, x))
TAUT_BINARY_SLOT(slot_xor, bitwise_xor(x, y), bitwise_xor(x, y), bitwise_xor(y, x))
TAUT_BINARY_SLOT(slot_lshift, bitwise_left_shift(x, y), bitwise_left_shift(x, y),
                 bitwise_left_shift(x, y))
TAUT_BINARY_SLOT(slot_rshift, bitwise_right_shift(x, y), bitwise_right_shift(x, y),
                 bitwise_right_shift(x, y))
TAUT_BINARY_SLOT(binary_power, pow(x, y), pow(x, y), pow(x, y))
#undef TAUT_BINARY_SLOT

PyObject* slot_power(PyObject* a, PyObject* b, PyObject* modulus) {
  if (modulus != Py_None) Py_RETURN_NOTIMPLEMENTED;
  return binary_power(a, b);
}

#define TAUT_IN_PLACE_SLOT(slot, call)                        \
  PyObject* slot(PyObject* a, PyObject* b) {                  \
    return in_place(                                          \
        a, b, [](const Tensor& x, const Tensor& y) { call; }, \
        [](const Tensor& x, const Scalar& y) { call; });      \
  }
TAUT_IN_PLACE_SLOT(slot_inplace_add, add_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_subtract, sub_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_multiply, mul_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_true_divide, true_divide_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_floor_divide, floor_divide_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_remainder, remainder_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_and, bitwise_and_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_or, bitwise_or_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_xor, bitwise_xor_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_lshift, bitwise_left_shift_(x, y))
TAUT_IN_PLACE_SLOT(slot_inplace_rshift, bitwise_right_shift_(x, y))
TAUT_IN_PLACE_SLOT(binary_inplace_power, pow_(x, y))
#undef TAUT_IN_PLACE_SLOT

PyObject* slot_inplace_power(PyObject* a, PyObject* b, PyObject*) {
  return binary_inplace_power(a, b);
}

constexpr Tensor (*fn_neg)(const Tensor&) = neg;
constexpr Tensor (*fn_abs)(const Tensor&) = abs;
constexpr Tensor (*fn_positive)(const Tensor&) = positive;
constexpr Tensor (*fn_bitwise_not)(const Tensor&) = bitwise_not;

template <Tensor (*function)(const Tensor&)>
PyObject* unary(PyObject* self) {
  return guarded([&] {
    const Tensor& input = tensor_of(self);
    Tensor result = [&] {
      const Unlocked unlocked(is_large(input));
      return function(input);
    }();
    return wrap(std::move(result));
  });
}

#if __has_include("taut/ops/matmul.h")
PyObject* slot_matmul(PyObject* a, PyObject* b) {
  if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
  return guarded([&] {
    const Tensor& left = tensor_of(a);
    const Tensor& right = tensor_of(b);
    Tensor result = [&] {
      const Unlocked unlocked(is_large(left) || is_large(right));
      return matmul(left, right);
    }();
    return wrap(std::move(result));
  });
}
#endif

PyObject* compare(PyObject* a, PyObject* b, int op) {
  if (b == Py_None) Py_RETURN_NOTIMPLEMENTED;
  switch (op) {
#define TAUT_COMPARE_CASE(code, name)                                      \
  case code:                                                               \
    return binary(                                                         \
        a, b, [](const Tensor& x, const Tensor& y) { return name(x, y); }, \
        [](const Tensor& x, const Scalar& y) { return name(x, y); },       \
        [](const Scalar&, const Tensor& y) { return y; });
    TAUT_COMPARE_CASE(Py_EQ, eq)
    TAUT_COMPARE_CASE(Py_NE, ne)
    TAUT_COMPARE_CASE(Py_LT, lt)
    TAUT_COMPARE_CASE(Py_LE, le)
    TAUT_COMPARE_CASE(Py_GT, gt)
    default: TAUT_COMPARE_CASE(Py_GE, ge)
#undef TAUT_COMPARE_CASE
  }
}

Py_hash_t identity_hash(PyObject* self) { return _Py_HashPointer(self); }

// Conversions to numbers -------------------------------------------------------------------------

int slot_bool(PyObject* self) {
  try {
    const Tensor& tensor = tensor_of(self);
    TAUT_CHECK(tensor.numel() == 1, ValueError, "bool: a tensor of shape ", tensor.shape(),
               " is neither true nor false; use any() or all()");
    return tensor.item().to_bool() ? 1 : 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}
PyObject* slot_float(PyObject* self) {
  return guarded([&] { return PyFloat_FromDouble(tensor_of(self).item().to_double()); });
}
PyObject* slot_int(PyObject* self) {
  return guarded([&] {
    const Scalar value = tensor_of(self).item();
    // Through Python's float, which refuses NaN and infinity with the usual words.
    if (value.is_floating_point()) return PyLong_FromDouble(value.to_double());
    return PyLong_FromLongLong(value.to_int64());
  });
}
PyObject* slot_index(PyObject* self) {
  const Tensor& tensor = tensor_of(self);
  if (tensor.numel() != 1 || tensor.is_floating_point()) {
    PyErr_SetString(PyExc_TypeError, "only integer tensors of a single element can be an index");
    return nullptr;
  }
  return slot_int(self);
}

// Sequence ---------------------------------------------------------------------------------------

Py_ssize_t slot_length(PyObject* self) {
  const Tensor& tensor = tensor_of(self);
  if (tensor.dim() == 0) {
    PyErr_SetString(PyExc_TypeError, "len() of a tensor without dims");
    return -1;
  }
  return static_cast<Py_ssize_t>(tensor.shape()[0]);
}
int slot_contains(PyObject* self, PyObject* item) {
  PyObject* equal = compare(self, item, Py_EQ);
  if (equal == nullptr) return -1;
  if (!is_tensor(equal)) {
    Py_DECREF(equal);
    PyErr_Format(PyExc_TypeError, "a tensor holds numbers; got %.100s", Py_TYPE(item)->tp_name);
    return -1;
  }
  int found = -1;
  try {
    found = any(tensor_of(equal)).item().to_bool() ? 1 : 0;
  } catch (...) {
    set_python_error();
  }
  Py_DECREF(equal);
  return found;
}
PyObject* slot_iterate(PyObject* self) {
  return guarded([&]() -> PyObject* {
    const Tensor& tensor = tensor_of(self);
    if (tensor.dim() == 0) {
      PyErr_SetString(PyExc_TypeError, "iteration over a tensor without dims");
      return nullptr;
    }
    const Tensors rows = tensor.unbind(0);
    py::list list(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), wrap(rows[i]));
    }
    return PyObject_GetIter(list.ptr());
  });
}
PyObject* slot_item(PyObject* self, Py_ssize_t index) {
  return guarded([&] { return wrap(tensor_of(self).select(0, index)); });
}

PyObject* text(const std::string& value) {
  return PyUnicode_FromStringAndSize(value.data(), static_cast<Py_ssize_t>(value.size()));
}
PyObject* slot_repr(PyObject* self) {
  return guarded([&] { return text(tensor_of(self).str()); });
}

// Attributes -------------------------------------------------------------------------------------

template <class Get>
PyObject* get(PyObject* self, Get getter) {
  return guarded([&] { return getter(tensor_of(self)); });
}

#define TAUT_GETTER(name, expression)                                          \
  PyObject* name(PyObject* self, void*) {                                      \
    return get(self, [](const Tensor& x) -> PyObject* { return expression; }); \
  }
TAUT_GETTER(get_shape, to_object(x.shape()))
TAUT_GETTER(get_dtype, to_object(x.dtype()))
TAUT_GETTER(get_device, to_object(x.device()))
TAUT_GETTER(get_ndim, PyLong_FromLong(x.dim()))
TAUT_GETTER(get_itemsize, PyLong_FromSize_t(x.element_size()))
TAUT_GETTER(get_nbytes, PyLong_FromSize_t(x.nbytes()))
TAUT_GETTER(get_is_cuda, PyBool_FromLong(x.is_cuda()))
TAUT_GETTER(get_is_cpu, PyBool_FromLong(x.is_cpu()))
TAUT_GETTER(get_false, (static_cast<void>(x), PyBool_FromLong(0)))
TAUT_GETTER(get_requires_grad, PyBool_FromLong(x.requires_grad()))
TAUT_GETTER(get_is_leaf, PyBool_FromLong(x.is_leaf()))
TAUT_GETTER(get_retains_grad, PyBool_FromLong(x.retains_grad()))
TAUT_GETTER(get_version, PyLong_FromUnsignedLong(x.version()))
TAUT_GETTER(get_grad, wrap(x.grad()))
TAUT_GETTER(get_data, wrap(x.detach()))
TAUT_GETTER(get_T, wrap(numpy_T(x)))
TAUT_GETTER(get_mT, wrap(x.mT()))
TAUT_GETTER(get_base,
            x.impl()->view_base ? wrap(Tensor(x.impl()->view_base)) : new_reference(Py_None))
#undef TAUT_GETTER

PyObject* get_H(PyObject* self, void*) {
  return get(self, [](const Tensor& x) -> PyObject* {
    TAUT_CHECK(x.dim() == 0 || x.dim() == 2, ShapeError, "H: expected a matrix; got shape ",
               x.shape(), "; mH transposes batches");
    return wrap(x.dim() == 0 ? x : x.mT());
  });
}

PyObject* get_grad_fn(PyObject* self, void*) {
  return guarded([&] {
    if (tensor_of(self).is_leaf()) return new_reference(Py_None);
    return py::module_::import("taut._C").attr("_grad_fn")(py::handle(self)).release().ptr();
  });
}

template <class Set>
int set(PyObject* self, PyObject* value, const char* name, Set setter) {
  if (value == nullptr) value = Py_None;  // `del x.grad` clears it
  try {
    if (!setter(tensor_of(self), value)) {
      if (PyErr_Occurred() == nullptr) {
        PyErr_Format(PyExc_TypeError, "Tensor.%s cannot be set to a %.100s", name,
                     Py_TYPE(value)->tp_name);
      }
      return -1;
    }
    return 0;
  } catch (...) {
    set_python_error();
    return -1;
  }
}

int set_requires_grad(PyObject* self, PyObject* value, void*) {
  return set(self, value, "requires_grad", [](const Tensor& x, PyObject* object) {
    bool wanted = false;
    if (!read(object, wanted)) return false;
    x.requires_grad_(wanted);
    return true;
  });
}
int set_grad(PyObject* self, PyObject* value, void*) {
  return set(self, value, "grad", [](const Tensor& x, PyObject* object) {
    if (object != Py_None && !is_tensor(object)) return false;
    x.set_grad(object == Py_None ? Tensor() : tensor_of(object));
    return true;
  });
}
/// `x.data = y`: x keeps its identity and its place in the tape, and shows y's elements.
int set_data(PyObject* self, PyObject* value, void*) {
  return set(self, value, "data", [](const Tensor& x, PyObject* object) {
    if (!is_tensor(object)) return false;
    const Tensor& source = tensor_of(object);
    TensorImpl* impl = x.impl();
    TAUT_CHECK(!x.requires_grad() || source.is_floating_point(), DTypeError,
               "data: a tensor that requires grad must stay floating; got ", source.dtype());
    impl->set_storage(source.storage());
    impl->dtype = source.dtype();
    impl->set_layout(source.layout());
    return true;
  });
}

PyGetSetDef members[] = {
    {"shape", get_shape, nullptr, nullptr, nullptr},
    {"dtype", get_dtype, nullptr, nullptr, nullptr},
    {"device", get_device, nullptr, nullptr, nullptr},
    {"ndim", get_ndim, nullptr, nullptr, nullptr},
    {"itemsize", get_itemsize, nullptr, nullptr, nullptr},
    {"nbytes", get_nbytes, nullptr, nullptr, nullptr},
    {"is_cuda", get_is_cuda, nullptr, nullptr, nullptr},
    {"is_cpu", get_is_cpu, nullptr, nullptr, nullptr},
    {"is_sparse", get_false, nullptr, nullptr, nullptr},
    {"is_quantized", get_false, nullptr, nullptr, nullptr},
    {"is_meta", get_false, nullptr, nullptr, nullptr},
    {"requires_grad", get_requires_grad, set_requires_grad, nullptr, nullptr},
    {"is_leaf", get_is_leaf, nullptr, nullptr, nullptr},
    {"retains_grad", get_retains_grad, nullptr, nullptr, nullptr},
    {"grad", get_grad, set_grad, nullptr, nullptr},
    {"grad_fn", get_grad_fn, nullptr, nullptr, nullptr},
    {"data", get_data, set_data, nullptr, nullptr},
    {"_version", get_version, nullptr, nullptr, nullptr},
    {"_base", get_base, nullptr, nullptr, nullptr},
    {"T", get_T, nullptr, nullptr, nullptr},
    {"mT", get_mT, nullptr, nullptr, nullptr},
    {"H", get_H, nullptr, nullptr, nullptr},
    {"mH", get_mT, nullptr, nullptr, nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef offsets[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weak_references), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

constexpr char kTensorDoc[] =
    "Numbers of one dtype in as many dims as wanted, on a device; with requires_grad the ops on it "
    "are recorded, and backward() gives its gradient. Made by taut.tensor, taut.zeros and the "
    "like.";

PyType_Slot slots[] = {{Py_tp_doc, (void*)kTensorDoc},
                       {Py_tp_new, (void*)tensor_new},
                       {Py_tp_init, (void*)tensor_init},
                       {Py_tp_dealloc, (void*)tensor_dealloc},
                       {Py_tp_finalize, (void*)tensor_finalize},
                       {Py_tp_repr, (void*)slot_repr},
                       {Py_tp_hash, (void*)identity_hash},
                       {Py_tp_richcompare, (void*)compare},
                       {Py_tp_iter, (void*)slot_iterate},
                       {Py_tp_getset, members},
                       {Py_tp_members, offsets},
                       {Py_nb_add, (void*)slot_add},
                       {Py_nb_subtract, (void*)slot_subtract},
                       {Py_nb_multiply, (void*)slot_multiply},
                       {Py_nb_true_divide, (void*)slot_true_divide},
                       {Py_nb_floor_divide, (void*)slot_floor_divide},
                       {Py_nb_remainder, (void*)slot_remainder},
                       {Py_nb_power, (void*)slot_power},
                       {Py_nb_and, (void*)slot_and},
                       {Py_nb_or, (void*)slot_or},
                       {Py_nb_xor, (void*)slot_xor},
                       {Py_nb_lshift, (void*)slot_lshift},
                       {Py_nb_rshift, (void*)slot_rshift},
                       {Py_nb_inplace_add, (void*)slot_inplace_add},
                       {Py_nb_inplace_subtract, (void*)slot_inplace_subtract},
                       {Py_nb_inplace_multiply, (void*)slot_inplace_multiply},
                       {Py_nb_inplace_true_divide, (void*)slot_inplace_true_divide},
                       {Py_nb_inplace_floor_divide, (void*)slot_inplace_floor_divide},
                       {Py_nb_inplace_remainder, (void*)slot_inplace_remainder},
                       {Py_nb_inplace_power, (void*)slot_inplace_power},
                       {Py_nb_inplace_and, (void*)slot_inplace_and},
                       {Py_nb_inplace_or, (void*)slot_inplace_or},
                       {Py_nb_inplace_xor, (void*)slot_inplace_xor},
                       {Py_nb_inplace_lshift, (void*)slot_inplace_lshift},
                       {Py_nb_inplace_rshift, (void*)slot_inplace_rshift},
#if __has_include("taut/ops/matmul.h")
                       {Py_nb_matrix_multiply, (void*)slot_matmul},
#endif
                       {Py_nb_negative, (void*)unary<fn_neg>},
                       {Py_nb_positive, (void*)unary<fn_positive>},
                       {Py_nb_absolute, (void*)unary<fn_abs>},
                       {Py_nb_invert, (void*)unary<fn_bitwise_not>},
                       {Py_nb_bool, (void*)slot_bool},
                       {Py_nb_float, (void*)slot_float},
                       {Py_nb_int, (void*)slot_int},
                       {Py_nb_index, (void*)slot_index},
                       {Py_sq_length, (void*)slot_length},
                       {Py_sq_contains, (void*)slot_contains},
                       {Py_sq_item, (void*)slot_item},
                       {Py_mp_length, (void*)slot_length},
                       {Py_mp_subscript, (void*)get_item},
                       {Py_mp_ass_subscript, (void*)set_item},
                       {0, nullptr}};

}  // namespace

PyObject* wrap(Tensor tensor) {
  if (TAUT_UNLIKELY(!tensor.defined())) return new_reference(Py_None);
  auto* object = static_cast<PyObject*>(tensor.impl()->python_object);
  if (TAUT_LIKELY(object == nullptr)) return new_object(tensor_type, std::move(tensor));
  TensorObject* self = as_object(object);
  if (TAUT_LIKELY(!self->kept)) return new_reference(object);
  // The impl's reference to the object becomes the caller's, and the object owns the tensor again.
  self->kept = false;
  self->tensor.impl()->retain();
  return PyObject_GC_IsFinalized(object) != 0 && Py_REFCNT(object) == 1 ? renewed(object) : object;
}

PyObject* wrap_as(PyTypeObject* type, Tensor tensor) {
  if (tensor.impl()->python_object != nullptr) {
    PyObject* object = wrap(std::move(tensor));
    if (PyType_IsSubtype(Py_TYPE(object), type) != 0) return object;
    const std::string known = Py_TYPE(object)->tp_name;
    Py_DECREF(object);
    throw py::value_error("this tensor is already known to Python as a " + known);
  }
  return new_object(type, std::move(tensor));
}

void bind_tensor_type(py::module_& module) {
  PyType_Spec spec = {"taut.Tensor", sizeof(TensorObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  PyObject* type = PyType_FromSpec(&spec);
  if (type == nullptr) throw py::error_already_set();
  tensor_type = reinterpret_cast<PyTypeObject*>(type);
  module.add_object("Tensor", py::handle(type));
  // NumPy's operators then leave `array + tensor` to the tensor.
  module.attr("Tensor").attr("__array_priority__") = 1000;
  detail::set_python_object_release(release_kept);
}

}  // namespace taut::python
